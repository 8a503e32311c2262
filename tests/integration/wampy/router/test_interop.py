"""The clients of others with our Router: they call us, we call them, and they prove who they are.

Each runs as a process, a Peer of ``interop/``; what one tells is what its library tells its user.
Where a client lacks something, or has it wrong, its entry in CLIENTS says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import wampy
from tests.integration.wampy.relay import CERTIFICATE, KEY
from tests.support import TIME_SCALE, wait_until
from wampy.router.authentication import (
    Authenticator,
    CryptosignPrincipal,
    ScramPrincipal,
    TicketPrincipal,
    WampCraPrincipal,
)
from wampy.router.config import Tls

ROOT = Path(__file__).parents[4]
PEERS = Path(__file__).with_name("interop")
VALUES: list[Any] = json.loads((PEERS / "values.json").read_text())
OCTETS = b"\0\xff"

#: Whose Peer runs where: the interpreter, or the venv that has it.
CROSSBAR, PYTHON, NODE = "crossbar", "python", "node"

#: Ed25519, as hex: a seed with its public key, and a seed that nobody has.
SEED = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
PUBLIC_KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
OTHER_SEED = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
SECRET = "p4ssword of joe"
PRINCIPALS: dict[str, Any] = {
    "ticket": {"ticket": TicketPrincipal(role="frontend", secret=SECRET)},
    "wampcra": {
        "wampcra": WampCraPrincipal(role="frontend", secret=SECRET),
        "salted": WampCraPrincipal(role="frontend", secret=SECRET, iterations=1000),
    },
    "scram": {"scram": ScramPrincipal(role="frontend", secret=SECRET)},
    "cryptosign": {
        "cryptosign": CryptosignPrincipal(role="frontend", authorized_keys=[PUBLIC_KEY])
    },
}
#: The authids of those, by what a client has.
SIMPLE = (("anonymous", ""), ("ticket", "ticket"))
USUAL = (*SIMPLE, ("wampcra", "wampcra"), ("wampcra", "salted"), ("cryptosign", "cryptosign"))


@dataclass(frozen=True)
class Client:
    """A client, and how it differs from what WAMP has.

    Attributes:
        name: of its file in ``interop/``, without the suffix.
        runs: CROSSBAR, PYTHON or NODE.
        ways: each transport that it has with each serializer that it has there.
        logins: each method that it has, with the authid that joins so.
        caught: what it tells of an error of ours: URI, arguments, keyword arguments.
        raised: what comes of an error of its own.
        progress: whether it has progressive results, both ways.
        octets_in_json: whether it sends and takes them as WAMP has it there.
        left: what it tells when it has left by itself.
        stopped: what it tells when the Router has stopped.
        refused: what it tells when its secret is wrong.
    """

    name: str
    runs: str
    ways: Sequence[str]
    logins: Sequence[tuple[str, str]] = USUAL
    caught: Any = ("com.error.mine", [1], {"key": "value"})
    raised: tuple[str, list[Any], dict[str, Any]] = ("com.error.mine", [1], {"key": "value"})
    progress: bool = True
    octets_in_json: bool = False
    left: str = "wamp.close.goodbye_and_out"
    stopped: str = "wamp.close.system_shutdown"
    refused: str = "wamp.error.authentication_failed"


def ways(*kinds: str) -> list[str]:
    return [f"{kind} {serializer}" for kind in kinds for serializer in ("json", "msgpack", "cbor")]


CLIENTS = {
    "autobahn": Client(
        "autobahn_peer.py",
        CROSSBAR,
        [*ways("ws", "unix", "tcp"), "wss msgpack", "tcps msgpack"],
        # Not SCRAM with PBKDF2: it hands the salt to its PBKDF2 as text, undecoded, which takes
        # octets only ("Invalid argument types"), so no Router can let it join.
        logins=(*USUAL, ("scram", "scram")),
        octets_in_json=True,
    ),
    "xconn": Client(
        "xconn_peer.py",
        PYTHON,
        # Its RawSocket takes URLs for TLS, and connects in the clear.
        [*ways("ws", "unix", "tcp"), "unix+ws msgpack", "wss msgpack"],
        # It sends the arguments of an ApplicationError only.
        raised=("com.error.mine", [1], {}),
        progress=False,
        # It tells nobody the reason of a GOODBYE.
        left="left",
        stopped="disconnected",
    ),
    "swampyer": Client(
        "swampyer_peer.py",
        PYTHON,
        # Not RawSocket with TLS: each of its threads writes to the SSLSocket, without a lock. With
        # two calls in flight the records break ("bad record mac"), whatever the Router is.
        [*ways("ws", "unix", "tcp"), "wss msgpack"],
        logins=SIMPLE,
        # Of an ERROR it keeps the arguments, and of an exception of its own too.
        caught=[1],
        raised=("error.invoke.failure", ["Call failed: ('mine', 1)", "mine", 1], {}),
        progress=False,
        # It closes the connection without waiting for the Router's GOODBYE.
        left="left",
        # Of an ABORT with a text it keeps the text.
        refused="Received abort when trying to connect: unknown authid or wrong credentials",
    ),
    "autobahn-js": Client(
        "autobahn_js_peer.js",
        NODE,
        # Its RawSocket has JSON only.
        [*ways("ws"), "unix json", "tcp json", "wss json"],
    ),
    "wampy.js": Client(
        "wampy_js_peer.js",
        NODE,
        [*ways("ws"), "wss cbor"],
        # It tells nobody the reason of a GOODBYE.
        left="closed",
        stopped="closed",
    ),
}
WAYS = [(name, way) for name, client in CLIENTS.items() for way in client.ways]


class Run:
    """One run of a Peer of others."""

    def __init__(self, client: Client, role: str, url: str, serializer: str, **env: str) -> None:
        folder = ROOT / (".venv-crossbar" if client.runs == CROSSBAR else ".venv-clients")
        program = "node" if client.runs == NODE else str(folder / "bin" / "python")
        paths = {
            "PYTHONPATH": str(ROOT),
            "SSL_CERT_FILE": str(CERTIFICATE),
            "NODE_PATH": str(folder / "node_modules"),
            "NODE_EXTRA_CA_CERTS": str(CERTIFICATE),
        }
        self._process = subprocess.Popen(
            [program, str(PEERS / client.name), role, url, serializer],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **paths, **env},
        )
        # A Peer that hangs ends, and whoever waits for its lines with it.
        self._timer = threading.Timer(30 * TIME_SCALE, self._process.kill)
        self._timer.start()

    def told(self) -> Any:
        """Give what it tells next; fail with its errors when it has ended."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("said: "):
                return json.loads(line.removeprefix("said: "))
        raise AssertionError(self._process.communicate()[1])

    def close(self) -> None:
        self._timer.cancel()
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def run() -> Iterator[Any]:
    """Start one: ``run(client, role, url, serializer)``; killed after the test."""
    made: list[Run] = []

    def start(client: Client, role: str, url: str, serializer: str, **env: str) -> Run:
        made.append(Run(client, role, url, serializer, **env))
        return made[-1]

    yield start
    for one in made:
        one.close()


def started(make_router: Any, kind: str, **options: Any) -> tuple[Any, str]:
    """Start a Router; give it with the URL for that transport."""
    if kind in ("wss", "tcps"):
        router = make_router(tls=Tls(CERTIFICATE, KEY), **options)
        url = router.ws_url if kind == "wss" else router.tcp_url
        # The certificate's name.
        return router, url.replace("127.0.0.1", "localhost")
    if kind == "unix+ws":
        # The only path that xconn asks for there.
        router = make_router(path="/", **options)
        return router, router.unix_url.replace("unix:", "unix+ws:")
    router = make_router(**options)
    return router, {"ws": router.ws_url, "unix": router.unix_url, "tcp": router.tcp_url}[kind]


def by_same_way(router: Any, url: str, kind: str, serializer: str) -> dict[str, Any]:
    """Give what joins ours as theirs joins; a unix socket we use as RawSocket only."""
    url = router.unix_url if kind == "unix+ws" else url
    options: dict[str, Any] = {"url": url, "serializer": serializer}
    return {**options, "ca": str(CERTIFICATE)} if kind in ("wss", "tcps") else options


def offer(session: wampy.Session) -> list[Any]:
    """Register what the callers call; give the list in which their events come."""
    events: list[Any] = []

    def fail() -> None:
        raise wampy.ApplicationError("com.error.mine", [1], {"key": "value"})

    def progress(count: int) -> Generator[int, None, str]:
        yield from range(count)
        return "done"

    def publish() -> None:
        for value in VALUES:
            session.publish("com.ours.events", value, key=value, acknowledge=True)
        session.publish("com.ours.matched", acknowledge=True)
        session.publish("com.ours.matched.more", acknowledge=True)

    session.register("com.ours.echo", lambda *args, **kwargs: [list(args), kwargs])
    session.register("com.ours.is_bytes", lambda value: value == OCTETS)
    session.register("com.ours.fail", fail)
    session.register("com.ours.progress", progress)
    session.register("com.ours.publish", publish)
    session.subscribe("com.ours.topic", lambda *args, **kwargs: events.append([args, kwargs]))
    return events


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_it_calls_us(make_router, session, run, name, way):
    client = CLIENTS[name]
    kind, serializer = way.split()
    router, url = started(make_router, kind)
    ours = session(**by_same_way(router, url, kind, serializer))
    events = offer(ours)
    left: list[int] = []
    ours.subscribe("wamp.session.on_leave", lambda who, *others: left.append(who))
    peer = run(client, "caller", url, serializer)
    told = peer.told()
    assert told["echo"] == [[[value], {"key": value}] for value in VALUES]
    assert told["shapes"] == [[[], {}], [[1, 2], {}], [[], {"a": 1}]]
    if serializer != "json" or client.octets_in_json:
        assert told["bytes"] == [True, True]
    assert told["error"] == list(client.caught)
    if client.progress:
        assert told["progress"] == ["done", [0, 1, 2]]
    assert told["events"] == [[[value], {"key": value}] for value in VALUES]
    assert told["matched"] == ["com.ours.matched", "com.ours.matched.more"] * 2
    assert told["unsubscribed"]
    assert told["many"] == list(range(200))
    wait_until(lambda: len(events) == len(VALUES))
    assert events == [[(value,), {"key": value}] for value in VALUES]
    assert peer.told() == client.left
    wait_until(lambda: len(left) == 1)


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_we_call_it(make_router, session, run, name, way):
    client = CLIENTS[name]
    kind, serializer = way.split()
    router, url = started(make_router, kind)
    peer = run(client, "callee", url, serializer)
    assert peer.told() == "ready"
    caller = session(**by_same_way(router, url, kind, serializer))
    values = [*VALUES, OCTETS] if serializer != "json" or client.octets_in_json else VALUES
    for value in values:
        assert caller.call("com.peer.echo", value, key=value) == [[value], {"key": value}]
    assert caller.call("com.peer.echo") == [[], {}]
    assert caller.call("com.peer.echo", 1, 2) == [[1, 2], {}]
    assert caller.call("com.peer.echo", a=1) == [[], {"a": 1}]
    assert caller.call("com.peer.pattern.more", 1) == [[1], {}]
    with pytest.raises(wampy.RequestError) as raised:
        caller.call("com.peer.fail")
    error = raised.value
    assert (error.uri, list(error.args), dict(error.kwargs)) == client.raised
    if client.progress:
        assert list(caller.call_progress("com.peer.progress", 3)) == [0, 1, 2, "done"]
    with pytest.raises(wampy.NoSuchProcedure):
        caller.call("com.peer.gone")
    many = [caller.call_async("com.peer.echo", number) for number in range(200)]
    assert [one.result(10 * TIME_SCALE)[0][0] for one in many] == list(range(200))
    router.server.stop()
    assert peer.told() == client.stopped


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_it_proves_who_it_is(make_router, run, name, way):
    client = CLIENTS[name]
    kind, serializer = way.split()
    authenticator = Authenticator(anonymous="anonymous", **PRINCIPALS)
    _, url = started(make_router, kind, authenticator=authenticator)
    asked, expected = [], []
    for method, authid in client.logins:
        right, wrong = (SEED, OTHER_SEED) if method == "cryptosign" else (SECRET, "wrong")
        asked.append([method, authid, right])
        expected.append(["joined", authid, "frontend"])
        if method != "anonymous":
            asked.append([method, authid, wrong])
            expected.append(["refused", client.refused])
    peer = run(client, "join", url, serializer, PEER_LOGINS=json.dumps(asked))
    told = [peer.told() for _ in asked]
    # The Router's own choice is what nobody is called.
    expected[0] = ["joined", told[0][1], "anonymous"]
    assert told == expected
