"""Who reads from the socket: the turn to read, and the standby thread that sees it is never lost.

Any thread may read while nobody else does: one that waits for a reply reads it itself instead of
being woken by a reader thread, and one that reads may run a quick handler at once, instead of
handing it to a worker. While it runs the handler, nobody reads; so a second thread stands by and
takes the turn when it lies idle for TAKEOVER_S. Rules:

- Fields belong to the Session's lock. Nobody waits under it.
- The turn is taken by at most one thread; only that one calls ``Transport.receive``.
- Who gives the turn back, and finds others waiting for replies, wakes one of them to take it.
- At most one thread stands by. It sleeps without a timeout while the turn is held for long; but
  while it is the main thread's, it looks now and then whether that is still reading.
- An exception may come out of any line in the main thread (Ctrl-C, a signal handler that raises).
  Who owns the turn is one field, written last: so who is interrupted knows what to give back
  (``leave_locked``), and others can tell when it did not.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from threading import get_ident
from types import CodeType, FrameType

from wampy.session.futures import Waiter
from wampy.session.locking import SessionLock

#: How long the turn may lie idle, in seconds: what a slow handler can delay others, once.
TAKEOVER_S = 0.005
#: Looks without any change after which the standby thread sleeps until it is woken.
_QUIET_LOOKS = 20
#: How often the standby thread looks whether the main thread is still reading, in seconds.
_SUSPICION_S = 1.0

#: The code of those who hold the turn in a thread of the user's.
HOLDERS: set[CodeType] = set()


def holds_turn(frame: FrameType | None) -> bool:
    """Whether a thread is in a function that may hold a turn."""
    while frame is not None:
        if frame.f_code in HOLDERS:
            return True
        frame = frame.f_back
    return False


class Turn:
    """The turn to read. Methods that end in ``_locked`` want the Session's lock held."""

    def __init__(self, lock: SessionLock) -> None:
        self._lock = lock
        #: The thread that reads; 0: nobody.
        self.owner = 0
        self.has_standby = False
        self._count = 0
        self._followers: deque[Waiter] = deque()
        self._gate = threading.Lock()
        self._gate.acquire()
        self._is_woken = False
        self._is_watching = False
        self._is_urgent = False

    @property
    def is_taken(self) -> bool:
        """Whether somebody reads."""
        return self.owner != 0

    def take_locked(self) -> bool:
        """Take the turn; False when somebody has it."""
        if self.owner:
            return False
        self.owner = get_ident()
        self._count += 1
        return True

    def release_locked(self, *, is_urgent: bool) -> None:
        """Give the turn back.

        Args:
            is_urgent: somebody must read at once, for nobody else would for TAKEOVER_S.
        """
        self.owner = 0
        self._count += 1
        if is_urgent:
            self.wake_standby_locked()
        else:
            self.pass_on_locked()

    def leave_locked(self, waiter: Waiter | None) -> None:
        """Give back whatever this thread has of it: an exception came out of its wait."""
        if self.owner == get_ident():
            self.owner = 0
            self._count += 1
        if waiter in self._followers:
            self._followers.remove(waiter)  # type: ignore[arg-type]
        self.wake_standby_locked()

    def _is_abandoned_locked(self) -> bool:
        """Whether the main thread has the turn and does not read: it was interrupted twice."""
        return not holds_turn(sys._current_frames().get(self.owner))

    def pass_on_locked(self) -> None:
        """If nobody has the turn, see to it that somebody takes it."""
        if self.owner:
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
        main = threading.main_thread().ident
        while True:
            with self._lock:
                is_mains = self.owner == main
                if is_mains and quiet > _QUIET_LOOKS and self._is_abandoned_locked():
                    self.owner, self._is_urgent = 0, True
                if not self.owner and (self._is_urgent or self._count == seen):
                    self._is_urgent = False
                    self._is_watching = False
                    self.has_standby = False
                    self.take_locked()
                    return
                quiet = quiet + 1 if self._count == seen else 0
                seen = self._count
                self._is_watching = not self.owner or quiet < _QUIET_LOOKS
                timeout = TAKEOVER_S
                if not self._is_watching:
                    timeout = _SUSPICION_S if is_mains else -1
            if self._gate.acquire(timeout=timeout):
                self._is_woken = False
