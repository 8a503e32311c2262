"""The guide's examples, run as they stand, over the built-in Router."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import RealRouter, short_folder
from tests.documents import DOCS, README, URL, blocks, run_document
from tests.integration.wampy.relay import CERTIFICATE, KEY
from tests.integration.wampy.router.conftest import RunningRouter
from wampy import Peer, Session
from wampy.auth import Cryptosign
from wampy.router.authentication import (
    Authenticator,
    CryptosignPrincipal,
    ScramPrincipal,
    TicketPrincipal,
    WampCraPrincipal,
)
from wampy.router.config import Tls
from wampy.testing import peer_worker

SEED = "11" * 32


@pytest.mark.parametrize(
    "name", ["calling", "serving", "publishing", "asyncio", "testing", "migrating"]
)
def test_the_examples_do_what_they_say(
    name: str, builtin_router: RealRouter, capsys: pytest.CaptureFixture[str]
) -> None:
    run_document(DOCS / f"{name}.md", {URL: builtin_router.url}, capsys)


@pytest.fixture
def guarded() -> Iterator[RunningRouter]:
    """Run a Router over TLS that knows those of the page on joining."""
    role = "frontend"
    authenticator = Authenticator(
        anonymous=None,
        ticket={"alice": TicketPrincipal(role=role, secret="alice's")},
        wampcra={"bob": WampCraPrincipal(role=role, secret="bob's")},
        scram={"carol": ScramPrincipal(role=role, secret="carol's")},
        cryptosign={
            "dave": CryptosignPrincipal(
                role=role, authorized_keys=[Cryptosign(None, SEED).public_key]
            )
        },
    )
    with short_folder() as folder:
        router = RunningRouter(folder, authenticator=authenticator, tls=Tls(CERTIFICATE, KEY))
        yield router
        router.end()


def test_the_examples_of_joining(
    guarded: RunningRouter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "wampcra.secret").write_text("bob's")
    (tmp_path / "wampcra.secret").chmod(0o600)
    monkeypatch.setenv("ALICES_SECRET", "alice's")
    monkeypatch.setenv("CAROLS_SECRET", "carol's")
    monkeypatch.setenv("DAVES_SECRET", SEED)
    replaced = {
        "wss://router.example.com/ws": f"wss://localhost:{guarded.port}/ws",
        "/etc/ssl/our-ca.pem": str(CERTIFICATE),
        "/run/secrets": str(tmp_path),
    }
    run_document(DOCS / "joining.md", replaced, capsys)


def test_the_readmes_peer_and_session(builtin_router: RealRouter) -> None:
    """The Peer answers; what the Session calls is there, under names of this test's own."""
    peer, session, stack = (source for _, source in blocks(README))
    names: dict[str, object] = {"__name__": "readme"}
    exec(compile(peer, "README.md", "exec"), names)
    hello = names["Hello"]
    assert isinstance(hello, type)
    assert issubclass(hello, Peer)
    worker = peer_worker(hello)
    assert worker.call("com.example.hello.greet", "joe").startswith("hello joe, from ")
    prefix = f"com.example.readme{secrets.token_hex(4)}."
    source = session.replace(URL, builtin_router.url).replace("com.example.", prefix)
    with Session(builtin_router.url, timeout=10.0) as other:
        other.register(f"{prefix}search.find", lambda text, limit: [text] * limit)
        other.register(f"{prefix}clock.now", lambda: "now")
        exec(compile(source, "README.md", "exec"), names)
    assert "Stack.from_manifest" in stack  # a stack is what the system tests start
