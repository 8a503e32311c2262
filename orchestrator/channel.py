"""Messages between processes of a stack: one JSON object a packet, file descriptors beside it.

A sequenced-packet socket keeps message borders and tells the end of the other side, however that
ended. Packets are small (at most ``MAX_PACKET``), so a send either succeeds whole or not at all; a
longer message travels in a file without a name, whose descriptor the packet carries.
"""

from __future__ import annotations

import array
import json
import os
import socket
from typing import Any

MAX_PACKET = 180_000
_MAX_FDS = 64
#: The packet that says: the message is in the file that is the last descriptor.
_IN_A_FILE = b"@"


def channel_pair() -> tuple[socket.socket, socket.socket]:
    """Give two connected ends, neither inherited by exec."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MAX_PACKET)
    return ours, theirs


def send(channel: socket.socket, message: dict[str, Any], fds: tuple[int, ...] = ()) -> bool:
    """Send one message; False when the other end is gone or, if non-blocking, takes no more.

    Raises:
        OSError: no descriptor can be sent or made; nothing was sent.
    """
    packet = json.dumps(message).encode()
    if len(packet) > MAX_PACKET:
        return _send_in_a_file(channel, packet, fds)
    return _send(channel, packet, fds)


def _send_in_a_file(channel: socket.socket, packet: bytes, fds: tuple[int, ...]) -> bool:
    fd = os.memfd_create("wampy message", os.MFD_CLOEXEC)
    with os.fdopen(fd, "wb") as file:
        file.write(packet)
        file.flush()
        return _send(channel, _IN_A_FILE, (*fds, fd))


def _send(channel: socket.socket, packet: bytes, fds: tuple[int, ...]) -> bool:
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    try:
        channel.sendmsg([packet], ancillary)
    except (BrokenPipeError, ConnectionResetError, BlockingIOError):
        return False
    return True


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Take one message and its descriptors (not inherited by exec), or None at the end.

    Raises:
        BlockingIOError: the channel is non-blocking and there is no message.
    """
    size = array.array("i").itemsize
    try:
        packet, ancillary, _, _ = channel.recvmsg(
            MAX_PACKET, socket.CMSG_LEN(_MAX_FDS * size), socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionResetError:
        return None
    fds = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[: len(content) - len(content) % size])
    if not packet:
        for fd in fds:
            os.close(fd)
        return None
    if packet == _IN_A_FILE:
        with os.fdopen(fds.pop(), "rb") as file:
            file.seek(0)
            packet = file.read()
    return json.loads(packet), list(fds)
