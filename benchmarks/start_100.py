"""From typing the command to all of 100 Peers registered; wampy: to all of them ready."""

from __future__ import annotations

import time

from benchmarks.common import PROCEDURE, Table, arguments, chosen, open_crossbar, temporary_folder
from benchmarks.engines import NAMES, running, wait_for_callees, wait_for_none
from wampy import Session


def main() -> None:
    options = arguments(__doc__, peers=100, rounds=3)
    table = Table(
        "start_100",
        f"{options.peers} Peers on a running Crossbar: from the command to all registered",
        "s",
        "`wampy up -d` until it returns (all ready: registered, and one heartbeat answered); the"
        " others, with autobahn's Peers, until the Router counts all callees.",
    )
    with open_crossbar() as router, Session(router.unix_url, realm="realm1") as session:
        for _ in range(options.rounds):
            for name in chosen(NAMES, options.only):
                wait_for_none(session, PROCEDURE)
                with (
                    temporary_folder() as folder,
                    running(name, router, folder, options.peers, PROCEDURE) as engine,
                ):
                    began = time.monotonic()
                    engine.start()
                    if name == "wampy":
                        table.add(name, time.monotonic() - began)
                    wait_for_callees(session, PROCEDURE, options.peers)
                    if name != "wampy":
                        table.add(name, time.monotonic() - began)
    table.write(keep=not options.only)


if __name__ == "__main__":
    main()
