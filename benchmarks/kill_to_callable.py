"""A Peer is killed with -9: how long until its procedure answers again."""

from __future__ import annotations

import functools
import os
import signal
import time

from benchmarks.common import (
    PROCEDURE,
    Table,
    arguments,
    chosen,
    open_crossbar,
    temporary_folder,
    wait_for,
)
from benchmarks.engines import RESTARTING, Engine, running
from wampy import RequestError, RequestTimeout, Session

#: Before the first kill all have been well for so long: engines treat what dies young differently.
SETTLED_S = 3.0


def answers(session: Session, uri: str) -> bool:
    try:
        return bool(session.call(uri, "hello", timeout=5.0) == "hello")
    except (RequestError, RequestTimeout):
        return False


def kill(session: Session, engine: Engine, number: int) -> float:
    """Give the milliseconds from the kill to the first answer after it."""
    uri = f"{PROCEDURE}{number}"
    pid = wait_for(lambda: engine.pid_of(number), 10, f"Peer {number}")
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    wait_for(lambda: answers(session, uri), 30, f"{uri} answers again", 0.001)
    return (time.monotonic() - began) * 1000


def main() -> None:
    options = arguments(__doc__, kills=50)
    table = Table(
        "kill_to_callable",
        "One Peer killed with -9, until its procedure answers again",
        "ms",
        f"{options.kills} Peers without replicas, each killed once; a caller tries each ms.",
        digits=0,
    )
    with open_crossbar() as router, Session(router.unix_url, realm="realm1") as session:
        for name in chosen(RESTARTING, options.only):
            with (
                temporary_folder() as folder,
                running(name, router, folder, options.kills, PROCEDURE, False) as engine,
            ):
                engine.start()
                for number in range(options.kills):
                    wait_for(
                        functools.partial(answers, session, f"{PROCEDURE}{number}"),
                        60,
                        "all answer",
                    )
                time.sleep(SETTLED_S)
                for number in range(options.kills):
                    table.add(name, kill(session, engine, number))
    table.cannot("honcho", "ends everything when one process dies")
    table.write(keep=not options.only)


if __name__ == "__main__":
    main()
