"""``python -m benchmarks.stack_soak [--minutes 10] [--seed N]``: see the package.

Fails when a fault is not over within what the contract promises (twice that on a noisy machine), a
call is lost that no death accounts for, anything has leaked, or a process is left in the end. Ten
minutes or more write ``docs/failures.md``.
"""

from __future__ import annotations

import datetime
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.common import (
    HERE,
    arguments,
    commit,
    machine,
    pair_ms,
    say,
    temporary_folder,
    wait_for,
)
from benchmarks.engines import wampy_program
from benchmarks.stack_soak.faults import Fault, all_faults
from benchmarks.stack_soak.load import RATE, Load, unaccounted
from benchmarks.stack_soak.stack import ANY, NAMES, RECYCLED, RECYCLED_AFTER, Heard, Scene, write
from orchestrator import Stack
from orchestrator.processes import is_alive, parent_of, processes_marked
from orchestrator.rundir import RUN_MARK, RunDir

DOCUMENT = HERE.parent / "docs" / "failures.md"
#: From so many minutes on the result is worth to be kept.
KEPT_MINUTES = 10
#: What is promised is promised for a machine that does nothing else.
_NOISE = 2.0
#: Seconds after which no process may be left.
_LEFT_S = 2.0
#: Bytes and descriptors that supervisor and Router may have more at the end.
_GROWTH_BYTES = 8 * 2**20
_GROWTH_FDS = 4


@dataclass
class Result:
    """What came of it; ``wrong`` is empty when all is as promised."""

    faults: list[Fault]
    ends: list[Fault]
    calls: int = 0
    slow_calls: int = 0
    recycled: list[float] = field(default_factory=list)
    lost: int = 0
    facts: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def soak(folder: Path, minutes: float, seed: int) -> Result:
    """Run the stack and do everything to it, at least once each."""
    chance, faults = random.Random(seed), all_faults()
    result = Result(faults, [])
    with Stack.from_manifest(write(folder)) as stack:
        scene = Scene(stack, folder)
        with Load(scene.url, NAMES) as load:
            for name in ANY:
                stack.restart(name)  # from now on each has a nursery of its own
            scene.settle()
            before = _held(scene)
            end, rounds = time.monotonic() + minutes * 60, 0
            while rounds == 0 or time.monotonic() < end:
                for fault in chance.sample(faults, len(faults)):
                    if rounds == 0 or time.monotonic() < end:
                        _bring_about(fault, scene, load, chance, result)
                rounds += 1
        time.sleep(1.0)  # the last transitions
        result.calls, result.slow_calls, result.lost = load.count, load.slow_count, len(load.lost)
        result.recycled = recycled(scene.heard)
        for loss in unaccounted(load.lost, scene.heard):
            result.wrong.append(f"nobody died when this was lost: {loss}")
        _compare(before, _held_at_last(scene, before), result)
        left = scene.processes()
        stack.down()
    _look_for(left, result)
    return result


def _bring_about(
    fault: Fault, scene: Scene, load: Load, chance: random.Random, result: Result
) -> None:
    """Do it to a stack that is settled, and have it settled again."""
    lost = len(load.lost)
    try:
        times = fault.run(scene, chance)
    except AssertionError as error:
        result.wrong.append(f"{fault.name}: {error}")
        say(f"   {fault.name}: {error}")
        scene.settle()
        return
    if times.found_s is not None:
        fault.found.append(times.found_s)
    if times.again_s is not None:
        fault.again.append(times.again_s)
        if fault.bound_s is not None and times.again_s > fault.bound_s * _NOISE:
            result.wrong.append(f"{fault.name}: over after {times.again_s:.2f} s")
    scene.settle()
    fault.lost.append(len(load.lost) - lost)
    say(f"   {fault.name}: {_text(times.found_s)}, {_text(times.again_s)}, {fault.lost[-1]} lost")


def _text(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1000:,.0f} ms"


def recycled(heard: list[Heard]) -> list[float]:
    """Give for each Instance that was recycled how long it took until the next one was ready."""
    found, began = [], dict[str, float]()
    for one in heard:
        instance = str(one.event.get("instance"))
        if instance.partition(":")[0] != RECYCLED:
            continue
        if "max_calls" in str(one.event.get("reason")):
            began.setdefault(instance, one.at)
        elif instance in began and one.event.get("ready"):
            found.append(one.at - began.pop(instance))
    return found


# ---------------------------------------------------------------------- what is held, what is left


def _held(scene: Scene) -> dict[str, tuple[int, int, int]]:
    """Give pid, memory and descriptors of supervisor and Router, and how many processes live."""
    held = {
        name: (one.pid, one.memory_full_info().pss, one.num_fds())
        for name, one in scene.own().items()
    }
    return {**held, "processes": (0, len(scene.processes()), 0)}


def _held_at_last(
    scene: Scene, before: dict[str, tuple[int, int, int]]
) -> dict[str, tuple[int, int, int]]:
    """As ``_held``, when nobody is being replaced any more; or after 20 s."""
    end = time.monotonic() + 20.0
    held = _held(scene)
    while held["processes"][1] > before["processes"][1] and time.monotonic() < end:
        time.sleep(0.5)
        held = _held(scene)
    return held


def _compare(
    before: dict[str, tuple[int, int, int]], after: dict[str, tuple[int, int, int]], result: Result
) -> None:
    for name in ("supervisor", "Router"):
        (old, old_bytes, old_fds), (new, new_bytes, new_fds) = before[name], after[name]
        grown, fds = new_bytes - old_bytes, new_fds - old_fds
        which = "" if old == new else " (another one by then)"
        result.facts[f"{name}{which}"] = (
            f"{old_bytes / 2**20:.1f} MiB and {old_fds} descriptors at the beginning, "
            f"{new_bytes / 2**20:.1f} MiB and {new_fds} at the end"
        )
        if grown > _GROWTH_BYTES or fds > _GROWTH_FDS:
            result.wrong.append(f"the {name} has grown: {result.facts[f'{name}{which}']}")
    old_count, new_count = before["processes"][1], after["processes"][1]
    result.facts["processes"] = f"{old_count} at the beginning, {new_count} at the end"
    if new_count > old_count:
        result.wrong.append(f"processes: {result.facts['processes']}")


def _look_for(pids: list[int], result: Result) -> None:
    end = time.monotonic() + _LEFT_S
    while (left := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < end:
        time.sleep(0.01)
    if left:
        result.wrong.append(f"left after the end: {left}")


def end_by_force(folder: Path, times: int, result: Result) -> None:
    """Kill the supervisor, and the guard, with stopped Peers and their children about."""
    program = wampy_program()
    for who in ("supervisor", "guard"):
        does = "all ends, the next up starts"
        fault = Fault(f"the {who} is killed with -9", does, "2 s", lambda s, c: None, 2.0)  # type: ignore[arg-type, return-value]
        result.ends.append(fault)
        for _ in range(times):
            subprocess.run([program, "up", "-d"], cwd=folder, check=True, capture_output=True)
            state = RunDir(folder / ".wampy").read_state()
            with Stack.from_manifest(folder / "wampy.toml") as stack:
                rows = stack.ps()["instances"]
                running = [row["pid"] for row in rows if row["pid"]]
                for pid in running[:4]:
                    stack.call(f"soak.breed.{pid}")
                os.kill(running[0], signal.SIGSTOP)
                os.kill(stack.ps()["router"]["pid"], signal.SIGSTOP)
                pid = state["pid"] if who == "supervisor" else parent_of(state["pid"])
                assert isinstance(pid, int)
                began = time.monotonic()
                os.kill(pid, signal.SIGKILL)
                wait_for(partial(_is_gone, state["run"]), 30, "nothing is left")
                fault.again.append(time.monotonic() - began)
                if fault.again[-1] > _LEFT_S:
                    result.wrong.append(f"{fault.name}: something was left for {fault.again[-1]} s")
        say(f"   {fault.name}: {[round(one, 2) for one in fault.again]}")
    subprocess.run([program, "up", "-d"], cwd=folder, check=True, capture_output=True)
    subprocess.run([program, "down"], cwd=folder, check=True, capture_output=True)


def _is_gone(run: str) -> bool:
    return not any(map(is_alive, processes_marked(RUN_MARK, run)))


# ---------------------------------------------------------------------- the document

HEAD = """# What happens when things fail

Each row is a test (`tests/system`), and was measured by the last `make soak`: {minutes} minutes of
a stack of {peers} Peers with 2 replicas each and the built-in Router, default heartbeats (every
2 s, 3 misses), under {rate} calls/s and, beside them, calls that take a second; in that time one
fault after another, at random. Times are median / worst. *Found*: from the fault to the first
transition that tells of it. *Over*: from the fault until a new process answers; for the Router from
its being ready again until each Peer has answered; for what is asked for how long it takes; for
supervisor and guard until no process is left, with an Instance and the Router stopped, and with
children of Peers in sessions of their own.

{about}, seed {seed}. The same machine made the calls.

| fault | what the stack does | promised | times | found | over | calls lost |
|---|---|---|---|---|---|---|
{rows}

{calls:,} short calls and {slow:,} of a second; {lost} got no result, {accounted}.

At the end:

{facts}
"""


def row(fault: Fault) -> str:
    lost = f"{statistics.median(fault.lost):g} / {max(fault.lost)}" if fault.lost else "–"
    count = max(len(fault.again), len(fault.found))
    cells = [
        fault.name,
        fault.does,
        fault.bound,
        str(count),
        pair_ms(fault.found),
        pair_ms(fault.again),
    ]
    return "| " + " | ".join([*cells, lost]) + " |"


def document(result: Result, minutes: float, seed: int) -> str:
    about = f"{datetime.date.today().isoformat()}, {machine()}, at {commit()}"
    recycling = Fault(f"max_calls = {RECYCLED_AFTER} is reached", "rolled", "0 lost", None)  # type: ignore[arg-type]
    recycling.again = result.recycled
    rows = [row(one) for one in (*result.faults, recycling, *result.ends)]
    losses = [one for one in result.wrong if one.startswith("nobody died")]
    accounted = (
        f"{len(losses)} of them for no reason"
        if losses
        else ("each while an Instance of that Peer died or the Router was away")
    )
    return HEAD.format(
        minutes=f"{minutes:g}", peers=len(NAMES), rate=RATE, about=about, seed=seed,
        rows="\n".join(rows), calls=result.calls, slow=result.slow_calls, lost=result.lost,
        accounted=accounted, facts="\n".join(f"- {k}: {v}" for k, v in result.facts.items()),
    )  # fmt: skip


def main() -> int:
    options = arguments(__doc__, minutes=10, seed=1)
    with temporary_folder() as folder:
        result = soak(folder, options.minutes, options.seed)
        end_by_force(folder, 5 if options.minutes >= KEPT_MINUTES else 1, result)
    text = document(result, options.minutes, options.seed)
    print(text)
    for one in result.wrong:
        say(f"wrong: {one}")
    if options.minutes >= KEPT_MINUTES:
        DOCUMENT.write_text(text)
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
