"""The supervisor at rest: CPU and memory of the process that watches 100 Peers."""

from __future__ import annotations

import time

import psutil

from benchmarks.common import (
    PROCEDURE,
    Table,
    arguments,
    chosen,
    cpu_seconds,
    open_crossbar,
    say,
    temporary_folder,
)
from benchmarks.engines import NAMES, running, wait_for_callees, wait_for_none
from wampy import Session


def main() -> None:
    options = arguments(__doc__, peers=100, seconds=600)
    note = (
        f"Over {options.seconds} s, utime + stime of the one process that watches; wampy's sends"
        " and checks a heartbeat for each Instance every 2 s meanwhile, the others only wait."
    )
    cpu = Table(
        "at_rest_cpu", f"Supervisor of {options.peers} Peers at rest: CPU", "% of a core", note
    )
    rss = Table("at_rest_rss", "The same: growth of its RSS", "KiB", note, digits=0)
    with open_crossbar() as router, Session(router.unix_url, realm="realm1") as session:
        for name in chosen(NAMES, options.only):
            wait_for_none(session, PROCEDURE)
            with (
                temporary_folder() as folder,
                running(name, router, folder, options.peers, PROCEDURE) as engine,
            ):
                engine.start()
                wait_for_callees(session, PROCEDURE, options.peers)
                time.sleep(10)
                pid = engine.supervisor()
                memory = psutil.Process(pid).memory_info
                spent, held, began = cpu_seconds(pid), memory().rss, time.monotonic()
                say(f"   {name}: at rest for {options.seconds} s, RSS {held / 2**20:.1f} MiB")
                time.sleep(options.seconds)
                elapsed = time.monotonic() - began
                cpu.add(name, (cpu_seconds(pid) - spent) / elapsed * 100)
                rss.add(name, (memory().rss - held) / 1024)
    cpu.write(keep=not options.only)
    rss.write(keep=not options.only)


if __name__ == "__main__":
    main()
