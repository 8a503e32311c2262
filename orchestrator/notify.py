"""Telling the service manager (systemd, or who speaks as it does) how the stack is.

Wire: one datagram of ``NAME=value`` lines each, to the unix socket in ``$NOTIFY_SOCKET``; a name
that begins with ``@`` is abstract. ``$WATCHDOG_USEC`` asks for a ``WATCHDOG=1`` in less than that
time; ``$WATCHDOG_PID`` says of whom.
Source: sd_notify(3), sd_watchdog_enabled(3).

The variables are for one process: who has taken them is that one, and nobody below it sees them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

#: What a service manager sets for its service alone.
VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
#: Bytes of a status that are sent at most; it is one line in ``systemctl status``.
STATUS_BYTES = 240
#: Seconds that a datagram may wait for room in the service manager's queue.
_SEND_S = 1.0


@dataclass(frozen=True, slots=True)
class Notifier:
    """One service manager that wants to hear of this process; thread-safe.

    Attributes:
        address: of its socket, as the environment has it.
        watchdog_s: seconds in which it wants a sign of life; None: it wants none.
    """

    address: str
    watchdog_s: float | None = None

    def send(self, *lines: str) -> bool:
        """Send lines such as ``READY=1`` in one datagram; blocks for a second at most.

        Returns:
            Whether it was taken. Nothing is raised: nobody may be harmed by who only listens.
        """
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(_SEND_S)
                sender.sendto("\n".join(lines).encode(errors="replace"), address)
        except (OSError, ValueError):
            return False
        return True


def status_line(text: str) -> str:
    """Give the line that shows ``text`` as the state of the service: one line, and not long."""
    flat = " ".join(text.split()).encode(errors="replace")
    cut = flat if len(flat) <= STATUS_BYTES else flat[: STATUS_BYTES - 1] + b"\xe2\x80\xa6"
    return "STATUS=" + cut.decode(errors="ignore")


def take_notifier(environ: MutableMapping[str, str]) -> Notifier | None:
    """Take the variables out of an environment; gives whom to notify, or None.

    Raises:
        ValueError: the socket's address is none that can be used; the variables are gone too.
    """
    found = {name: environ.pop(name) for name in VARIABLES if name in environ}
    address = found.get("NOTIFY_SOCKET")
    if not address:
        return None
    if address[0] not in "/@" or len(address) < 2 or len(os.fsencode(address)) > 107:
        raise ValueError(f"NOTIFY_SOCKET: expected /path or @name, got {address[:120]!r}")
    return Notifier(address, _watchdog_s(found))


def without_notifier(environ: Mapping[str, str]) -> dict[str, str]:
    """Give an environment for others, without what is meant for this process."""
    return {name: value for name, value in environ.items() if name not in VARIABLES}


def _watchdog_s(found: Mapping[str, str]) -> float | None:
    """Give the watchdog's time if it is for this process; what is no number is no request."""
    usec = found.get("WATCHDOG_USEC", "")
    is_ours = found.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if not is_ours or not usec.isascii() or not usec.isdecimal() or len(usec) > 18:
        return None
    return int(usec) / 1e6 or None
