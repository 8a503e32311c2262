"""How long a Session waits between two attempts to connect; pure.

Jitter is an argument: a hundred Peers do not knock at the same moment, and a test knows when one
does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from wampy.transports import Address

#: Seconds until the first retry of a reconnect, and the longest, on this machine and elsewhere.
BACKOFF_S = 0.05
BACKOFF_FACTOR = 1.6
MAX_BACKOFF_LOCAL_S = 0.5
MAX_BACKOFF_S = 5.0
#: The least part of a pause that jitter leaves.
_LEAST = 0.5
_LOCAL_HOSTS = ("localhost", "127.", "::1")


def longest_backoff_s(address: Address) -> float:
    """Give the longest pause between two attempts to connect: a Router nearby is back soon."""
    host = address.host or "localhost"
    return MAX_BACKOFF_LOCAL_S if host.startswith(_LOCAL_HOSTS) else MAX_BACKOFF_S


def pauses_s(address: Address, random: Callable[[], float]) -> Iterator[float]:
    """Give the pauses after one failed attempt after the other, in seconds, without end.

    Args:
        address: what is connected to.
        random: gives a number from 0 up to 1, 1 not included.
    """
    longest_s = longest_backoff_s(address)
    delay_s = BACKOFF_S
    while True:
        yield delay_s * (_LEAST + (1.0 - _LEAST) * random())
        delay_s = min(delay_s * BACKOFF_FACTOR, longest_s)
