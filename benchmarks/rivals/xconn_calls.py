"""Calls per second of xconn: ``xconn_calls.py callee|caller URL PROCEDURE [SECONDS]``.

``unix://`` URLs: RawSocket with MessagePack; others as its blocking Client connects by default. Its
blocking Client keeps 32 calls in flight with 32 threads.
"""

import json
import sys
import threading
import time

from xconn import Client, MsgPackSerializer
from xconn.types import Invocation, Result

ROLE, URL, PROCEDURE = sys.argv[1:4]
SECONDS = float(sys.argv[4]) if len(sys.argv) > 4 else 3.0


def connect():
    client = Client(serializer=MsgPackSerializer()) if URL.startswith("unix://") else Client()
    return client.connect(URL, "realm1")


def rate(session, threads):
    counts, began = [0] * threads, time.perf_counter()
    end = began + SECONDS

    def run(number):
        while time.perf_counter() < end:
            session.call(PROCEDURE, ["hello"])
            counts[number] += 1

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def echo(invocation: Invocation) -> Result:
    return Result(invocation.args)


def main():
    session = connect()
    if ROLE == "callee":
        session.register(PROCEDURE, echo)
        print("ready", flush=True)
        threading.Event().wait()
    for _ in range(100):
        session.call(PROCEDURE, ["warm"])
    result = {"sequential": rate(session, 1)}
    print(json.dumps(result), flush=True)
    try:
        result["in_flight"] = rate(session, 32)
    finally:
        print(json.dumps(result), flush=True)
    session.leave()


if __name__ == "__main__":
    main()
