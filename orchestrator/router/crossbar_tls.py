"""TLS of a generated Crossbar's TCP listener: what its configuration says, and the files it needs.

Crossbar reads one certificate a file; those of a chain, or of several client CAs, are commonly in
one. So they are taken apart, and written beside the configuration.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from orchestrator.errors import RouterUnavailable
from orchestrator.manifest.model import Tls

_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----\s.+?\s-----END CERTIFICATE-----", re.ASCII | re.DOTALL
)


def listening_tls(tls: Tls, folder: Path) -> tuple[dict[str, Any], dict[Path, str]]:
    """Give the ``tls`` of Crossbar's endpoint, and the files to be written for it.

    Args:
        tls: the manifest's; its files are read.
        folder: where the files are to be.

    Raises:
        RouterUnavailable: a file cannot be read, holds no certificate, or the key is another's.
    """
    _check_usable(tls)
    chain = _certificates("certificate", tls.certificate)[1:]
    files = {folder / f"chain-{number}.pem": text for number, text in enumerate(chain)}
    config: dict[str, Any] = {"certificate": str(tls.certificate), "key": str(tls.key)}
    if files:
        config["chain_certificates"] = [str(path) for path in files]
    if tls.client_ca is not None:
        found = _certificates("client_ca", tls.client_ca)
        trusted = {folder / f"client-ca-{number}.pem": text for number, text in enumerate(found)}
        config["ca_certificates"] = [str(path) for path in trusted]
        files |= trusted
    return config, files


def _certificates(key: str, path: Path) -> list[str]:
    """Give the certificates of a PEM file, one text each."""
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise RouterUnavailable(
            f"[router] tls.{key}: {path} cannot be read: {error.strerror}"
        ) from error
    found = [match[0] + "\n" for match in _CERTIFICATE.finditer(text)]
    if not found:
        raise RouterUnavailable(f"[router] tls.{key}: {path} holds no certificate in PEM")
    return found


def _check_usable(tls: Tls) -> None:
    """See that certificate and key belong together: Crossbar would only say that at its start."""
    import ssl  # late: it loads OpenSSL

    try:
        # A key that asks for a passphrase gets none: nobody is there to type it.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            tls.certificate, tls.key, password=lambda: b""
        )
    except (OSError, ValueError) as error:
        raise RouterUnavailable(
            f"[router] tls: certificate {tls.certificate} and key {tls.key} cannot be used"
            f" ({error}); expected PEM files that belong together, the key without a passphrase"
        ) from error
