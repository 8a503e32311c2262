"""Plans carried out with a real Crossbar: who gets in, who may what, what is said when it fails."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.manifest.model import (
    Join,
    LogsSection,
    Manifest,
    Permission,
    RouterSection,
    StackSection,
    TicketUser,
)
from orchestrator.router import (
    ANONYMOUS,
    Credential,
    RouterLaunch,
    new_principals,
    plan_router,
    port_of,
)
from tests.support import TIME_SCALE, wait_until
from wampy import NotAuthorized, RequestError, Session
from wampy.errors import JoinRejected

ROOT = Path(__file__).parents[4]
META = "wamp.session.count"
INSIDE = "wampy.demo.peer.search.0.heartbeat"


class Started:
    """One carried out plan."""

    def __init__(self, launch: RouterLaunch, log: Path) -> None:
        assert launch.argv is not None
        self.launch = launch
        self._log = log
        for path, text in launch.files.items():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o600)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind("")
        self._notify.setblocking(False)
        address = "@" + self._notify.getsockname()[1:].decode()
        with log.open("w") as output:
            self.process = subprocess.Popen(
                launch.argv,
                cwd=launch.cwd,
                env={**os.environ, **launch.env, "NOTIFY_SOCKET": address},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def lines(self) -> list[str]:
        return self._log.read_text().splitlines()

    def wait_until_ready(self) -> None:
        def is_ready() -> bool:
            assert self.process.poll() is None, "\n".join(self.lines())
            with contextlib.suppress(BlockingIOError):
                return b"READY=1" in self._notify.recv(4096)
            return False

        wait_until(is_ready, 60, "Crossbar says READY=1")

    def wait_until_ended(self) -> int:
        return self.process.wait(60 * TIME_SCALE)

    def close(self) -> None:
        self._notify.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def manifest(run_dir: Path, **router: Any) -> Manifest:
    values: dict[str, Any] = {
        "type": "crossbar",
        "host": "127.0.0.1",
        "port": 0,
        "path": "/ws",
        "insecure": False,
        "tls": None,
        "config": None,
        "command": None,
        "url": "",
        "join": None,
        "start_timeout_s": 30.0,
        "stop_grace_s": 25.0,
        "anonymous": "anonymous",
        "tickets": {},
        "roles": {},
    }
    return Manifest(
        path=ROOT / "wampy.toml",
        root=ROOT,
        stack=StackSection("demo", "realm1", run_dir, (), "keep", False),
        logs=LogsSection(10_000, 2, "text"),
        router=RouterSection(**{**values, **router}),
        peers={},
        environ=dict(os.environ),
    )


@pytest.fixture
def start(run_dir: Path) -> Iterator[Callable[[RouterLaunch], Started]]:
    """Carry a plan out; what was started is ended after the test."""
    started: list[Started] = []

    def start(launch: RouterLaunch) -> Started:
        started.append(Started(launch, run_dir / f"log{len(started)}"))
        return started[-1]

    try:
        yield start
    finally:
        for one in started:
            one.close()


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A generated Crossbar with a user and a role of the manifest's, for all tests here."""
    run_dir = Path(tempfile.mkdtemp(prefix="wampy-"))
    asked = manifest(
        run_dir,
        tickets={"alice": TicketUser("frontend", "hers")},
        roles={"frontend": (Permission("com.shop.", "prefix", frozenset({"call", "register"})),)},
    )
    started = Started(plan_router(asked, new_principals(), port_of(asked)), run_dir / "log")
    try:
        started.wait_until_ready()
        yield started
    finally:
        started.close()
        shutil.rmtree(run_dir)


def join(url: str, credential: Credential = ANONYMOUS) -> Session:
    return Session(
        url,
        realm="realm1",
        authid=credential.authid,
        ticket=credential.ticket,
        reconnect=False,
        timeout=10.0,
    )


def is_allowed(attempt: Callable[[], object]) -> bool:
    """Tell whether the Router let it through; that nobody offers the Procedure is no refusal."""
    try:
        attempt()
    except NotAuthorized:
        return False
    except RequestError as error:
        if error.uri != "wamp.error.no_such_procedure":
            raise
    return True


def rights(session: Session, uri: str) -> set[str]:
    """Try everything with ``uri``."""
    attempts: dict[str, Callable[[], object]] = {
        "call": lambda: session.call(uri),
        "register": lambda: session.register(uri, lambda: None).unregister(),
        "publish": lambda: session.publish(uri, acknowledge=True),
        "subscribe": lambda: session.subscribe(uri, lambda *args: None).unsubscribe(),
    }
    return {name for name, attempt in attempts.items() if is_allowed(attempt)}


@pytest.mark.parametrize("principal", ["orchestrator", "peer", "operator"])
@pytest.mark.parametrize("way", ["stack_url", "public_url"])
def test_the_principals_join_on_both_transports(router: Started, principal: str, way: str) -> None:
    credential = getattr(router.launch.principals, principal)
    with join(getattr(router.launch, way), credential) as session:
        assert session.id is not None
        assert rights(session, "com.example.x") == {"call", "register", "publish", "subscribe"}
        assert rights(session, INSIDE) == {"call", "register", "publish", "subscribe"}
        assert is_allowed(lambda: session.call(META)) == (principal != "peer")


def test_nobody_is_anonymous_on_the_unix_socket(router: Started) -> None:
    with pytest.raises(JoinRejected), join(router.launch.stack_url):
        pass


@pytest.mark.parametrize("way", ["stack_url", "public_url"])
def test_a_wrong_ticket_is_rejected(router: Started, way: str) -> None:
    with (
        pytest.raises(JoinRejected),
        join(getattr(router.launch, way), Credential("operator", "guessed")),
    ):
        pass


def test_a_user_does_not_join_on_the_unix_socket(router: Started) -> None:
    with pytest.raises(JoinRejected), join(router.launch.stack_url, Credential("alice", "hers")):
        pass


def test_anonymous_uses_what_is_outside_and_registers_nothing(router: Started) -> None:
    with join(router.launch.public_url) as session:
        assert rights(session, "com.example.x") == {"call", "publish", "subscribe"}
        assert rights(session, INSIDE) == set()
        assert rights(session, "wampy.demo.transition") == set()
        assert not is_allowed(lambda: session.call(META))
        assert not is_allowed(lambda: session.call("wamp.session.kill", 1))
        assert not is_allowed(lambda: session.subscribe("wamp.session.on_join", print))


@pytest.mark.parametrize("pattern", ["", "w", "wamp", "wampy", "wampy."])
def test_anonymous_hears_nothing_inside_by_a_prefix(router: Started, pattern: str) -> None:
    with join(router.launch.public_url) as session:
        assert not is_allowed(lambda: session.subscribe(pattern, print, match="prefix"))
        assert is_allowed(lambda: session.subscribe("com.", print, match="prefix"))


def test_a_user_has_the_permissions_of_the_manifest(router: Started) -> None:
    with join(router.launch.public_url, Credential("alice", "hers")) as session:
        assert rights(session, "com.shop.buy") == {"call", "register"}
        assert rights(session, "com.example.x") == set()
        assert rights(session, INSIDE) == set()
        assert not is_allowed(lambda: session.call(META))


def test_rawsocket_works_on_the_public_port(router: Started) -> None:
    with join(f"tcp://127.0.0.1:{router.launch.port}") as session:
        assert rights(session, "com.example.x") == {"call", "publish", "subscribe"}


def test_the_configuration_is_private(router: Started) -> None:
    (config,) = router.launch.files
    assert config.stat().st_mode & 0o777 == 0o600
    assert config.parent.stat().st_mode & 0o777 == 0o700


def test_it_ends_cleanly_by_the_first_step(run_dir: Path, start) -> None:
    asked = manifest(run_dir, anonymous="off")
    router = start(plan_router(asked, new_principals(), port_of(asked)))
    router.wait_until_ready()
    with pytest.raises(JoinRejected), join(router.launch.public_url):
        pass
    signum, wait_s = router.launch.stop_steps[0]
    router.process.send_signal(signum)
    assert router.process.wait(wait_s) == 0


def test_a_port_taken_after_the_look_is_told(run_dir: Path, start) -> None:
    asked = manifest(run_dir)
    launch = plan_router(asked, new_principals(), port_of(asked))
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", launch.port))
        listener.listen(1)
        router = start(launch)
        code = router.wait_until_ended()
        told = launch.explain(code, None, router.lines())
    assert told.startswith(f"[router] port: 127.0.0.1:{launch.port} is taken by ")


def own_config(folder: Path, port: int, **more: Any) -> Path:
    """Write a node configuration of a user's: tickets on the unix socket, anonymous on TCP."""
    permission = {
        "uri": "",
        "match": "prefix",
        "allow": {"call": True, "register": True, "publish": True, "subscribe": True},
    }
    roles = [{"name": name, "permissions": [permission]} for name in ("anonymous", "backend")]
    auth = {"ticket": {"type": "static", "principals": {"b": {"ticket": "t", "role": "backend"}}}}
    worker = {
        "type": "router",
        "realms": [{"name": "realm1", "roles": roles}],
        "transports": [
            {
                "type": "websocket",
                "endpoint": {"type": "tcp", "port": port, "interface": "127.0.0.1"},
            },
            {
                "type": "rawsocket",
                "endpoint": {"type": "unix", "path": "own.sock"},
                "auth": auth,
            },
        ],
    }
    folder.mkdir()
    path = folder / "config.json"
    path.write_text(json.dumps({"version": 2, "workers": [worker], **more}))
    return path


@pytest.mark.parametrize(("given", "scheme"), [(None, "ws"), (Join("b", "t"), "unix")])
def test_an_own_configuration_works(run_dir: Path, start, given: Join | None, scheme: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    config = own_config(run_dir / "own", port)
    asked = manifest(run_dir, config=config, join=given)
    router = start(plan_router(asked, new_principals(), port_of(asked)))
    router.wait_until_ready()
    assert router.launch.stack_url.startswith(scheme)
    with join(router.launch.stack_url, router.launch.principals.peer) as session:
        assert rights(session, "com.example.x") == {"call", "register", "publish", "subscribe"}


def test_an_own_configuration_that_is_wrong_is_told(run_dir: Path, start) -> None:
    config = own_config(run_dir / "own", 18996, color="blue")
    asked = manifest(run_dir, config=config)
    router = start(plan_router(asked, new_principals(), 18996))
    told = router.launch.explain(router.wait_until_ended(), None, router.lines())
    assert told == (
        f"[router] config: {config} is refused by Crossbar:"
        " encountered unknown attribute 'color' in top-level configuration"
    )
