"""A Peer is killed with -9: how long until its procedure answers again."""

from __future__ import annotations

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
from benchmarks.engines import RESTARTING, Engine, running, wait_for_callees
from wampy import RequestError, RequestTimeout, Session

#: Before each kill the Peer has been well for so long: engines treat what dies young differently.
SETTLED_S = 1.5


def answers(session: Session) -> bool:
    try:
        return bool(session.call(PROCEDURE, "hello", timeout=5.0) == "hello")
    except (RequestError, RequestTimeout):
        return False


def kill_once(session: Session, engine: Engine) -> float:
    """Give the milliseconds from the kill to the first answer after it."""
    (pid,) = wait_for(lambda: [pid for pid in engine.peers() if pid], 10, "one Peer")
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    wait_for(lambda: answers(session), 30, "the procedure answers again", 0.001)
    return (time.monotonic() - began) * 1000


def main() -> None:
    options = arguments(__doc__, kills=20)
    table = Table(
        "kill_to_callable",
        "One Peer killed with -9, until its procedure answers again",
        "ms",
        "One Peer, no replica; a caller tries each millisecond. honcho starts nothing again.",
        digits=0,
    )
    with open_crossbar() as router, Session(router.unix_url, realm="realm1") as session:
        for name in chosen(RESTARTING, options.only):
            with (
                temporary_folder() as folder,
                running(name, router, folder, 1, PROCEDURE) as engine,
            ):
                engine.start()
                wait_for_callees(session, PROCEDURE, 1)
                for _ in range(options.kills):
                    time.sleep(SETTLED_S)
                    table.add(name, kill_once(session, engine))
    table.cannot("honcho", "ends everything when one process dies")
    table.write(keep=not options.only)


if __name__ == "__main__":
    main()
