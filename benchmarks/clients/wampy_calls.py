"""What wampy does a second; see ``measuring``."""

from __future__ import annotations

import time
from collections import deque

from measuring import (
    COUNT,
    IN_FLIGHT,
    PROCEDURE,
    ROLE,
    SECONDS,
    TOPIC,
    URL,
    WAY,
    Heard,
    measure,
    wait_for_ever,
)

from wampy import Session


def in_flight(session: Session) -> float:
    """Keep calls in flight from one thread; the oldest one is waited for."""
    count, began = 0, time.perf_counter()
    pending = deque(session.call_async(PROCEDURE, "hello") for _ in range(IN_FLIGHT))
    while time.perf_counter() - began < SECONDS:
        pending.popleft().result()
        pending.append(session.call_async(PROCEDURE, "hello"))
        count += 1
    elapsed = time.perf_counter() - began
    for future in pending:
        future.result()
    return count / elapsed


def main() -> None:
    serializer = {"unix": "msgpack", "json": "json"}.get(WAY)
    with Session(URL, realm="realm1", serializer=serializer) as session:
        if ROLE == "callee":
            heard = Heard()
            session.register(PROCEDURE, lambda text: text, invoke="roundrobin")
            session.register(COUNT, lambda: heard.count, invoke="roundrobin")
            session.subscribe(TOPIC, heard)
            wait_for_ever()
        measure(
            lambda text: session.call(PROCEDURE, text),
            lambda text: session.publish(TOPIC, text),
            lambda: session.call(COUNT),
            lambda: in_flight(session),
        )


if __name__ == "__main__":
    main()
