"""The method ``tls``: a real Crossbar knows its principals by the certificates that they show."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

import wampy
from tests.conftest import free_port
from tests.integration.wampy.relay import CERTIFICATE, KEY
from wampy.auth import TlsCertificate
from wampy.testing.executables import find_crossbar
from wampy.testing.routers import Crossbar

OTHER = CERTIFICATE.with_name("other.pem")


def fingerprint(certificate: Path) -> str:
    """Give the SHA-1 of a certificate as Crossbar writes it."""
    digest = hashlib.sha1(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest().upper()
    return ":".join(digest[place : place + 2] for place in range(0, len(digest), 2))


@pytest.fixture(scope="module")
def crossbar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crossbar]:
    folder = tmp_path_factory.mktemp("tls")
    everything = {
        "uri": "",
        "match": "prefix",
        "allow": dict.fromkeys(("call", "register", "publish", "subscribe"), True),
    }
    known = {"certificate-sha1": fingerprint(CERTIFICATE), "role": "backend"}
    tls = {
        "certificate": str(CERTIFICATE),
        "key": str(KEY),
        "ca_certificates": [str(CERTIFICATE), str(OTHER)],
    }
    worker = {
        "type": "router",
        "realms": [{"name": "realm1", "roles": [{"name": "backend", "permissions": [everything]}]}],
        "transports": [
            {
                "type": "websocket",
                "endpoint": {"type": "tcp", "port": free_port(), "tls": tls},
                "auth": {"tls": {"type": "static", "principals": {"joe": known}}},
            }
        ],
    }
    config = folder / "config.json"
    config.write_text(json.dumps({"version": 2, "workers": [worker]}))
    command = str(find_crossbar(Path(__file__).parent))
    with Crossbar("localhost", config, folder, command=command, quiet=True) as router:
        yield router


def join(crossbar: Crossbar, certificate: Path | None, authid: str | None = None) -> wampy.Session:
    shown = {}
    if certificate is not None:
        shown = {"certificate": str(certificate), "key": str(certificate.with_suffix(".key"))}
    return wampy.Session(
        crossbar.url,
        auth=TlsCertificate(authid),
        ca=str(CERTIFICATE),
        reconnect=False,
        timeout=10.0,
        **shown,  # type: ignore[arg-type]
    )


def test_whose_certificate_is_known_joins_as_who_it_names(crossbar: Crossbar) -> None:
    with join(crossbar, CERTIFICATE) as session:
        details = session.details
        assert [details[key] for key in ("authid", "authrole", "authmethod")] == [
            "joe",
            "backend",
            "tls",
        ]
        session.register("com.example.double", lambda number: number * 2)
        assert session.call("com.example.double", 2) == 4


def test_another_s_does_not(crossbar: Crossbar) -> None:
    with pytest.raises(wampy.JoinRejected), join(crossbar, OTHER, "joe"):
        pass


def test_whoever_shows_none_is_not_let_in(crossbar: Crossbar) -> None:
    with pytest.raises(wampy.WampyError), join(crossbar, None, "joe"):
        pass
