"""The turn to read: never two readers, never none for long."""

from __future__ import annotations

import threading

from tests.support import wait_until
from wampy.session.futures import Waiter
from wampy.session.locking import SessionLock
from wampy.session.reading import Turn


def test_one_at_a_time() -> None:
    lock = SessionLock()
    turn = Turn(lock)
    with lock:
        assert turn.take_locked()
        assert not turn.take_locked()
        turn.release_locked(is_urgent=False)
        assert turn.take_locked()


def test_who_gives_it_back_wakes_the_next() -> None:
    lock = SessionLock()
    turn, waiter = Turn(lock), Waiter()
    with lock:
        turn.take_locked()
        gate = turn.follow_locked(waiter)
        turn.pass_on_locked()
        assert not waiter.is_woken, "somebody reads"
        turn.release_locked(is_urgent=False)
    assert gate.acquire(timeout=5.0)
    with lock:
        turn.unfollow_locked(waiter)


def test_the_standby_thread_takes_what_lies_idle() -> None:
    lock = SessionLock()
    turn = Turn(lock)
    turn.has_standby = True
    with lock:
        turn.take_locked()
    taken = threading.Event()

    def stand_by() -> None:
        turn.stand_by()
        taken.set()

    thread = threading.Thread(target=stand_by, daemon=True)
    thread.start()
    # Long held: it sleeps; woken by the release, and then it waits a moment more.
    wait_until(lambda: not turn._is_watching or thread.is_alive())
    assert not taken.wait(0.15)
    with lock:
        turn.release_locked(is_urgent=False)
    assert taken.wait(5.0)
    assert turn.is_taken
    assert not turn.has_standby
    thread.join(5.0)


def test_urgent_is_at_once() -> None:
    lock = SessionLock()
    turn = Turn(lock)
    turn.has_standby = True
    with lock:
        turn.take_locked()
    thread = threading.Thread(target=turn.stand_by, daemon=True)
    thread.start()
    with lock:
        turn.release_locked(is_urgent=True)
    thread.join(5.0)
    assert not thread.is_alive()
    assert turn.is_taken
