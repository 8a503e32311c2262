"""Both ends of a TLS connection know it by the same octets; in memory, with no socket."""

from __future__ import annotations

import contextlib
import hashlib
import ssl
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.wampy.relay import CERTIFICATE, KEY
from wampy.transports.channel import channel_id_of

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@dataclass
class Pair:
    """Two ends, and what is on its way between them."""

    client: ssl.SSLObject
    server: ssl.SSLObject
    wires: list[tuple[ssl.MemoryBIO, ssl.MemoryBIO]]

    def carry(self) -> None:
        for source, target in self.wires:
            target.write(source.read())

    def shake_hands(self) -> None:
        for _ in range(4):
            for end in (self.client, self.server):
                with contextlib.suppress(ssl.SSLWantReadError):
                    end.do_handshake()
                self.carry()

    def talk(self) -> None:
        for one, other in ((self.client, self.server), (self.server, self.client)):
            one.write(b"x")
            self.carry()
            assert other.read(1) == b"x"

    def ids(self) -> list[bytes | None]:
        return [channel_id_of(self.client), channel_id_of(self.server)]


class Ends:
    """Makes pairs of one version."""

    def __init__(self, version: ssl.TLSVersion) -> None:
        self.there = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.there.load_cert_chain(CERTIFICATE, KEY)
        self.here = ssl.create_default_context(cafile=str(CERTIFICATE))
        self.here.minimum_version = self.here.maximum_version = version

    def pair(self, session: Any = None) -> Pair:
        a, b, c, d = (ssl.MemoryBIO() for _ in range(4))
        client = self.here.wrap_bio(a, b, server_hostname="localhost", session=session)
        made = Pair(client, self.there.wrap_bio(c, d, server_side=True), [(b, c), (d, a)])
        assert made.ids() == [None, None]
        made.shake_hands()
        return made


@pytest.mark.parametrize("version", VERSIONS)
def test_both_ends_have_one_id_and_keep_it(version: ssl.TLSVersion) -> None:
    """With TLS 1.3, too, where session tickets follow the handshake."""
    made = Ends(version).pair()
    before = made.ids()
    assert before[0] is not None
    assert len(before[0]) == 32
    for _ in range(3):
        made.talk()
    assert made.ids() == before == [before[0]] * 2


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_what_autobahn_and_crossbar_take(version: ssl.TLSVersion) -> None:
    made = Ends(version).pair()
    finished = made.client.get_channel_binding("tls-unique")
    assert finished is not None
    assert made.ids() == [hashlib.sha256(finished).digest()] * 2


@pytest.mark.parametrize("version", VERSIONS)
def test_no_two_connections_have_the_same(version: ssl.TLSVersion) -> None:
    ends = Ends(version)
    assert len({ends.pair().ids()[0] for _ in range(20)}) == 20


@pytest.mark.parametrize("version", VERSIONS)
def test_a_resumed_session_has_none(version: ssl.TLSVersion) -> None:
    ends = Ends(version)
    first = ends.pair()
    first.talk()
    resumed = ends.pair(first.client.session)
    assert resumed.client.session_reused
    assert resumed.ids() == [None, None]


def test_what_is_no_tls_or_cannot_tell_has_none() -> None:
    class Without:
        session_reused = False

        def get_channel_binding(self, kind: str) -> bytes:
            raise ValueError(f"{kind} channel binding type not implemented")

    for one in (None, object(), Without()):
        assert channel_id_of(one) is None
