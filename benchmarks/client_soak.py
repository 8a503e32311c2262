"""Many threads share one Session; replies come in any order: none may be lost, none be another's.

    python -m benchmarks.client_soak [--calls 1000000] [--threads 64]

The callee is no library and holds some calls back, so that answers come shuffled; it answers a
hundredth of them with errors. Each call has an argument of its own, with which it must come back.
Ends with 1 when one is lost or swapped, or when memory has grown by more than MOST_GROWTH_BYTES
between the first tenth (or LEAST_FIRST) and the end, each time when the threads have ended: their
stacks are theirs.
"""

from __future__ import annotations

import gc
import random
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import psutil

from benchmarks.bare_clients import BareClient
from benchmarks.common import PROCEDURE, REALM, arguments, end_with_me, say, write_rows
from benchmarks.routers import open_builtin
from wampy import Session
from wampy.errors import ApplicationError

#: One in so many is answered with an error.
ERRORS = 100
#: So many calls may be held back; fewer than there are threads, or nobody would get on.
HELD = 24
#: And for so long, in seconds, when no other call comes.
HELD_S = 0.002
#: The C library's arenas for threads fill up in the first hundred thousands of calls: with
#: MALLOC_ARENA_MAX=1 there is no growth at all. A leak of 16 bytes a call would be 14 MiB.
MOST_GROWTH_BYTES = 2 * 2**20
#: Growth is counted from a tenth of the calls on, or from so many: the heap has its size by then.
LEAST_FIRST = 20_000
#: Python's objects are counted, too.
MOST_OBJECTS = 500
NOTE = (
    "One Session on the built-in Router's unix socket, called from all threads at once. Growth of "
    "the calling process, from a tenth of the calls to the last, without the threads' stacks; most "
    "memory with them."
)


def serve(url: str) -> None:
    """Answer in any order, until killed."""
    client = BareClient(url)
    encode, decode = client.encode, client.invocation
    number_of = msgspec.msgpack.Decoder(list[int]).decode
    client.send(encode([64, 1, {}, PROCEDURE]))
    client.frame()
    print("ready", flush=True)
    shuffle = random.Random(1).shuffle
    held: list[Any] = []
    while True:
        # Nobody may follow who would set free what is held.
        has_more = bool(select.select([client.sock], [], [], HELD_S if held else None)[0])
        if has_more:
            held += [one for one in map(decode, client.read()) if one.code == 68]
            shuffle(held)
        keeps = min(HELD, len(held) // 2) if has_more else 0
        answered, held = held[keeps:], held[:keeps]
        client.send(
            *[
                encode([8, 68, one.request, {}, "com.example.unlucky", one.args])
                if number_of(one.args)[0] % ERRORS == 0
                else encode([70, one.request, {}, one.args])
                for one in answered
            ]
        )


@contextmanager
def callee(url: str) -> Iterator[None]:
    """Run it as a process of its own."""
    argv = [sys.executable, "-m", "benchmarks.client_soak", "--serve", url]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, preexec_fn=end_with_me())
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        yield
    finally:
        process.kill()
        process.communicate()


class Callers:
    """Threads that call until all calls have been made."""

    def __init__(self, session: Session, calls: range, threads: int) -> None:
        self._session = session
        self._numbers = iter(calls)
        self._counts = [0] * threads
        self.errors: list[str] = []
        self._running = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(threads)
        ]

    @property
    def answered(self) -> int:
        """How many calls have been answered."""
        return sum(self._counts)

    def run(self) -> float:
        """Run all threads until they have ended; give the most memory seen, in bytes."""
        own = psutil.Process()
        most = 0
        for thread in self._running:
            thread.start()
        while any(thread.is_alive() for thread in self._running) and not self.errors:
            self._running[-1].join(0.1)
            most = max(most, own.memory_info().rss)
        return most

    def _run(self, thread: int) -> None:
        """Call with a number nobody else has, and look at what comes back."""
        session = self._session
        for number in self._numbers:  # one C call each: no two threads get the same
            try:
                back = session.call(PROCEDURE, number, timeout=30.0)
            except ApplicationError as error:
                back = error.args[0] if number % ERRORS == 0 else repr(error)
            except Exception as error:  # is to be reported, whatever it is
                back = repr(error)
            if back != number:
                self.errors.append(f"{number} came back as {back}")
            self._counts[thread] += 1


def memory() -> tuple[int, int]:
    """Give what this process holds without garbage: bytes, and Python's objects."""
    gc.collect()
    return int(psutil.Process().memory_info().rss), len(gc.get_objects())


def soak(url: str, calls: int, threads: int) -> tuple[list[str], list[str]]:
    """Call; give what went wrong, and the cells of the table."""
    with callee(url), Session(url, REALM) as session:
        first = range(1, max(calls // 10, min(calls // 2, LEAST_FIRST)) + 1)
        callers = Callers(session, first, threads)
        callers.run()
        errors, answered, before = callers.errors, callers.answered, memory()
        callers = Callers(session, range(len(first) + 1, calls + 1), threads)
        began = time.perf_counter()
        most = callers.run()
        rate = callers.answered / (time.perf_counter() - began)
        errors += callers.errors
        lost = calls - answered - callers.answered
        if lost and not errors:
            errors.append(f"{lost} calls have no answer")
        cells = [threads, f"{calls:,}", f"{rate:,.0f}", len(errors)]
        growth, objects = (now - then for now, then in zip(memory(), before, strict=True))
        if growth > MOST_GROWTH_BYTES or objects > MOST_OBJECTS:
            errors.append(f"grown by {growth} bytes and {objects} objects")
    sizes = [f"{growth / 2**10:,.0f} KiB", f"{most / 2**20:.1f} MiB"]
    return errors, [str(cell) for cell in (*cells, *sizes)]


def main() -> int:
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
    options: Any = arguments(__doc__, calls=1_000_000, threads=64)
    with open_builtin() as router:
        errors, row = soak(router.unix_url, options.calls, options.threads)
    columns = ["threads", "calls", "calls/s", "lost or swapped", "growth", "most memory"]
    title = "One Session shared by many threads"
    write_rows("client_soak", title, NOTE, columns, [row], keep=options.calls >= 1_000_000)
    for text in errors[:10]:
        say(text)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
