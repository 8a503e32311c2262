"""Who reads from the socket: the turn to read, and the standby thread that sees it is never lost.

Any thread may read while nobody else does: one that waits for a reply reads it itself instead of
being woken by a reader thread, and one that reads may run a quick handler at once, instead of
handing it to a worker. While it runs the handler, nobody reads; so a second thread stands by and
takes the turn when it lies idle for TAKEOVER_S. Rules:

- Fields belong to the Session's lock. Nobody waits under it.
- The turn is taken by at most one thread; only that one calls ``Transport.receive``.
- Who gives the turn back, and finds others waiting for replies, wakes one of them to take it.
- At most one thread stands by. It sleeps without a timeout while the turn is held for long.
"""

from __future__ import annotations

import threading
from collections import deque

from wampy.session.futures import Waiter

#: How long the turn may lie idle, in seconds: what a slow handler can delay others, once.
TAKEOVER_S = 0.005
#: Looks without any change after which the standby thread sleeps until it is woken.
_QUIET_LOOKS = 20


class Turn:
    """The turn to read. Methods that end in ``_locked`` want the Session's lock held."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self.is_taken = False
        self.has_standby = False
        self._count = 0
        self._followers: deque[Waiter] = deque()
        self._gate = threading.Lock()
        self._gate.acquire()
        self._is_woken = False
        self._is_watching = False
        self._is_urgent = False

    def take_locked(self) -> bool:
        """Take the turn; False when somebody has it."""
        if self.is_taken:
            return False
        self.is_taken = True
        self._count += 1
        return True

    def release_locked(self, *, is_urgent: bool) -> None:
        """Give the turn back.

        Args:
            is_urgent: somebody must read at once, for nobody else would for TAKEOVER_S.
        """
        self.is_taken = False
        self._count += 1
        if is_urgent:
            self.wake_standby_locked()
        else:
            self.pass_on_locked()

    def pass_on_locked(self) -> None:
        """If nobody has the turn, see to it that somebody takes it."""
        if self.is_taken:
            return
        if self._followers:
            self._followers[0].wake()
        elif not self._is_watching:
            self._wake_locked()

    def follow_locked(self, waiter: Waiter) -> threading.Lock:
        """Join those who wait for a reply that another thread reads; give the gate to wait at."""
        self._followers.append(waiter)
        return waiter.prepare()

    def unfollow_locked(self, waiter: Waiter) -> None:
        """Leave those who wait. Who then does not take the turn calls ``pass_on_locked``."""
        self._followers.remove(waiter)

    @property
    def has_followers(self) -> bool:
        """Whether threads wait for replies that another one reads."""
        return bool(self._followers)

    def wake_standby_locked(self) -> None:
        """Make the standby thread look again, now."""
        self._is_urgent = True
        self._wake_locked()

    def _wake_locked(self) -> None:
        if not self._is_woken:
            self._is_woken = True
            self._gate.release()

    def stand_by(self) -> None:
        """Wait until the turn is to be taken, and take it.

        The caller has set ``has_standby``, which is cleared with the turn taken.
        """
        quiet = 0
        seen = -1
        while True:
            with self._lock:
                if not self.is_taken and (self._is_urgent or self._count == seen):
                    self._is_urgent = False
                    self._is_watching = False
                    self.has_standby = False
                    self.take_locked()
                    return
                quiet = quiet + 1 if self._count == seen else 0
                seen = self._count
                self._is_watching = not self.is_taken or quiet < _QUIET_LOOKS
                timeout = TAKEOVER_S if self._is_watching else -1
            if self._gate.acquire(timeout=timeout):
                self._is_woken = False
