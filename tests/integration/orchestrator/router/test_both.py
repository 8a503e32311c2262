"""The same manifest over each Router: who joins by which method, what the authorizer and TLS do.

A manifest changes Routers by one word. What only one of them can do is a fault of the manifest with
the other, see ``tests/unit/orchestrator/manifest/test_crossbar_rules.py``.
"""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wampy
from orchestrator.manifest.model import KeyUser, Permission, RouterLimits, TicketUser, Tls
from orchestrator.router import Credential, new_principals, plan_router, port_of
from tests.documents import DOCS, run_document
from tests.integration.orchestrator.router.started import (
    Started,
    is_allowed,
    join,
    join_as,
    manifest,
    rights,
)
from tests.integration.wampy.relay import CERTIFICATE, KEY, Relay
from tests.support import TIME_SCALE, wait_until
from wampy import RequestError, Session
from wampy.auth import Cryptosign, Scram, Ticket, WampCra
from wampy.errors import JoinRejected

SEED, OTHER_SEED = "11" * 32, "22" * 32
PING = 0x89
AUTHORIZER = "com.example.authorize"
METHODS = ["ticket", "wampcra", "scram", "cryptosign"]
#: Who joins by each method, with the right secret, with a wrong one; in what role.
USERS: dict[str, tuple[str, str, str, str]] = {
    "ticket": ("alice", "hers", "guessed", "asked"),
    "wampcra": ("bob", "his", "guessed", "front"),
    "scram": ("carol", "her password", "guessed", "front"),
    "cryptosign": ("dave", SEED, OTHER_SEED, "front"),
}
AUTHENTICATIONS: dict[str, Any] = {
    "ticket": Ticket, "wampcra": WampCra, "scram": Scram, "cryptosign": Cryptosign,
}  # fmt: skip
ROLES = {
    "front": (
        Permission("", "prefix", frozenset({"call"})),
        Permission("com.shop.", "prefix", frozenset({"call", "register"})),
        Permission("com.shop.shut", "exact", frozenset()),
        Permission("org..open", "wildcard", frozenset({"publish"})),
    ),
    "asked": (),
}


def users(method: str) -> dict[str, TicketUser]:
    authid, secret, _, role = USERS[method]
    return {authid: TicketUser(role, secret)}


def started(kind: str, **router: Any) -> Iterator[Started]:
    """Carry a plan out, for all tests of this file."""
    run_dir = Path(tempfile.mkdtemp(prefix="wampy-"))
    asked = manifest(run_dir, type=kind, **router)
    one = Started(plan_router(asked, new_principals(), port_of(asked)), run_dir / "log")
    try:
        one.wait_until_ready()
        yield one
    finally:
        one.close()
        shutil.rmtree(run_dir)


@pytest.fixture(params=["builtin", "crossbar"], scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def router(kind: str) -> Iterator[Started]:
    """All methods, an authorizer, TLS, and a small message size."""
    key = Cryptosign("dave", SEED).public_key.upper()
    yield from started(
        kind,
        anonymous="off",
        tickets=users("ticket"),
        wampcra=users("wampcra"),
        scram=users("scram"),
        cryptosign={"dave": KeyUser("front", ("00" * 32, key))},
        roles=ROLES,
        authorizer=AUTHORIZER,
        tls=Tls(CERTIFICATE, KEY, None),
        limits=RouterLimits(message_bytes=2**16),
    )


@pytest.fixture(scope="module")
def guarded(kind: str) -> Iterator[Started]:
    """Only two connections at once, and only with a certificate of the client's; fast pings."""
    yield from started(
        kind,
        tls=Tls(CERTIFICATE, KEY, CERTIFICATE),
        limits=RouterLimits(sessions=2, ping_interval_s=1.0),
    )


def url_of(router: Started) -> str:
    """Give the URL by the name that the certificate has."""
    assert router.launch.public_url.startswith("wss://127.0.0.1:")
    return router.launch.public_url.replace("127.0.0.1", "localhost")


def joined(router: Started, method: str, secret: str, authid: str | None = None) -> Session:
    authentication = AUTHENTICATIONS[method](authid or USERS[method][0], secret)
    return join_as(url_of(router), authentication, ca=str(CERTIFICATE))


# ---------------------------------------------------------------------- who joins


@pytest.mark.parametrize("method", METHODS)
def test_the_right_secret_lets_in_as_that_role(router: Started, method: str) -> None:
    authid, secret, _, role = USERS[method]
    operator = join(router.launch.stack_url, router.launch.principals.operator)
    with operator, joined(router, method, secret) as session:
        details = operator.call("wamp.session.get", session.id)
    assert [details[key] for key in ("authid", "authrole", "authmethod")] == [authid, role, method]


@pytest.mark.parametrize("method", METHODS)
def test_a_wrong_secret_does_not(router: Started, method: str) -> None:
    with pytest.raises(JoinRejected), joined(router, method, USERS[method][2]):
        pass


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_name_does_not(router: Started, method: str) -> None:
    with pytest.raises(JoinRejected), joined(router, method, USERS[method][1], "eve"):
        pass


@pytest.mark.parametrize("method", METHODS)
def test_a_secret_is_of_one_method_only(router: Started, method: str) -> None:
    """Bob's, who joins by WAMP-CRA, is no ticket."""
    other = "ticket" if method != "ticket" else "wampcra"
    authid, secret, _, _ = USERS[method]
    with pytest.raises(JoinRejected), joined(router, other, secret, authid):
        pass


def test_nobody_joins_without_a_secret(router: Started) -> None:
    with (
        pytest.raises(JoinRejected),
        Session(url_of(router), reconnect=False, ca=str(CERTIFICATE)) as session,
    ):
        session.call("com.example.x")


@pytest.mark.parametrize("method", METHODS)
def test_of_several_methods_the_router_picks_one_that_it_takes(
    router: Started, method: str
) -> None:
    """All four are offered for each user, and the Router knows one of them for it."""
    authid, secret, _, role = USERS[method]
    offered = [
        AUTHENTICATIONS[other](authid, secret if other == method or other != "cryptosign" else SEED)
        for other in METHODS
        # A Router may pick the first that it takes at all, whoever asks.
        if other in (method, "cryptosign")
    ]
    session = join_as(url_of(router), offered[:1], ca=str(CERTIFICATE))
    with session:
        assert [session.details[key] for key in ("authid", "authrole")] == [authid, role]
    if method != "cryptosign":
        with join_as(url_of(router), offered, ca=str(CERTIFICATE)) as session:
            assert session.details["authmethod"] == method


def test_the_guide_s_examples_do_what_they_say(
    router: Started,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, (authid, secret, _, _) in USERS.items():
        monkeypatch.setenv(f"{authid.upper()}S_SECRET", secret)
        path = tmp_path / f"{name}.secret"
        path.write_text(f"{secret}\n")
        path.chmod(0o600)
    replaced = {
        "wss://router.example.com/ws": url_of(router),
        "/run/secrets/": f"{tmp_path}/",
        "/etc/ssl/our-ca.pem": str(CERTIFICATE),
    }
    run_document(DOCS / "joining.md", replaced, capsys)


@pytest.mark.parametrize("method", METHODS)
def test_who_reconnects_proves_it_anew(router: Started, method: str) -> None:
    authid, secret, _, role = USERS[method]
    relay = Relay(router.launch.port)
    try:
        session = join_as(
            f"wss://localhost:{relay.port}/ws",
            [AUTHENTICATIONS[method](authid, secret)],
            ca=str(CERTIFICATE),
            reconnect=True,
        )
        with session:
            for _ in range(2):
                former = session.id
                relay.cut()
                wait_until(lambda former=former: session.id not in (None, former))  # type: ignore[misc]
                assert session.details["authrole"] == role
    finally:
        relay.close()


@pytest.mark.parametrize("method", METHODS)
def test_users_do_not_join_on_the_unix_socket(router: Started, method: str) -> None:
    authid, secret, _, _ = USERS[method]
    authentication = AUTHENTICATIONS[method](authid, secret)
    with pytest.raises(JoinRejected), join_as(router.launch.stack_url, authentication):
        pass


def test_clients_of_autobahn_join_as_well(router: Started, crossbar_executable: Path) -> None:
    """Their SCRAM is not ours: it would notice keys that only we derive like that."""
    logins = [
        [method, USERS[method][0], secret]
        for method in METHODS
        for secret in (USERS[method][1], USERS[method][2])
    ]
    # The same key and the wrong one, bound to the TLS connection.
    logins += [[*login, "tls-unique"] for login in logins if login[0] == "cryptosign"]
    ended = subprocess.run(
        [
            crossbar_executable.with_name("python"), Path(__file__).with_name("logins.py"),
            url_of(router), str(CERTIFICATE),
        ],
        input=json.dumps(logins), capture_output=True, text=True, check=False,
        timeout=60 * TIME_SCALE,
    )  # fmt: skip
    told = [
        json.loads(line.removeprefix("said: "))
        for line in ended.stdout.splitlines()
        if line.startswith("said: ")
    ]
    expected: list[Any] = []
    for method in [*METHODS, "cryptosign"]:
        authid, _, _, role = USERS[method]
        expected += [[authid, role, method], None]
    assert told == expected, ended


def test_no_secret_is_in_the_arguments_or_the_log(router: Started) -> None:
    argv = Path(f"/proc/{router.process.pid}/cmdline").read_text()
    log = "\n".join(router.lines())
    for method in ("ticket", "wampcra", "scram"):
        for secret in (USERS[method][1], *(one.secret for one in own_credentials(router))):
            assert secret not in argv
            assert f"{secret}'" not in log
            assert f'{secret}"' not in log


def own_credentials(router: Started) -> list[Any]:
    principals = router.launch.principals
    return [principals.orchestrator, principals.peer, principals.operator]


# ---------------------------------------------------------------------- roles, and who is asked


def test_a_role_has_its_permissions_and_nobody_is_asked(router: Started) -> None:
    with joined(router, "wampcra", "his") as session:
        assert rights(session, "com.shop.buy") == {"call", "register"}
        assert rights(session, "com.shop.shut") == set()
        assert rights(session, "com.shop.shutter") == {"call", "register"}
        assert rights(session, "org.example.open") == {"publish"}
        assert rights(session, "org.example.shut") == {"call"}
        assert rights(session, "com.example.x") == {"call"}
        assert not is_allowed(lambda: session.call("wamp.session.count"))


def test_the_authorizer_decides_for_a_role_without_permissions(router: Started) -> None:
    asked: list[Any] = []

    def authorize(details: Any, uri: str, action: str, options: Any) -> Any:
        asked.append((details, uri, action, options))
        # Crossbar answers nothing at all to a PUBLISH where disclose is left out.
        answers: dict[str, Any] = {
            "yes": True,
            "dict": {"allow": True, "disclose": False},
            "no": False,
            "not": {"allow": False, "disclose": False},
        }
        return answers[uri.rpartition(".")[2]]

    peer = join(router.launch.stack_url, router.launch.principals.peer)
    with peer, joined(router, "ticket", "hers") as session:
        peer.register(AUTHORIZER, authorize)
        everything = {"call", "register", "publish", "subscribe"}
        assert rights(session, "com.example.yes") == everything
        assert rights(session, "com.example.dict") == everything
        assert rights(session, "com.example.no") == set()
        assert rights(session, "com.example.not") == set()
        assert {action for _, _, action, _ in asked} == everything
        details, uri, action, options = asked[0]
        assert (uri, action, type(options)) == ("com.example.yes", "call", dict)
        assert {key: details[key] for key in ("session", "authid", "authrole", "authmethod")} == {
            "session": session.id,
            "authid": "alice",
            "authrole": "asked",
            "authmethod": "ticket",
        }


def test_an_authorizer_that_is_not_there_lets_nobody(router: Started) -> None:
    with (
        joined(router, "ticket", "hers") as session,
        pytest.raises(RequestError, match=r"authoriz"),
    ):
        session.call("com.example.yes")


@pytest.mark.parametrize("answer", [None, "yes", 1, {}, {"allow": "yes"}])
def test_an_answer_that_is_none_lets_nobody(router: Started, answer: Any) -> None:
    peer = join(router.launch.stack_url, router.launch.principals.peer)
    with peer, joined(router, "ticket", "hers") as session:
        peer.register(AUTHORIZER, lambda *args: answer)
        with pytest.raises(RequestError, match=r"authoriz"):
            session.call("com.example.x")


# ---------------------------------------------------------------------- limits


@pytest.mark.parametrize("way", ["wss", "tcps", "unix"])
def test_a_message_beyond_the_size_is_not_taken(router: Started, way: str, kind: str) -> None:
    """Nor sent, where the Router has said how much it takes: that costs the call alone."""
    options: dict[str, Any] = {"ca": str(CERTIFICATE)}
    if way == "unix":
        credential = router.launch.principals.peer
        url, options = router.launch.stack_url, {}
    else:
        credential = Credential("alice", "hers")
        url = url_of(router) if way == "wss" else f"tcps://localhost:{router.launch.port}"
    peer = join(router.launch.stack_url, router.launch.principals.peer)
    authentication = Ticket(str(credential.authid), str(credential.secret))
    with peer, join_as(url, authentication, **options) as session:
        peer.register(AUTHORIZER, lambda *args: True)
        peer.register("com.example.length", len)
        assert session.call("com.example.length", "x" * 60_000) == 60_000
        first = session.id
        with pytest.raises(wampy.WampyError) as raised:
            session.call("com.example.length", "x" * 70_000)
        assert not isinstance(raised.value, wampy.RequestTimeout)
        if way != "wss" or kind == "builtin":
            assert isinstance(raised.value, wampy.MessageTooLong)
            assert "takes at most 65536" in str(raised.value)
            assert session.call("com.example.length", "x") == 1
            assert session.id == first


# ---------------------------------------------------------------------- TLS


def test_the_certificate_is_verified(router: Started) -> None:
    with pytest.raises(wampy.ConnectFailed, match="certificate is not trusted"):
        Session(url_of(router))


def test_nothing_is_taken_in_the_clear(router: Started) -> None:
    with socket.create_connection(("127.0.0.1", router.launch.port)) as sock:
        sock.settimeout(10 * TIME_SCALE)
        sock.sendall(b"\x7f\xf1\0\0" + b"\0" * 60)
        try:
            answer = sock.recv(4)
        except ConnectionResetError:
            answer = b""
    assert answer[:1] != b"\x7f"


class Connection:
    """RawSocket or WebSocket over TLS, with a certificate of the client's or without."""

    def __init__(self, port: int, certificate: Path | None, key: Path | None = None) -> None:
        context = ssl.create_default_context(cafile=str(CERTIFICATE))
        if certificate is not None:
            context.load_cert_chain(certificate, key)
        # Wrapped before it is connected: what is reset at once would be left open otherwise.
        self.sock = context.wrap_socket(socket.socket(), server_hostname="localhost")
        self.sock.settimeout(10 * TIME_SCALE)
        try:
            self.sock.connect(("127.0.0.1", port))
        except BaseException:
            self.sock.close()
            raise

    def hello(self) -> bytes:
        """Give the answer to a RawSocket handshake; empty: it was closed."""
        self.sock.sendall(b"\x7f\xf1\0\0")
        return self.sock.recv(4)

    def upgrade(self) -> None:
        self.sock.sendall(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: wamp.2.json\r\n\r\n"
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.sock.recv(1)
        assert head.startswith(b"HTTP/1.1 101 "), head

    def send(self, *fields: Any) -> None:
        """Send a short message, masked with zeros."""
        text = json.dumps(fields).encode()
        assert len(text) < 126
        self.sock.sendall(bytes((0x81, 0x80 | len(text))) + bytes(4) + text)

    def frame(self) -> int:
        """Read a frame, answer it if it is a ping; give its first byte."""
        first, size = self._read(2)
        if size == 126:
            size = int.from_bytes(self._read(2), "big")
        payload = self._read(size)
        if first == PING:
            self.sock.sendall(bytes((0x8A, 0x80 | size)) + bytes(4) + payload)
        return first

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            got = self.sock.recv(size - len(data))
            assert got, "closed"
            data += got
        return data

    def close(self) -> None:
        self.sock.close()


def answer_of(port: int, certificate: Path | None, key: Path | None = None) -> bytes:
    """Give what one connection is answered; empty: nothing, as it is refused or closed."""
    try:
        connection = Connection(port, certificate, key)
    except OSError:
        return b""
    try:
        return connection.hello()
    except OSError:
        return b""
    finally:
        connection.close()


def test_a_client_shows_a_certificate_of_that_ca(guarded: Started) -> None:
    port = guarded.launch.port
    assert answer_of(port, CERTIFICATE, KEY)[:1] == b"\x7f"
    assert answer_of(port, None) == b""
    other = CERTIFICATE.with_name("other.pem")
    assert answer_of(port, other, other.with_suffix(".key")) == b""


def test_a_session_shows_a_certificate(guarded: Started, tmp_path: Path) -> None:
    url, ca = url_of(guarded), str(CERTIFICATE)
    shown: dict[str, Any] = {"certificate": str(CERTIFICATE), "key": str(KEY)}
    with Session(url, ca=ca, reconnect=False, **shown) as session:
        assert session.is_joined
    both = tmp_path / "both.pem"
    both.write_text(KEY.read_text() + CERTIFICATE.read_text())
    with Session(url, ca=ca, reconnect=False, certificate=str(both)) as session:
        assert session.is_joined
    other = CERTIFICATE.with_name("other.pem")
    for options in ({}, {"certificate": str(other), "key": str(other.with_suffix(".key"))}):
        # TLS 1.3 tells a client only after its own last word that it was refused.
        with (
            pytest.raises((wampy.ConnectFailed, wampy.ConnectionLost)),
            Session(url, ca=ca, reconnect=False, **options),  # type: ignore[arg-type]
        ):
            pass


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"key": "k.pem"}, "a key was given, and no certificate"),
        ({"certificate": "none.pem"}, "certificate none.pem cannot be used: no such file"),
        ({"ca": "none.pem"}, "ca none.pem cannot be used: no such file"),
        (
            {"certificate": str(CERTIFICATE)},
            "cannot be used",
        ),
        (
            {"certificate": str(CERTIFICATE), "key": str(CERTIFICATE.with_name("other.key"))},
            "localhost.pem with the key .*other.key cannot be used",
        ),
    ],
)
def test_files_that_cannot_be_used_are_named(
    guarded: Started, options: dict[str, str], reason: str
) -> None:
    with pytest.raises(wampy.ConnectFailed, match=reason):
        Session(url_of(guarded), reconnect=False, **options)  # type: ignore[arg-type]


def test_a_certificate_needs_tls() -> None:
    with pytest.raises(wampy.ConnectFailed, match="this URL has no TLS"):
        Session("ws://127.0.0.1:9/ws", certificate=str(CERTIFICATE))


def test_no_more_connections_than_sessions(guarded: Started) -> None:
    port = guarded.launch.port
    held: list[Connection] = []

    def is_held() -> bool:
        try:
            held.append(Connection(port, CERTIFICATE, KEY))
            if held[-1].hello():
                return True
        except OSError:
            pass
        return False

    try:
        # Those of the tests before may not be gone yet.
        wait_until(is_held)
        wait_until(is_held)
        assert answer_of(port, CERTIFICATE, KEY) == b""
        held.pop().close()
        wait_until(is_held)
    finally:
        for connection in held:
            connection.close()
    # The stack itself gets in all the same.
    with join(guarded.launch.stack_url, guarded.launch.principals.operator) as operator:
        assert operator.call("wamp.session.count") >= 1


def test_pings_come_at_the_manifest_s_interval(guarded: Started) -> None:
    """The default would be ten seconds, longer than this test waits for the second one."""
    connection = Connection(guarded.launch.port, CERTIFICATE, KEY)
    connection.sock.settimeout(6 * TIME_SCALE)
    try:
        connection.upgrade()
        connection.send(1, "realm1", {"roles": {"caller": {}}, "authmethods": ["anonymous"]})
        pings = 0
        while pings < 2:
            pings += connection.frame() == PING
    finally:
        connection.close()
