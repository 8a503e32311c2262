"""What the comparisons share: one Crossbar, a table, and how time and memory are taken.

Everything is measured on the same machine in the same run, one thing at a time, in turns, so that
what disturbs one disturbs the others as well. Results are medians, with the ratio of medians.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

from orchestrator.processes import die_with_parent
from wampy.testing.executables import find_crossbar

T = TypeVar("T")

HERE = Path(__file__).parent
ROOT = HERE.parent
#: What is in each venv of rivals; nothing older, so that nobody is compared with what they were.
#: With their codecs, where these are extras. The last one wants old versions of what all have.
RIVALS = {
    "rivals": (
        *("autobahn>=26.10", "circus>=0.19", "honcho>=2.0", "supervisor>=4.3"),
        *("swampyer>=3.1", "xconn>=0.5", "xconn-core>=0.1", "msgpack>=1.0", "cbor2>=5.6"),
    ),
    "wampy-1": ("wampy==1.1.0",),
}
REALM = "realm1"
PROCEDURE = "bench.echo"


def end_with_me(signum: int = signal.SIGTERM) -> Callable[[], None]:
    """Give a ``preexec_fn``: the child gets the signal when this process ends, however it does.

    A child that may be stopped needs SIGKILL: a stopped process acts on no other.
    """
    own = os.getpid()
    return lambda: die_with_parent(own, signum)


def say(text: str) -> None:
    """Tell how far it is; the table comes at the end, on stdout."""
    print(text, file=sys.stderr, flush=True)


def wait_for(condition: Callable[[], T], timeout_s: float, what: str, pause_s: float = 0.005) -> T:
    """Return the first true value of ``condition()``.

    Raises:
        SystemExit: it did not come in time; a comparison without one side is none.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {timeout_s} s: {what}")
        time.sleep(pause_s)


def rival(program: str, venv: str = "rivals") -> str:
    """Give a program of a venv of rivals, which is made when it is not there."""
    folder = ROOT / f".venv-{venv}"
    stamp = folder / ".installed"
    wanted = RIVALS[venv]
    if not stamp.exists() or stamp.read_text() != " ".join(wanted):
        say(f"== Installing {' '.join(wanted)} into {folder.name} (once; a minute)")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *wanted], check=True, stdout=sys.stderr)
        stamp.write_text(" ".join(wanted))
    return str(folder / "bin" / program)


@dataclass(frozen=True)
class OpenCrossbar:
    """A Crossbar where everybody may do everything."""

    url: str
    unix_url: str
    folder: Path
    pid: int
    ready_after_s: float


def open_config(port: int, socket_path: Path) -> dict[str, Any]:
    permission = {
        "uri": "",
        "match": "prefix",
        "allow": dict.fromkeys(("call", "register", "publish", "subscribe"), True),
    }
    serializers = ["cbor", "msgpack", "json"]
    worker = {
        "type": "router",
        "realms": [{"name": REALM, "roles": [{"name": "anonymous", "permissions": [permission]}]}],
        "transports": [
            {
                "type": "universal",
                "endpoint": {"type": "tcp", "port": port, "interface": "127.0.0.1"},
                "websocket": {"ws": {"type": "websocket", "serializers": serializers}},
            },
            {
                "type": "rawsocket",
                "endpoint": {"type": "unix", "path": str(socket_path)},
                "serializers": serializers,
            },
        ],
    }
    return {"version": 2, "controller": {}, "workers": [worker]}


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def open_crossbar() -> Iterator[OpenCrossbar]:
    """Run a Crossbar until the block ends."""
    with temporary_folder() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        socket_path = folder / "router.sock"
        (folder / "config.json").write_text(json.dumps(open_config(port, socket_path)))
        notify.bind("")
        notify.settimeout(60)
        address = "@" + notify.getsockname()[1:].decode()
        crossbar = str(find_crossbar(ROOT))
        began = time.monotonic()
        process = subprocess.Popen(
            [crossbar, "start", "--cbdir", folder, "--config", "config.json", "--loglevel", "warn"],
            cwd=folder,
            env={**os.environ, "NOTIFY_SOCKET": address},
            stdout=(folder / "log").open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_me(),
        )
        try:
            assert b"READY=1" in notify.recv(4096)
            yield OpenCrossbar(
                url=f"ws://127.0.0.1:{port}/ws",
                unix_url=f"unix://{socket_path}",
                folder=folder,
                pid=process.pid,
                ready_after_s=time.monotonic() - began,
            )
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def pss_bytes(root: int, without: Sequence[int] = ()) -> int:
    """Give the PSS of a process and all below it: shared pages count once, divided."""
    total = 0
    process = psutil.Process(root)
    for one in (process, *process.children(recursive=True)):
        if one.pid not in without:
            with contextlib.suppress(psutil.NoSuchProcess):
                total += one.memory_full_info().pss
    return total


def cpu_seconds(root: int) -> float:
    """Give utime + stime of one process."""
    times = psutil.Process(root).cpu_times()
    return float(times.user + times.system)


def machine() -> str:
    """Give the class of this machine; no names, no paths."""
    memory = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    python = f"Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {system}, {python}"


def commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "unknown"


@dataclass
class Table:
    """One comparison: a row for each contender, its samples, and the ratio to ours.

    Attributes:
        name: of the file in ``results/``.
        title: what is measured.
        unit: of the samples.
        ours: the contender that the others are compared with.
        is_less_better: times and memory; False for rates.
        note: how it was measured, in a sentence or two.
    """

    name: str
    title: str
    unit: str
    note: str
    ours: str = "wampy"
    is_less_better: bool = True
    digits: int = 2
    samples: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, contender: str, value: float) -> None:
        self.samples.setdefault(contender, []).append(value)
        say(f"   {contender}: {value:.{self.digits}f} {self.unit}")

    def cannot(self, contender: str, why: str) -> None:
        """Say why a contender has no figure, instead of leaving it out."""
        self.missing[contender] = why
        say(f"   {contender}: {why}")

    def markdown(self) -> str:
        lines = [
            f"### {self.title}",
            "",
            f"{self.note} {datetime.date.today().isoformat()}, {machine()}, at {commit()}.",
            "",
            f"| | median ({self.unit}) | worst | samples | {self.ours} is better by |",
            "|---|---|---|---|---|",
        ]
        worst = max if self.is_less_better else min
        ours = statistics.median(self.samples[self.ours]) if self.ours in self.samples else None
        for contender, samples in self.samples.items():
            median = statistics.median(samples)
            ratio = "–"
            if ours and contender != self.ours:
                factor = median / ours if self.is_less_better else ours / median
                ratio = f"{factor:.2f} ×"
            lines.append(
                f"| {contender} | {median:.{self.digits}f} | {worst(samples):.{self.digits}f}"
                f" | {len(samples)} | {ratio} |"
            )
        lines += [f"| {contender} | {why} | – | 0 | – |" for contender, why in self.missing.items()]
        return "\n".join(lines) + "\n"

    def write(self, *, keep: bool = True) -> None:
        """Print it, and put it into ``results/``: only what compares all of them is kept."""
        text = self.markdown()
        print(text, flush=True)
        if not keep:
            return
        (HERE / "results").mkdir(exist_ok=True)
        (HERE / "results" / f"{self.name}.md").write_text(text)


def write_rows(
    name: str,
    title: str,
    note: str,
    columns: Sequence[str],
    rows: list[list[str]],
    *,
    keep: bool = True,
) -> None:
    """Print a table, and put it into ``results/`` if it is to be kept."""
    about = f"{datetime.date.today().isoformat()}, {machine()}, at {commit()}."
    lines = [f"### {title}", "", f"{note} {about}", ""]
    lines += [f"| {' | '.join(one)} |" for one in (columns, ["---"] * len(columns), *rows)]
    text = "\n".join(lines) + "\n"
    print(text, flush=True)
    if keep:
        (HERE / "results").mkdir(exist_ok=True)
        (HERE / "results" / f"{name}.md").write_text(text)


def pair_ms(seconds: Sequence[float]) -> str:
    """Give median and worst as a cell."""
    if not seconds:
        return "–"
    return f"{statistics.median(seconds) * 1000:,.0f} / {max(seconds) * 1000:,.0f} ms"


def arguments(description: str | None, **defaults: int) -> argparse.Namespace:
    """Read ``--name N`` options; every count has a default that keeps the run short."""
    # So that what was begun is ended by its `finally`, too.
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))
    parser = argparse.ArgumentParser(description=description)
    for name, default in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    parser.add_argument(
        "--only", default="", help="some contenders, separated by commas (no table is kept)"
    )
    return parser.parse_args()


def chosen(contenders: Sequence[str], only: str) -> list[str]:
    """Give the contenders that were asked for."""
    wanted = {name.strip() for name in only.split(",") if name.strip()}
    return [name for name in contenders if not wanted or name in wanted]
