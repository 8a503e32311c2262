"""Why there is no connection, in words for people: what is wrong, and what might mend it."""

from __future__ import annotations

from wampy.transports.address import Address, ConnectOptions

#: What OpenSSL says when the answer to a ClientHello is not TLS.
_NO_TLS = frozenset(
    ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "PACKET_LENGTH_TOO_LONG",
     "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL")
)  # fmt: skip
#: Alerts of a Router that wants a certificate, or another one.
_CERTIFICATE_ALERTS = frozenset(
    ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_HANDSHAKE_FAILURE",
     "SSLV3_ALERT_NO_CERTIFICATE", "SSLV3_ALERT_BAD_CERTIFICATE",
     "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "SSLV3_ALERT_CERTIFICATE_REVOKED",
     "SSLV3_ALERT_CERTIFICATE_EXPIRED", "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
     "TLSV1_ALERT_UNKNOWN_CA", "TLSV1_ALERT_ACCESS_DENIED", "TLSV1_ALERT_DECRYPT_ERROR")
)  # fmt: skip


def explain(error: BaseException) -> str:
    """Say why the system refused, in a few words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    verification = getattr(error, "verify_message", None)
    if verification:
        return f"its certificate is not trusted: {verification}"
    if isinstance(error, OSError) and error.strerror:
        if hasattr(error, "library"):
            return _openssls(error.strerror)
        return error.strerror.lower()
    return str(error) or type(error).__name__


def _openssls(text: str) -> str:
    """Give what OpenSSL says without what it is for its programmers."""
    text = text.rpartition(" (_ssl.c:")[0] or text
    if text.startswith("["):
        text = text.partition("] ")[2] or text
    return f"TLS: {text.lower()}"


def why_not_connected(error: BaseException, address: Address, options: ConnectOptions) -> str:
    """Say why a connection did not come about: as ``explain``, and what might mend it."""
    reason = getattr(error, "reason", None)
    if reason in _NO_TLS:
        plain = "ws" if address.is_websocket else "tcp"
        return f"it does not speak TLS there; use {plain}://?"
    if reason in _CERTIFICATE_ALERTS:
        assert isinstance(error, OSError)
        what = "it refuses our certificate"
        if options.certificate is None:
            what = "it wants a certificate, it seems; give certificate and key"
        return f"{what} ({explain(error)})"
    is_eof = hasattr(error, "library") and "EOF" in str(error).upper()
    if is_eof or isinstance(error, ConnectionResetError | BrokenPipeError):
        return hung_up(address, options)
    return explain(error)


def hung_up(address: Address, options: ConnectOptions) -> str:
    """Say what may be the matter with a Router that hangs up instead of answering."""
    # So does Crossbar for a path that it does not know.
    what = "does it speak RawSocket there"
    if address.is_websocket:
        what = "is the path right, and does it speak WebSocket there"
    if address.is_unix:
        return f"it hung up; {what}?"
    if not address.is_secure:
        return f"it hung up; {what}, without TLS?"
    which = "want a certificate" if options.certificate is None else "refuse our certificate"
    return f"it hung up; {what}, or does it {which}?"


def why_unusable(error: OSError, certificate: str | None, key: str | None) -> str:
    """Say what is wrong with files of certificates and keys.

    Args:
        error: what loading them raised.
        certificate: our own; None: they are those that we trust.
        key: the file of its key; None: it should be in the same.
    """
    reason = getattr(error, "reason", None)
    if reason == "NO_CERTIFICATE_OR_CRL_FOUND":
        return "there is no certificate in it; PEM is expected"
    if certificate is None or not hasattr(error, "library"):
        return explain(error)
    if reason == "KEY_VALUES_MISMATCH":
        return "the key is another certificate's"
    try:
        with open(key or certificate, "rb") as file:
            octets = file.read()
    except OSError as unreadable:
        return explain(unreadable)
    if b"PRIVATE KEY-----" not in octets:
        where = "the key's file" if key else "it"
        return f"there is no private key in {where}{'' if key else '; give the file of it as key'}"
    if b"ENCRYPTED" in octets:
        return "its key has a pass phrase; give one without"
    return f"no PEM, or not whole ({explain(error)})"
