"""What tells one TLS connection from every other one, for a login that is bound to it.

``tls-unique`` is the first Finished message of the handshake: RFC 5929. In a full handshake Python
gives the client's, on both sides; Crossbar and autobahn take the same from OpenSSL. RFC 9266 leaves
it undefined for TLS 1.3, where the server's Finished comes first. There, too, all of them take the
client's, and it is as good: its MAC is over the whole handshake, keys and certificate included.
Session tickets that follow do not change it.

``tls-exporter``, which RFC 9266 wants for TLS 1.3, cannot be had from Python's ``ssl``.
"""

from __future__ import annotations

import contextlib
from typing import Any


def channel_id_of(connection: Any) -> bytes | None:
    """Give the 32 octets that both ends of a TLS connection know it by; None where there are none.

    Args:
        connection: an SSLSocket or an SSLObject, its handshake done; any other has none.

    A resumed TLS session has none: Crossbar would take another Finished message there than Python,
    and TLS 1.2 without RFC 7627 lets somebody in between make two resumed sessions look like one.
    """
    if not hasattr(connection, "get_channel_binding") or connection.session_reused:
        return None
    finished: bytes | None = None
    # Raised where ``ssl`` was built without it.
    with contextlib.suppress(ValueError):
        finished = connection.get_channel_binding("tls-unique")
    if finished is None:
        return None
    import hashlib  # late: it loads OpenSSL, and only TLS needs it

    return hashlib.sha256(finished).digest()
