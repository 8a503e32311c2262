"""How long `wampy ps` takes with 100 Instances, and the rivals' status commands."""

from __future__ import annotations

import subprocess
import time

from benchmarks.common import (
    PROCEDURE,
    Table,
    arguments,
    chosen,
    open_crossbar,
    rival,
    temporary_folder,
)
from benchmarks.engines import running, wait_for_callees, wait_for_none, wampy_program
from wampy import Session


def main() -> None:
    options = arguments(__doc__, peers=100, rounds=15)
    table = Table(
        "ps_time",
        f"`wampy ps` with {options.peers} Instances",
        "s",
        "The whole command, interpreter included.",
    )
    with open_crossbar() as router, Session(router.unix_url, realm="realm1") as session:
        for name in chosen(["wampy", "circus"], options.only):
            wait_for_none(session, PROCEDURE)
            with (
                temporary_folder() as folder,
                running(name, router, folder, options.peers, PROCEDURE) as engine,
            ):
                engine.start()
                wait_for_callees(session, PROCEDURE, options.peers)
                endpoint = ["--endpoint", f"ipc://{engine.folder}/endpoint"]
                commands = {
                    "wampy": [wampy_program(), "ps"],
                    "circus": [rival("circusctl"), *endpoint, "list", "peer"],
                }
                for _ in range(options.rounds):
                    began = time.monotonic()
                    subprocess.run(
                        commands[name], cwd=engine.folder, check=True, stdout=subprocess.DEVNULL
                    )
                    table.add(name, time.monotonic() - began)
    table.write(keep=not options.only)


if __name__ == "__main__":
    main()
