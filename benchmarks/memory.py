"""Memory of a whole tree of 100 Peers, without the Router, after 1,000 calls to each."""

from __future__ import annotations

from concurrent.futures import Future, wait
from typing import Any

from benchmarks.common import (
    PROCEDURE,
    Table,
    arguments,
    chosen,
    open_crossbar,
    pss_bytes,
    temporary_folder,
)
from benchmarks.engines import NAMES, running, wait_for_callees, wait_for_none
from wampy import Session

IN_FLIGHT = 64


def call(session: Session, count: int) -> None:
    """Make ``count`` calls, some at once; the Router deals them out to the Peers in turn."""
    pending: set[Future[Any]] = set()
    for _ in range(count):
        pending.add(session.call_async(PROCEDURE, "hello"))
        if len(pending) >= IN_FLIGHT:
            done, pending = wait(pending, return_when="FIRST_COMPLETED")
            for future in done:
                future.result()
    for future in pending:
        future.result()


def main() -> None:
    options = arguments(__doc__, peers=100, calls=1000, rounds=1)
    table = Table(
        "memory",
        f"PSS of {options.peers} Peers and what keeps them, after {options.calls} calls to each",
        "MiB",
        "The whole process tree (supervisor, nursery, logger, Peers …) without the Router.",
        digits=1,
    )
    with open_crossbar() as router, Session(router.unix_url, realm="realm1") as session:
        for _ in range(options.rounds):
            for name in chosen(NAMES, options.only):
                wait_for_none(session, PROCEDURE)
                with (
                    temporary_folder() as folder,
                    running(name, router, folder, options.peers, PROCEDURE) as engine,
                ):
                    engine.start()
                    wait_for_callees(session, PROCEDURE, options.peers)
                    call(session, options.peers * options.calls)
                    table.add(name, pss_bytes(engine.root()) / 2**20)
    table.write(keep=not options.only)


if __name__ == "__main__":
    main()
