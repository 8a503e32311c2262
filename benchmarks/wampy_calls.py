"""Calls per second of wampy: ``wampy_calls.py callee|caller URL PROCEDURE [SECONDS]``."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import deque

from wampy import Session

ROLE, URL, PROCEDURE = sys.argv[1:4]
SECONDS = float(sys.argv[4]) if len(sys.argv) > 4 else 3.0


def sequential(session: Session) -> float:
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        session.call(PROCEDURE, "hello")
        count += 1
    return count / (time.perf_counter() - began)


def in_flight(session: Session, many: int) -> float:
    """Keep ``many`` calls in flight; the oldest one is waited for."""
    count, began = 0, time.perf_counter()
    pending = deque(session.call_async(PROCEDURE, "hello") for _ in range(many))
    while time.perf_counter() - began < SECONDS:
        pending.popleft().result()
        pending.append(session.call_async(PROCEDURE, "hello"))
        count += 1
    elapsed = time.perf_counter() - began
    for future in pending:
        future.result()
    return count / elapsed


def main() -> None:
    with Session(URL, realm="realm1", serializer=os.environ.get("SERIALIZER")) as session:
        if ROLE == "callee":
            session.register(PROCEDURE, lambda text: text, options={"invoke": "roundrobin"})
            print("ready", flush=True)
            threading.Event().wait()
        for _ in range(100):
            session.call(PROCEDURE, "warm")
        print(
            json.dumps({"sequential": sequential(session), "in_flight": in_flight(session, 32)}),
            flush=True,
        )


if __name__ == "__main__":
    main()
