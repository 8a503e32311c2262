"""The nursery: a warm process with the Peers' modules imported, from which Instances are forked.

Exec'ed by the supervisor with one argument, the number of its channel's descriptor. On the channel:

- first, from the supervisor, what to import: ``{"apps": {NAME: {"app", "config", "kind"}},
  "preload": [...], "root", "warm": [...], "classes": path | null}``; with ``"exec": {...}`` and
  three descriptors beside it, this process becomes that Instance itself, without a fork;
- then, to the supervisor, ``{"importing": NAME}`` before each Peer and what came of it:
  ``{"imported": {NAME: report}, "faults": {NAME: text}, "threaded": [NAME, ...], "files":
  {MODULE: [path, digest]}, "imported_at": seconds since the epoch}``;
- then orders ``{"fork": {...}}`` with three descriptors (stdout, stderr, the Instance's channel),
  each answered by ``{"forked": key, "pid": pid}`` or ``{"failed": key, "reason": text}``.

It has one thread, always: a module that starts threads when imported poisons it (``threaded``), and
the supervisor makes another nursery without that Peer. An Instance is not its child but the
supervisor's: it forks twice, the process between ends at once, and the supervisor is a subreaper.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import sys
import time
from typing import Any

# The processes of a stack are started by multiprocess: its dill pickles what Stack([...]) is given.
import multiprocess
from multiprocess.context import ForkContext

from orchestrator import channel, instance
from orchestrator.code import local_files
from orchestrator.core.events import EXIT_CANNOT_START
from orchestrator.processes import die_with_parent

#: Libraries for numbers start a thread a core when imported; one thread of ours stays one.
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")

#: Imported before the forks, so that no Instance has to: what it runs on beside its Peer.
_WARM = (
    "wampy.host.host",
    "wampy.host.health",
    "wampy.session.session",
    "wampy.session.raw",
    "wampy.transports.rawsocket",
    "wampy.serializers",
)


def main() -> None:
    """Import what the supervisor asks for, then fork Instances until its channel closes."""
    die_with_parent(os.getppid())
    supervisor_pid = os.getppid()
    # A Ctrl-C of the terminal is for the foreground, which asks for an orderly stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    link = socket.socket(fileno=int(sys.argv[1]))
    link.set_inheritable(False)
    first = channel.receive(link)
    if first is None:
        return
    wanted, fds = first
    if wanted["root"] not in sys.path:
        sys.path.insert(0, wanted["root"])
    is_exec = "exec" in wanted
    outcome = _import_all(wanted, None if is_exec else link)
    if is_exec:
        link.close()
        _become_only_instance(wanted["exec"], fds, outcome["faults"], supervisor_pid)
        return
    channel.send(link, outcome)
    context = multiprocess.get_context("fork")
    instance.prepare()
    _rehearse(context)
    # What is alive now stays alive: a collection that looked at it would copy every page of it.
    gc.collect()
    gc.freeze()
    while (message := channel.receive(link)) is not None:
        order, fds = message
        _fork(context, link, order["fork"], fds, supervisor_pid)
        for fd in fds:
            os.close(fd)


def _import_all(wanted: dict[str, Any], link: socket.socket | None) -> dict[str, Any]:
    """Import the modules one by one, telling which comes next, and see which start threads."""
    from orchestrator.checking import AppFault, check_app

    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")
    for module in (*_WARM, *wanted["warm"]):
        importlib.import_module(module)
    answer: dict[str, Any] = {"imported": {}, "faults": {}, "threaded": []}
    answer["imported_at"] = time.time()
    if wanted.get("classes"):
        _load_classes(wanted["classes"])
    for module in wanted["preload"]:
        try:
            importlib.import_module(module)
        except BaseException as error:  # a module may raise anything, SystemExit included
            answer["faults"]["[stack] preload"] = f"{module}: {type(error).__name__}: {error}"
    for name, peer in wanted["apps"].items():
        if link is not None:
            channel.send(link, {"importing": name})
        before = _thread_count()
        try:
            report = check_app(peer["app"], peer["config"], kind=peer["kind"])
        except AppFault as fault:
            answer["faults"][name] = f"{fault.key}: {fault}"
            continue
        answer["imported"][name] = {
            "procedures": list(report.procedures),
            "topics": list(report.topics),
            "single": list(report.single_procedures),
        }
        if _thread_count() > before:
            answer["threaded"].append(name)
    answer["files"] = local_files(sys.modules)
    return answer


def _rehearse(context: ForkContext) -> None:
    """Go through what every Instance goes through: what this leaves in memory, they share."""
    from wampy.host.warming import warm_up

    warm_up()
    process = context.Process(target=os.getpid)
    process.start()
    process.join()
    process.close()


def _load_classes(path: str) -> None:
    """Unpickle the Peer classes that a program handed over, as a module that ``app`` can name."""
    import types

    import dill

    with open(path, "rb") as file:
        classes = dill.load(file)
    module = types.ModuleType("wampy_handed_over")
    for name, cls in classes.items():
        setattr(module, name, cls)
    sys.modules[module.__name__] = module


def _become_only_instance(
    order: dict[str, Any], fds: list[int], faults: dict[str, str], supervisor_pid: int
) -> None:
    """An interpreter for one Instance: nothing was forked, so nothing needs to be reset."""
    stdout, stderr, link = fds
    if faults:
        reason = "; ".join(faults.values())
        with socket.socket(fileno=link) as told:
            channel.send(told, {"failed": reason})
        os.write(stderr, f"{reason}\n".encode())
        os._exit(EXIT_CANNOT_START)
    instance.prepare()
    instance.main(order, stdout, stderr, link, supervisor_pid)


def _thread_count() -> int:
    return len(os.listdir("/proc/self/task"))


def _fork(
    context: ForkContext,
    link: socket.socket,
    order: dict[str, Any],
    fds: list[int],
    supervisor_pid: int,
) -> None:
    """Fork one Instance, twice, and tell its pid once it is the supervisor's child."""
    reads, writes = os.pipe()
    try:
        # A plain one: what runs between the two forks is memory that the Instance does not share.
        between = os.fork()
    except OSError as error:
        os.close(writes)
        os.close(reads)
        channel.send(link, {"failed": order["key"], "reason": f"fork: {error.strerror}"})
        return
    if between == 0:
        try:
            _fork_again(context, order, fds, writes, (reads, link), supervisor_pid)
        finally:
            os._exit(1)
    os.close(writes)
    # The process between must be reaped first: a pid announced earlier is not yet the supervisor's.
    os.waitpid(between, 0)
    told = os.read(reads, 32)
    os.close(reads)
    if told:
        channel.send(link, {"forked": order["key"], "pid": int(told)})
    else:
        channel.send(link, {"failed": order["key"], "reason": "fork: the process between failed"})


def _fork_again(
    context: ForkContext,
    order: dict[str, Any],
    fds: list[int],
    writes: int,
    ours: tuple[int, socket.socket],
    supervisor_pid: int,
) -> None:
    """Runs in the process between: fork the Instance, tell its pid, end at once."""
    reads, link = ours
    os.close(reads)
    link.close()
    child = context.Process(
        target=_become_instance, args=(order, fds, writes, supervisor_pid), name=order["instance"]
    )
    child.start()
    os.write(writes, str(child.pid).encode())
    os._exit(0)


def _become_instance(
    order: dict[str, Any], fds: list[int], writes: int, supervisor_pid: int
) -> None:
    os.close(writes)
    stdout, stderr, link = fds
    instance.main(order, stdout, stderr, link, supervisor_pid)


if __name__ == "__main__":
    main()
