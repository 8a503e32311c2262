"""Why there is no connection, in words for people."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Any

import pytest

from wampy.transports.address import ConnectOptions, parse_url
from wampy.transports.reasons import explain, hung_up, why_not_connected, why_unusable

NOTHING = ConnectOptions()
SHOWN = ConnectOptions(certificate="c.pem")


def openssls(reason: str, kind: type[ssl.SSLError] = ssl.SSLError) -> ssl.SSLError:
    """Make an error as OpenSSL's are."""
    words = reason.lower().replace("_", " ")
    error = kind(1, f"[SSL: {reason}] {words} (_ssl.c:1006)")
    error.library, error.reason = "SSL", reason
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError("timed out"), "no answer in time"),
        (OSError(111, "Connection refused"), "connection refused"),
        (openssls("INTERNAL_ERROR"), "TLS: internal error"),
        (OSError("odd"), "odd"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_what_the_system_says(error: BaseException, text: str) -> None:
    assert explain(error) == text


@pytest.mark.parametrize(
    ("url", "error", "options", "text"),
    [
        ("wss://h", openssls("WRONG_VERSION_NUMBER"), NOTHING, "not speak TLS there; use ws://"),
        ("tcps://h:1", openssls("RECORD_LAYER_FAILURE"), NOTHING, "use tcp://"),
        ("wss://h", openssls("TLSV13_ALERT_CERTIFICATE_REQUIRED"), NOTHING, "give certificate and"),
        ("wss://h", openssls("TLSV1_ALERT_UNKNOWN_CA"), SHOWN, "refuses our certificate"),
        ("wss://h", openssls("EOF", ssl.SSLEOFError), NOTHING, "or does it want a certificate?"),
        ("tcps://h:1", ConnectionResetError(), SHOWN, "or does it refuse our certificate?"),
        ("ws://h", ConnectionResetError(104, "reset"), NOTHING, "is the path right.*without TLS?"),
        ("tcp://h:1", BrokenPipeError(), NOTHING, "does it speak RawSocket there, without TLS?"),
        ("ws://h", TimeoutError(), NOTHING, "no answer in time"),
    ],
)
def test_what_might_mend_it(
    url: str, error: BaseException, options: ConnectOptions, text: str
) -> None:
    reason = why_not_connected(error, parse_url(url), options)
    assert re.search(text.replace("?", "[?]"), reason), reason
    assert "_ssl.c" not in reason
    assert "[" not in reason


def test_a_unix_socket_has_no_tls_to_be_without() -> None:
    assert hung_up(parse_url("unix:///r"), NOTHING) == "it hung up; does it speak RawSocket there?"


@pytest.mark.parametrize(
    ("content", "has_key_file", "text"),
    [
        ("-----BEGIN CERTIFICATE-----", False, "no private key in it; give the file of it as key"),
        ("-----BEGIN CERTIFICATE-----", True, "no private key in the key's file"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----", True, "has a pass phrase"),
        ("-----BEGIN PRIVATE KEY-----", True, "no PEM, or not whole"),
    ],
)
def test_a_key_that_cannot_be_used(
    tmp_path: Path, content: str, has_key_file: bool, text: str
) -> None:
    file = tmp_path / "file.pem"
    file.write_text(content)
    key = str(file) if has_key_file else None
    assert text in why_unusable(openssls("PEM_LIB"), str(file), key)


@pytest.mark.parametrize(
    ("error", "certificate", "text"),
    [
        (openssls("KEY_VALUES_MISMATCH"), "c.pem", "the key is another certificate's"),
        (openssls("NO_CERTIFICATE_OR_CRL_FOUND"), None, "there is no certificate in it"),
        (openssls("PEM_LIB"), "/none/c.pem", "no such file or directory"),
        (FileNotFoundError(2, "No such file"), "c.pem", "no such file"),
    ],
)
def test_other_files(error: Any, certificate: str | None, text: str) -> None:
    assert text in why_unusable(error, certificate, None)
