"""What `wampy up` takes longer than Crossbar's own start."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.common import Table, arguments, open_crossbar, temporary_folder
from benchmarks.engines import wampy_program


def wampy_up(folder: Path, peers: int) -> float:
    (folder / "bench_peer.py").write_text(
        "from wampy import Peer, rpc\n\n\nclass Echo(Peer):\n    @rpc\n"
        "    def echo(self, text):\n        return text\n"
    )
    from wampy.testing.executables import find_crossbar

    (folder / "wampy.toml").write_text(
        '[router]\ntype = "crossbar"\nport = 0\n'
        f'command = ["{find_crossbar(Path(__file__))}"]\n\n'
        f'[peers.echo]\napp = "bench_peer:Echo"\nreplicas = {peers}\n'
    )
    began = time.monotonic()
    subprocess.run([wampy_program(), "up", "-d"], cwd=folder, check=True, stdout=sys.stderr)
    elapsed = time.monotonic() - began
    subprocess.run([wampy_program(), "down"], cwd=folder, check=True, stdout=sys.stderr)
    return elapsed


def main() -> None:
    options = arguments(__doc__, peers=4, rounds=5)
    table = Table(
        "up_over_crossbar",
        f"`wampy up -d` of Crossbar and {options.peers} Peers, and Crossbar alone",
        "s",
        "In turns; Crossbar alone: from its start to READY=1 on NOTIFY_SOCKET.",
        ours="wampy up -d",
    )
    for _ in range(options.rounds):
        with open_crossbar() as router:
            table.add("crossbar start", router.ready_after_s)
        with temporary_folder() as folder:
            table.add("wampy up -d", wampy_up(folder, options.peers))
    table.write()


if __name__ == "__main__":
    main()
