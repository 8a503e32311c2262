"""What the import of a client costs, in time and memory.

``import wampy`` alone imports next to nothing: each name is imported when it is asked for. So what
is measured is the import of the names that a program begins with.
"""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.common import ROOT, Table, arguments, chosen, rival

#: The statement that a program of each begins with.
STATEMENTS = {
    "wampy": "from wampy import Peer, Session, rpc, subscribe",
    "wampy, for asyncio": "from wampy import AsyncSession",
    "wampy, the name alone": "import wampy",
    "autobahn": "from autobahn.asyncio.component import Component",
    "xconn": "import xconn",
    "swampyer": "import swampyer",
    "wampy 1.1.0": "import wampy.peers",
}
PROGRAM = """
import json, time

def private_bytes():
    with open("/proc/self/smaps_rollup") as rollup:
        return sum(int(line.split()[1]) for line in rollup if line.startswith("Private_")) * 1024

before = private_bytes()
began = time.perf_counter()
{}
seconds = time.perf_counter() - began
print(json.dumps([seconds, private_bytes() - before]))
"""


def main() -> None:
    options = arguments(__doc__, rounds=15)
    note = "In an interpreter of its own, which has imported json and time; files in the cache."
    time_taken = Table("import_time", "The import", "ms", note, digits=1)
    memory = Table("import_memory", "Private memory that the import takes", "MiB", note, digits=1)
    python = {
        name: rival("python", "wampy-1" if name == "wampy 1.1.0" else "rivals")
        for name in STATEMENTS
        if not name.startswith("wampy,") and name != "wampy"
    }
    for _ in range(options.rounds):
        for name in chosen(list(STATEMENTS), options.only):
            told = subprocess.run(
                [python.get(name, sys.executable), "-c", PROGRAM.format(STATEMENTS[name])],
                cwd="/" if name in python else ROOT,
                stdout=subprocess.PIPE,
                check=True,
            )
            seconds, grown = json.loads(told.stdout)
            time_taken.add(name, seconds * 1000)
            memory.add(name, grown / 2**20)
    time_taken.write(keep=not options.only)
    memory.write(keep=not options.only)


if __name__ == "__main__":
    main()
