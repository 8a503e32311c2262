"""The Router's TCP port: chosen and looked at before anything starts.

Crossbar takes no port 0, and a TCP connect to a busy port would reach somebody else's process. So
the port is bound once, briefly, and who holds a busy one is named.
"""

from __future__ import annotations

import errno
import socket

from orchestrator.errors import RouterUnavailable


def choose_port(host: str, port: int) -> int:
    """Give a port that can be bound on ``host`` right now.

    Args:
        host: an address or a name of this machine.
        port: 0 for a free one, else the one that must be free.

    Raises:
        RouterUnavailable: it is taken (by whom, where that can be seen), not allowed, or ``host``
            is no address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise RouterUnavailable(
            f"[router] host: {host!r} cannot be resolved ({error});"
            " name an address of this machine, such as 127.0.0.1"
        ) from error
    with socket.socket(family, kind, protocol) as listener:
        # As the Router does it: connections of the last run in TIME_WAIT are no hindrance.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(1)
        except PermissionError as error:
            raise RouterUnavailable(
                f"[router] port: {port} needs more rights than you have; choose one above 1023"
            ) from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise RouterUnavailable(busy_message(host, port)) from error
            raise RouterUnavailable(
                f"[router] host: cannot listen on {host!r} port {port}: {error.strerror}"
            ) from error
        return int(listener.getsockname()[1])


def busy_message(host: str, port: int) -> str:
    """Say that the port is taken, by whom where that can be seen, and the mend."""
    return (
        f"[router] port: {host}:{port} is taken by {holder_of(port)};"
        " stop that, or set another port (0 picks a free one)"
    )


def holder_of(port: int) -> str:
    """Name the process that listens on ``port``: ``name (pid N)``, else ``another process``."""
    import psutil  # late: only on the way to an error

    try:
        for connection in psutil.net_connections(kind="tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and tuple(connection.laddr)[1:2] == (port,)
                and connection.pid
            ):
                name = psutil.Process(connection.pid).name()
                return f"{name} (pid {connection.pid})"
    except (psutil.Error, OSError):
        pass
    return "another process"
