"""What Crossbar is told of TLS: one certificate a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import RouterUnavailable
from orchestrator.manifest.model import Manifest, Tls
from orchestrator.router import new_principals, plan_router
from orchestrator.router.crossbar_tls import listening_tls

CERTIFICATES = Path(__file__).parents[3] / "integration" / "wampy" / "certificates"
CERTIFICATE, KEY = CERTIFICATES / "localhost.pem", CERTIFICATES / "localhost.key"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Three certificates in one file, with text between them as OpenSSL writes it."""
    path = tmp_path / "bundle.pem"
    path.write_text(f"Issuer: CN = localhost\n{CERTIFICATE.read_text()}\n\n" * 3)
    return path


def test_one_certificate(tmp_path: Path) -> None:
    config, files = listening_tls(Tls(CERTIFICATE, KEY, None), tmp_path)
    assert config == {"certificate": str(CERTIFICATE), "key": str(KEY)}
    assert files == {}


def test_a_chain_and_several_client_cas_are_taken_apart(tmp_path: Path, bundle: Path) -> None:
    config, files = listening_tls(Tls(bundle, KEY, bundle), tmp_path)
    assert [Path(one).name for one in config["chain_certificates"]] == [
        "chain-0.pem",
        "chain-1.pem",
    ]
    assert len(config["ca_certificates"]) == 3
    assert {str(path) for path in files} == {
        *config["chain_certificates"],
        *config["ca_certificates"],
    }
    assert {text.strip() for text in files.values()} == {CERTIFICATE.read_text().strip()}


@pytest.mark.parametrize("key", ["certificate", "client_ca"])
def test_a_file_without_certificates_is_told(tmp_path: Path, key: str) -> None:
    files = {"certificate": CERTIFICATE, "key": KEY, "client_ca": CERTIFICATE, key: KEY}
    with pytest.raises(RouterUnavailable, match=r"\[router\] tls"):
        listening_tls(Tls(**files), tmp_path)


def test_a_client_ca_that_is_not_there_is_told(tmp_path: Path) -> None:
    tls = Tls(CERTIFICATE, KEY, tmp_path / "gone.pem")
    with pytest.raises(RouterUnavailable, match=r"tls\.client_ca: .*gone\.pem cannot be read"):
        listening_tls(tls, tmp_path)


def test_a_key_of_another_certificate_is_told(tmp_path: Path) -> None:
    other = CERTIFICATES / "other.key"
    with pytest.raises(RouterUnavailable, match=r"tls: .*expected PEM files that belong together"):
        listening_tls(Tls(CERTIFICATE, other, None), tmp_path)


@pytest.mark.usefixtures("crossbar_program")
def test_the_plan_has_the_files_and_the_url(
    make_manifest: Callable[..., Manifest], run_dir: Path, bundle: Path
) -> None:
    launch = plan_router(make_manifest(tls=Tls(CERTIFICATE, KEY, bundle)), new_principals(), 4711)
    assert launch.public_url == "wss://127.0.0.1:4711/ws"
    assert launch.stack_url == f"unix://{run_dir}/router.sock"
    folder = run_dir / "router"
    assert {path.name for path in launch.files} == {
        "config.json",
        *(f"client-ca-{number}.pem" for number in range(3)),
    }
    config = json.loads(launch.files[folder / "config.json"])
    endpoint = config["workers"][0]["transports"][1]["endpoint"]
    assert endpoint["tls"]["ca_certificates"][0] == str(folder / "client-ca-0.pem")
