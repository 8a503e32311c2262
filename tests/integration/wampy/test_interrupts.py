"""An exception may come out of any line in the main thread, and a Session outlives it.

Ctrl-C, a handler of SIGALRM that raises, what ends a test that takes too long.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

import wampy
from tests.conftest import RealRouter
from tests.integration.wampy.scripted import (
    CALL,
    CANCEL,
    GOODBYE,
    REGISTER,
    REGISTERED,
    UNREGISTER,
    Conversation,
    ScriptedRouter,
)
from tests.support import TIME_SCALE, wait_until
from wampy import Session

Scripted = Callable[..., ScriptedRouter]
Join = Callable[..., Session]
Uri = Callable[[str], str]


class Alarm(BaseException):
    """What the signal handler raises."""


@pytest.fixture
def alarm() -> Iterator[Callable[[float], None]]:
    """Have Alarm raised in this thread, in some seconds."""

    def ring(*_: object) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds) and None
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def run(script: str, *arguments: str, timeout_s: float = 40.0) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s * TIME_SCALE,
        check=False,
    )


# ---------------------------------------------------------------------- at random

RANDOM = """
import random, signal, sys, threading, time
from wampy import ConnectionLost, Session

class Alarm(Exception if sys.argv[3] == "8" else BaseException): pass
def ring(*_): raise Alarm
signal.signal(signal.SIGALRM, ring)
url, echo, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
moments = random.Random(seed)
session = Session(url, timeout=5.0)
session.begin()
mine = session.register(echo + ".mine", lambda x: x)
other_calls, is_over = [0], threading.Event()

def call_on():
    # Its answers are read by whoever reads.
    while not is_over.is_set():
        assert session.call(echo, other_calls[0]) == other_calls[0]
        other_calls[0] += 1
        time.sleep(0.001)

def interrupted(action):
    try:
        signal.setitimer(signal.ITIMER_REAL, moments.uniform(1e-6, 6e-4))
        for _ in range(8):
            action()
        signal.setitimer(signal.ITIMER_REAL, 0)
        return False
    except Alarm:
        return True

count, until = 0, time.monotonic() + 6.0
first = session.id
thread = None
while count < 200 and time.monotonic() < until:
    count += interrupted(lambda: session.call(echo, 1))
    if count == 100 and thread is None:
        thread = threading.Thread(target=call_on, daemon=True)
        thread.start()
    if count % 10 == 0:
        count += interrupted(lambda: session.call_async(echo, 2).result())
    assert session.call(echo, count) == count
assert count > 50, count
assert session.id == first, "the connection was lost"
is_over.set()
thread.join(5.0)
assert not thread.is_alive() and other_calls[0] > 10, other_calls
names = 0
for _ in range(20):
    names += 1
    try:
        interrupted(lambda: session.register(f"{echo}.{names}", int).unregister())
    except ConnectionLost:
        pass
done = threading.Event()
session.call_async(echo, 3).add_done_callback(lambda _: done.set())
assert done.wait(5.0), "nobody reads"
deadline = time.monotonic() + 5.0
while not (session.is_joined and mine.is_active) and time.monotonic() < deadline:
    time.sleep(0.01)
with Session(url, timeout=5.0) as other:
    assert other.call(echo + ".mine", 4) == 4
    session.register(echo + ".new", lambda: 5)
    assert other.call(echo + ".new") == 5
assert not session._lock.is_owned() and not session._turn._followers
deadline = time.monotonic() + 5.0
while session._link.pending and time.monotonic() < deadline:
    time.sleep(0.01)
assert not session._link.pending, session._link.pending
session.end()
print("well")
"""


@pytest.mark.parametrize("way", ["websocket", "unix"])
def test_two_hundred_interrupts_at_random_moments(
    way: str, builtin_router: RealRouter, uri: Uri
) -> None:
    """Calls, futures, registrations go on; the connection is the same."""
    callee = Session(builtin_router.unix_url, timeout=10.0)
    with callee:
        callee.register(uri("echo"), lambda x: x)
        url = builtin_router.url if way == "websocket" else builtin_router.unix_url
        seed = "7" if way == "websocket" else "8"  # and an Exception, with the latter
        result = run(RANDOM, url, uri("echo"), seed)
    assert result.stdout == "well\n", result.stderr


# ---------------------------------------------------------------------- one by one


def test_who_waits_for_another_reader_leaves_no_ghost(
    scripted: Scripted, alarm: Callable[[float], None]
) -> None:
    """A follower that has gone would be woken to read for ever, and nobody else."""
    slow: list[int] = []

    def script(it: Conversation) -> None:
        it.welcome()
        slow.append(it.until(CALL)[1])  # the one who reads
        it.recv()  # who follows
        assert it.until(CANCEL)[1] == slow[0] + 1
        it.send(50, slow[0], {}, ["slow"])
        it.serve()

    with Session(scripted(script).url, timeout=10.0) as session:
        got: list[str] = []
        reader = threading.Thread(target=lambda: got.append(session.call("com.example.slow")))
        reader.start()
        wait_until(lambda: slow)
        alarm(0.1)
        with pytest.raises(Alarm):
            session.call("com.example.follows")
        reader.join(5.0)
        assert got == ["slow"]
        assert not session._turn.has_followers
        done = threading.Event()
        session.call_async("com.example.echo").add_done_callback(lambda _: done.set())
        assert done.wait(5.0)


@pytest.mark.parametrize(
    "action",
    [
        lambda session: session.call("com.example.slow"),
        lambda session: session.call_result("com.example.slow"),
        lambda session: session.call_parts("com.example.slow", [1]),
        lambda session: next(session.call_progress("com.example.slow")),
    ],
    ids=["call", "call_result", "call_parts", "call_progress"],
)
def test_an_interrupted_call_is_cancelled(
    scripted: Scripted, alarm: Callable[[float], None], action: Callable[[Session], object]
) -> None:
    canceled: list[int] = []

    def script(it: Conversation) -> None:
        dealer = {"features": {"progressive_call_invocations": True}}
        it.welcome(roles={"broker": {}, "dealer": dealer})
        it.until(CALL)
        canceled.append(it.until(CANCEL)[1])
        it.serve()

    with Session(scripted(script).url, timeout=10.0) as session:
        alarm(0.1)
        with pytest.raises(Alarm):
            action(session)
        wait_until(lambda: canceled)
        assert session._link is not None
        assert not session._link.pending
        assert session.call("com.example.echo", 7) == 7


def test_an_interrupted_registration_is_undone(
    scripted: Scripted, alarm: Callable[[float], None]
) -> None:
    undone: list[int] = []

    def script(it: Conversation) -> None:
        it.welcome()
        request = it.until(REGISTER)
        it.until(CALL)
        it.send(REGISTERED, request[1], 77)
        message = it.until(UNREGISTER)
        undone.append(message[2])
        it.answer(message)
        it.serve()

    with Session(scripted(script).url, timeout=10.0) as session:
        alarm(0.1)
        with pytest.raises(Alarm):
            session.register("com.example.mine", print)
        with pytest.raises(wampy.RequestTimeout):
            session.call("com.example.echo", timeout=0.1)
        wait_until(lambda: undone == [77])
        assert not session.registrations


def test_an_interrupted_begin_can_be_done_again(
    scripted: Scripted, alarm: Callable[[float], None]
) -> None:
    def mute(it: Conversation) -> None:
        it.shake_hands()
        while it.recv():
            pass

    def script(it: Conversation) -> None:
        it.welcome()
        it.serve()

    session = Session(scripted(mute, script).url, timeout=10.0)
    alarm(0.1)
    with pytest.raises(Alarm):
        session.begin()
    with session:
        assert session.call("com.example.echo", 7) == 7
        done = threading.Event()
        session.call_async("com.example.echo").add_done_callback(lambda _: done.set())
        assert done.wait(5.0)


def test_an_interrupted_end_is_finished_by_the_next(
    scripted: Scripted, alarm: Callable[[float], None]
) -> None:
    """It is done when it returns; and what the first began goes on meanwhile."""

    def script(it: Conversation) -> None:
        it.welcome()
        it.until(GOODBYE)
        while it.recv():  # no answer
            pass

    left = threading.Event()
    session = Session(scripted(script).url, timeout=10.0, on_leave=left.set)
    session.begin()
    alarm(0.1)
    with pytest.raises(Alarm):
        session.end()
    session.end()
    assert session.wait_closed(0.0)
    assert not [thread for thread in session._threads if thread.is_alive()]
    assert left.wait(5.0)
    session.end()


# ---------------------------------------------------------------------- signal handlers

TERMINATED = """
import os, random, signal, sys, time
from wampy import Session

hung = 0
moments = random.Random(3)
for number in range(12):
    child = os.fork()
    if not child:
        session = Session(sys.argv[1], timeout=5.0)
        session.begin()
        def stop(*_):
            session.end()
            os._exit(0)
        signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, moments.uniform(0.005, 0.03))
        while True:
            session.call(sys.argv[2], 1)
    until = time.monotonic() + 8.0
    while not os.waitpid(child, os.WNOHANG)[0]:
        if time.monotonic() > until:
            hung += 1
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            break
        time.sleep(0.005)
print(hung)
"""


def test_a_signal_handler_may_end_the_session(builtin_router: RealRouter, uri: Uri) -> None:
    """Whatever the main thread is at: it is how programs stop on SIGTERM."""
    with Session(builtin_router.unix_url, timeout=10.0) as callee:
        callee.register(uri("echo"), lambda x: x)
        result = run(TERMINATED, builtin_router.unix_url, uri("echo"), timeout_s=60.0)
    assert result.stdout == "0\n", result.stderr


def test_a_handler_that_interrupts_the_session_at_work_never_hangs(join: Join, uri: Uri) -> None:
    """What cannot be done there is refused, and said how; the end comes when the work goes on."""
    session = join()
    future = session.call_async("wamp.session.count")
    future.result()
    with session._lock:  # where a handler may find this thread
        for request in (
            lambda: session.publish(uri("topic")),
            lambda: session.call(uri("nothing")),
            lambda: session.register(uri("mine"), print),
        ):
            with pytest.raises(wampy.LocalProtocolError, match="leave it to another thread"):
                request()
        future.cancel()
        began_at = time.monotonic()
        session.end()
        assert time.monotonic() - began_at < 2.0
    assert session.wait_closed(10.0)


def test_a_callback_that_waits_is_refused(join: Join, uri: Uri) -> None:
    """It runs in the thread that reads, which would wait for itself."""
    session, callee = join(), join()
    may_answer, told = threading.Event(), threading.Event()
    callee.register(uri("echo"), lambda x: may_answer.wait(5.0) and x)
    failures: list[BaseException | None] = []

    def back(_: object) -> None:
        try:
            session.call(uri("echo"), 1, timeout=5.0)
        except wampy.WampyError as error:
            failures.append(error)
        told.set()

    session.call_async(uri("echo"), 1).add_done_callback(back)
    may_answer.set()
    assert told.wait(4.0)
    assert isinstance(failures[0], wampy.LocalProtocolError)
    assert session.call(uri("echo"), 2) == 2


# ---------------------------------------------------------------------- the interpreter's end

LAST_WORDS = """
import faulthandler, sys, time
from wampy import Session

faulthandler.dump_traceback_later(20, exit=True)

class Held:
    def __init__(self):
        self.session = Session(sys.argv[1])
        self.session.begin()
    def __del__(self):
        self.session.end()
        try:
            self.session.publish("com.example.topic")
        except Exception as error:
            print(type(error).__name__)

held = Held()
"""


def test_the_interpreter_ends_with_a_session_that_is_ended_last(
    builtin_router: RealRouter,
) -> None:
    """Its threads stand still by then, one perhaps with a lock in hand."""
    for _ in range(4):
        result = run(LAST_WORDS, builtin_router.unix_url)
        assert (result.returncode, result.stdout) == (0, "SessionClosed\n"), result.stderr


# ---------------------------------------------------------------------- forks

FORKED = """
import asyncio, os, sys
from wampy import AsyncSession, Session, SessionClosed

def refuses(action):
    try:
        action()
    except SessionClosed:
        return
    raise AssertionError("not refused")

def in_child(action):
    child = os.fork()
    if not child:
        try:
            action()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

url, slow, parts = sys.argv[1:]
session = Session(url, timeout=10.0)
session.begin()
future = session.call_async(slow, 0.5)
results = session.call_progress(parts, 5)
assert next(results) == 0

def inherit():
    # A lock that nobody will ever give back.
    assert session.id is None and not session.is_joined and not session.details
    assert "not joined" in repr(session)
    refuses(future.cancel)
    refuses(lambda: future.cancel("kill"))
    refuses(future.result)
    assert not future.done()
    refuses(lambda: next(results))
    refuses(lambda: session.call(slow, 0))
    refuses(session.recv)
    results.close()
    results.__del__()
    session.end()

import threading, time
held, go_on = threading.Event(), threading.Event()
def hold():
    with session._lock, session.futures_changed:
        held.set()
        go_on.wait(20)
threading.Thread(target=hold, daemon=True).start()
held.wait()
in_child(inherit)
go_on.set()
assert future.result() == 0.5
assert list(results) == [1, 2, 3, 4]
session.end()

async def main():
    async with AsyncSession(url, timeout=10.0) as own:
        task = own.call_async(slow, 0.5)
        await asyncio.sleep(0.1)
        def inherit():
            assert own.id is None and not own.is_joined
            refuses(task.cancel)
            refuses(lambda: asyncio.run(own.call(slow, 0)))
            refuses(lambda: asyncio.run(own.begin()))
            asyncio.run(own.end())
        in_child(inherit)
        assert await task == 0.5
asyncio.run(main())
print("well")
"""


def test_a_child_leaves_all_of_its_parents_sessions_alone(
    builtin_router: RealRouter, uri: Uri
) -> None:
    """It writes on no connection of the parent's, and waits for no lock that is held there."""

    def slow(seconds: float) -> float:
        wampy.current_call().wait(seconds)
        return seconds

    with Session(builtin_router.unix_url, timeout=10.0) as callee:
        callee.register(uri("slow"), slow)
        callee.register(uri("parts"), lambda count: (yield from range(count)))
        result = run(FORKED, builtin_router.unix_url, uri("slow"), uri("parts"))
    assert result.stdout == "well\n", result.stderr
