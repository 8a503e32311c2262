"""Who behaves, as a process: ``load calls|events UNIX WS TCP``; until its standard input ends.

``calls``: callers with many calls under way, on each transport and serializer, of callees on each;
every call must come back once, with what was sent. ``events``: one publisher, and subscribers that
must get every event, in order. Says what came of it as one line of JSON.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.router_soak.clients import ANSWER_S, WAYS, Client, Where

IN_FLIGHT = 16
#: Events published and not answered; and how far the slowest subscriber may be behind.
UNACKNOWLEDGED = 32
BEHIND = 2000
#: Not more of them in the result, however much goes wrong.
_MOST_FAULTS = 20


class Load:
    """Sessions in one loop, and what they found wrong."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.done = 0
        self.is_stopping = False
        self._readers: dict[int, Callable[[], None]] = {}
        self._poller = select.epoll()

    def watch(self, client: Client, read: Callable[[list[Any]], None]) -> None:
        def reader() -> None:
            for message in client.read():
                read(message)

        self._readers[client.sock.fileno()] = reader
        self._poller.register(client.sock.fileno(), select.EPOLLIN)

    def fault(self, text: str) -> None:
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(text)

    def run(self, is_done: Callable[[], bool]) -> None:
        """Until standard input ends, and then until all is answered."""
        stdin = sys.stdin.fileno()
        self._poller.register(stdin, select.EPOLLIN | select.EPOLLHUP)
        ends_at = float("inf")
        while not (self.is_stopping and is_done()):
            if time.monotonic() > ends_at:
                self.fault(f"not answered within {ANSWER_S:g} s after the last request")
                break
            for fd, _ in self._poller.poll(1.0):
                if fd != stdin:
                    self._readers[fd]()
                elif not os.read(stdin, 1):
                    self._poller.unregister(stdin)
                    self.is_stopping = True
                    ends_at = time.monotonic() + ANSWER_S


def payload(number: int) -> list[Any]:
    """Something of every kind that all serializers share, and of several sizes."""
    kinds: tuple[Any, ...] = ("ä€😀", -(2**40), 1.5, None, [number, {"k": [True]}], "x" * 3000)
    return [number, kinds[number % len(kinds)]]


def calls(where: Where) -> tuple[Load, Callable[[], bool]]:
    load = Load()
    for way in WAYS:
        callee = Client(where, way)
        callee.ask(64, {"invoke": "roundrobin"}, "soak.echo")
        callee.ask(64, {"invoke": "random", "match": "prefix"}, "soak.prefix.")

        def answer(message: list[Any], callee: Client = callee) -> None:
            if message[0] == 68:
                callee.send([70, message[1], {}, *message[4:]])
            elif message[0] != 69:
                load.fault(f"a callee got {message[:4]}")

        load.watch(callee, answer)
    waiting = [_caller(load, where, way) for way in WAYS]
    return load, lambda: not any(waiting)


def _caller(load: Load, where: Where, way: str) -> dict[int, list[Any]]:
    """Begin to call; gives what waits for an answer, by request id."""
    caller = Client(where, way)
    waiting: dict[int, list[Any]] = {}

    def call() -> None:
        number = caller.number()
        waiting[number] = payload(number)
        uri = "soak.echo" if number % 2 else f"soak.prefix.{number % 7}"
        caller.send([48, number, {}, uri, waiting[number], {"k": number}])

    def answered(message: list[Any]) -> None:
        number = message[2] if message[0] == 8 else message[1]
        expected = waiting.pop(number, None)
        if expected is None:
            load.fault(f"{way}: an answer to nothing, or the second one: {message[:4]}")
        elif message[0] != 50 or message[3:] != [expected, {"k": number}]:
            load.fault(f"{way}: call {number} came back as {str(message)[:200]}")
        load.done += 1
        if not load.is_stopping:
            call()

    load.watch(caller, answered)
    for _ in range(IN_FLIGHT):
        call()
    return waiting


def events(where: Where) -> tuple[Load, Callable[[], bool]]:
    load = Load()
    last = dict.fromkeys(range(2 * len(WAYS)), 0)
    for index in last:
        subscriber = Client(where, WAYS[index % len(WAYS)])
        options = {"match": "prefix"} if index % 2 else {}
        subscriber.ask(32, options, "soak.topic")

        def heard(message: list[Any], index: int = index) -> None:
            number = message[4][0] if message[0] == 36 else None
            if number != last[index] + 1:
                load.fault(f"subscriber {index}: {str(message)[:100]} after {last[index]}")
            last[index] = number or last[index] + 1
            load.done += 1
            publish()

        load.watch(subscriber, heard)
    publisher = Client(where, "unix")
    published = answered = 0

    def publish() -> None:
        nonlocal published
        while (
            not load.is_stopping
            and published - answered < UNACKNOWLEDGED
            and published - min(last.values()) < BEHIND
        ):
            published += 1
            publisher.send(
                [16, publisher.number(), {"acknowledge": True}, "soak.topic", [published]]
            )

    def acknowledged(message: list[Any]) -> None:
        nonlocal answered
        if message[0] != 17:
            load.fault(f"the publisher got {message}")
        answered += 1
        publish()

    load.watch(publisher, acknowledged)
    publish()
    return load, lambda: answered == published == min(last.values())


def main() -> None:
    kind, *urls = sys.argv[1:]
    load, is_done = {"calls": calls, "events": events}[kind](Where(*urls))
    print("ready", flush=True)
    load.run(is_done)
    print(json.dumps({"done": load.done, "faults": load.faults}), flush=True)


if __name__ == "__main__":
    main()
