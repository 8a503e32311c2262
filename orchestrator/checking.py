"""Whether the Peers of a manifest can be imported, and are what it says they are.

Rules:

- Only ``load_app`` and ``check_app`` import what belongs to the user, and they run in a process
  that may be hurt by it: a nursery, or the one that ``check_apps`` starts (``main``).
- A module may do anything when it is imported: exit, block, print, start threads. None of that
  reaches the process that asked.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.manifest import Fault, Manifest, PeerSection
    from wampy.peer import Peer

#: Seconds that the import of one Peer's module may take.
IMPORT_TIMEOUT_S = 60.0

_BOOT = "import sys; sys.path.append(sys.argv[2]); import orchestrator.checking as c; c.main()"


class AppFault(Exception):
    """An ``app`` that cannot be run; the text says why, ``key`` whose fault it is.

    Attributes:
        key: ``app`` or ``config``: the key of ``[peers.NAME]`` to look at.
    """

    def __init__(self, message: str, key: str = "app") -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, slots=True)
class AppReport:
    """What an app turned out to be.

    Attributes:
        procedures: the URIs that it registers.
        topics: the topics that it subscribes to.
        single_procedures: those of ``procedures`` that only one Session can hold.
    """

    cls: type[Peer]
    procedures: tuple[str, ...]
    topics: tuple[str, ...]
    single_procedures: tuple[str, ...]


def load_app(app: str) -> type[Peer]:
    """Import ``module:Class`` and give the class; what is imported already is not looked at again.

    Raises:
        AppFault: it cannot be imported, is not there, or is no Peer.
    """
    from wampy.peer import Peer

    module_name, _, class_name = app.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except BaseException as error:  # a module may raise anything, SystemExit included
        raise AppFault(_import_failure(module_name, error)) from error
    module = found
    for part in class_name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            near = _suggestion(part, vars(found)) or _peers_there(module, Peer)
            raise AppFault(f"{module_name} has no {class_name}{near}") from None
    if not (isinstance(found, type) and issubclass(found, Peer)):
        what = "a class" if isinstance(found, type) else f"a {type(found).__name__}"
        raise AppFault(f"{app} is {what}, but no wampy.Peer{_peers_there(module, Peer)}")
    return found


def check_app(app: str, config: dict[str, Any], *, kind: str = "service") -> AppReport:
    """Import an app and look at what it declares; nothing of it is run beyond its import.

    Args:
        app: ``module:Class``, to be found on ``sys.path`` as it is.
        config: what the Peer will be given.
        kind: a ``job`` must have a ``run()``.

    Raises:
        AppFault: what is wrong, in one line.
    """
    from wampy.entrypoints import procedures_of, topics_of

    cls = load_app(app)
    if kind == "job" and not callable(getattr(cls, "run", None)):
        raise AppFault(f"{app} has no run(), which a job needs")
    try:
        procedures = list(procedures_of(cls))
        topics = list(topics_of(cls))
    except Exception as error:  # it evaluates what the class says of itself
        raise AppFault(f"{app}: {type(error).__name__}: {error}") from error
    try:
        cls.check_config(config)
    except Exception as error:  # a Config class of the user's may raise anything
        raise AppFault(str(error) or type(error).__name__, "config") from error
    uris = [uri for uri, _, _ in procedures]
    for uri in uris:
        if uris.count(uri) > 1:
            raise AppFault(f"{app} declares {uri} twice")
    return AppReport(
        cls,
        tuple(uris),
        tuple(topic for topic, *_ in topics),
        tuple(uri for uri, _, options in procedures if _invoke(options) == "single"),
    )


def find_clashes(
    procedures: Mapping[str, Iterable[str]],
    single: Mapping[str, Iterable[str]],
    replicas: Mapping[str, int],
) -> dict[str, str]:
    """Find what is wrong between Peers that are each right.

    Args:
        procedures: the URIs that each Peer declares, by its name.
        single: those of them with ``invoke="single"``.
        replicas: how many Instances each Peer has.

    Returns:
        One text a Peer.
    """
    faults: dict[str, list[str]] = {}
    holders: dict[str, str] = {}
    for name, uris in procedures.items():
        for uri in uris:
            holder = holders.setdefault(uri, name)
            if holder != name:
                faults.setdefault(name, []).append(
                    f"declares {uri}, which [peers.{holder}] declares already"
                )
    for name, uris in single.items():
        for uri in uris:
            if replicas.get(name, 1) > 1:
                faults.setdefault(name, []).append(
                    f'declares {uri} with invoke="single", but has {replicas[name]} replicas: '
                    "only one of them could register it"
                )
    return {name: "; ".join(messages) for name, messages in faults.items()}


def check_apps(manifest: Manifest) -> list[Fault]:
    """Import all Peers of a manifest in a process of their own and report what is wrong with them.

    Blocks for as long as the imports take, 60 s a module at most. One process for each distinct
    environment and working folder; another one when a module ended the first.

    Returns:
        The faults, placed on their lines; none when all is well.

    Raises:
        OrchestratorError: the checking process could not be run.
    """
    from orchestrator.foreign import find_faults
    from orchestrator.manifest.nodes import Reading
    from orchestrator.manifest.reading import placed, shown_path

    reading = Reading()
    procedures: dict[str, list[str]] = {}
    single: dict[str, list[str]] = {}
    apps = {name: peer for name, peer in manifest.peers.items() if not peer.is_program}
    for name, peer in manifest.peers.items():
        if peer.is_program:
            procedures[name] = peer.provided()
    for names in _groups(apps):
        for name, answer in _check_group(manifest, names).items():
            if name == _PRELOAD:
                reading.fault(("stack", "preload"), answer["fault"])
            elif "fault" in answer:
                place, message = _placed_in_config(answer)
                reading.fault(("peers", name, *place), message)
            else:
                procedures[name] = answer["procedures"]
                single[name] = answer["single"]
    in_order = {name: procedures[name] for name in manifest.peers if name in procedures}
    replicas = {name: peer.spec.replicas for name, peer in manifest.peers.items()}
    for name, message in find_clashes(in_order, single, replicas).items():
        key = "provides" if manifest.peers[name].is_program else "app"
        reading.fault(("peers", name, key), message)
    lacking = find_faults(manifest)
    if not reading.found:
        return lacking
    faults = [*placed(reading, manifest.text, shown_path(manifest.path)), *lacking]
    return sorted(faults, key=lambda fault: fault.line or 0)


# -------------------------------------------------------------- the asking process

_IN_CONFIG = re.compile(r"config\.(\w+): (.*)", re.DOTALL)


def _placed_in_config(answer: dict[str, Any]) -> tuple[tuple[str, ...], str]:
    """Give the place of a fault below ``[peers.NAME]``, and the message without that place."""
    key, message = answer.get("key", "app"), answer["fault"]
    found = _IN_CONFIG.match(message) if key == "config" else None
    return (("config", found[1]), found[2]) if found else ((key,), message)


#: Stands for the preloaded modules among the names of Peers.
_PRELOAD = ""


def _groups(peers: Mapping[str, PeerSection]) -> list[list[str]]:
    groups: dict[tuple[Any, ...], list[str]] = {}
    for name, peer in peers.items():
        if peer.is_program:
            continue  # its code is its own affair
        key = (peer.cwd, tuple(sorted(peer.env.items())))
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def _check_group(manifest: Manifest, names: list[str]) -> dict[str, dict[str, Any]]:
    """Check Peers that share an environment; a module that ends the process costs only itself."""
    answers: dict[str, dict[str, Any]] = {}
    waiting = [_PRELOAD, *names]
    while waiting:
        begun, reason = _run_checker(manifest, waiting, answers)
        if begun is not None:
            answers[begun] = {"fault": reason}
        waiting = [name for name in waiting if name not in answers]
    return {name: answer for name, answer in answers.items() if answer}


def _run_checker(
    manifest: Manifest, names: list[str], answers: dict[str, dict[str, Any]]
) -> tuple[str | None, str]:
    """Run one checking process over ``names`` and collect its answers.

    Returns:
        The name during which it ended or had to be ended, and why; None when it got through.
    """
    from orchestrator.errors import OrchestratorError

    peer = manifest.peers[next(name for name in [*names, *manifest.peers] if name)]
    order = {
        "root": str(manifest.root),
        "preload": list(manifest.stack.preload),
        "peers": [[name, *_order(manifest.peers.get(name))] for name in names],
    }
    reads, writes = os.pipe()
    ours = str(Path(__file__).resolve().parent.parent)
    process = subprocess.Popen(
        # -P: neither the working folder nor a module of the user's must stand before ours.
        [sys.executable, "-P", "-c", _BOOT, str(writes), ours],
        env={**manifest.environ, **peer.env},
        cwd=peer.cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(writes,),
        start_new_session=True,
    )
    os.close(writes)
    begun: str | None = None
    reason = ""
    try:
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(order, default=str).encode())
            process.stdin.close()
        except BrokenPipeError:
            reason = "it ended at once"
        for message in _messages(reads):
            if "begin" in message:
                begun = message["begin"]
            else:
                answers[message.pop("name")] = message
                begun = None
    except TimeoutError:
        reason = f"importing it takes longer than {IMPORT_TIMEOUT_S:g} s"
    finally:
        os.close(reads)
        # It may have children, and threads that never end.
        with _suppressed():
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
    if begun is None and any(name not in answers for name in names):
        raise OrchestratorError(f"cannot check the Peers: {reason or _ending(code)}")
    return begun, reason or f"importing it {_ending(code)}"


def _order(peer: PeerSection | None) -> tuple[str, dict[str, Any], str]:
    return (peer.app, peer.config, peer.spec.kind.value) if peer else ("", {}, "")


def _messages(fd: int) -> Iterable[dict[str, Any]]:
    """Give the JSON lines from ``fd`` until it is closed.

    Raises:
        TimeoutError: nothing came for too long.
    """
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        last_at = time.monotonic()
        while True:
            left_s = last_at + IMPORT_TIMEOUT_S - time.monotonic()
            if not selector.select(max(0.0, left_s)):
                raise TimeoutError
            chunk = os.read(fd, 65536)
            if not chunk:
                return
            last_at = time.monotonic()
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                message = json.loads(line)
                if "end" in message:
                    # Children that the modules left behind may hold the pipe open.
                    return
                yield message


def _ending(code: int) -> str:
    if code < 0:
        return f"ends the process by {signal.Signals(-code).name}"
    return f"ends the process with exit code {code}"


def _suppressed() -> Any:
    import contextlib

    return contextlib.suppress(ProcessLookupError, PermissionError)


# ------------------------------------------------------------- the checking process


def main() -> None:
    """Check what standard input says and write the answers, JSON lines, to the descriptor given."""
    fd = int(sys.argv[1])
    order = json.load(sys.stdin)
    sys.argv = [sys.argv[0]]
    sys.path.insert(0, order["root"])

    def tell(message: dict[str, Any]) -> None:
        line = json.dumps(message).encode() + b"\n"
        while line:
            line = line[os.write(fd, line) :]

    for name, app, config, kind in order["peers"]:
        tell({"begin": name})
        tell(
            {
                "name": name,
                **(_preload(order["preload"]) if not name else _check(app, config, kind)),
            }
        )
    tell({"end": True})
    # Not sys.exit: threads that an import started, and its exit handlers, are none of our business.
    os._exit(0)


def _preload(modules: list[str]) -> dict[str, Any]:
    failures = []
    for module in modules:
        try:
            importlib.import_module(module)
        except BaseException as error:  # as in load_app
            failures.append(_import_failure(module, error))
    return {"fault": "; ".join(failures)} if failures else {}


def _check(app: str, config: dict[str, Any], kind: str) -> dict[str, Any]:
    try:
        report = check_app(app, config, kind=kind)
    except AppFault as fault:
        return {"fault": str(fault), "key": fault.key}
    return {
        "procedures": list(report.procedures),
        "topics": list(report.topics),
        "single": list(report.single_procedures),
    }


def _invoke(options: Any) -> str:
    value = (
        options.get("invoke") if isinstance(options, Mapping) else getattr(options, "invoke", "")
    )
    return str(value or "")


def _import_failure(module: str, error: BaseException) -> str:
    """Say in one line why a module cannot be imported, with the user's own file and line."""
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        if error.name == module or module.startswith(f"{error.name}."):
            near = _modules_near(module)
            return f"there is no module {error.name}{near} (looked in {sys.path[0]} first)"
        return f"{_place(error)}no module {error.name}, which {module} imports"
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{_shown(error.filename)}:{error.lineno}"
        return f"{place}: {type(error).__name__}: {error.msg}"
    text = str(error).strip().split("\n")[0]
    return f"{_place(error)}{type(error).__name__}" + (f": {text}" if text else "")


def _place(error: BaseException) -> str:
    """Give ``file:line: `` of the last frame that is the user's; empty when there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [
        frame
        for frame in frames
        if not frame.filename.startswith("<")
        and frame.filename not in (__file__, importlib.__file__)
    ]
    own = [frame for frame in theirs if frame.filename.startswith(sys.path[0] + os.sep)]
    chosen = (own or theirs)[-1:]
    return f"{_shown(chosen[0].filename)}:{chosen[0].lineno}: " if chosen else ""


def _shown(filename: str) -> str:
    return filename.removeprefix(sys.path[0] + os.sep)


def _modules_near(module: str) -> str:
    """Suggest a sibling of a module that is not there."""
    package, _, name = module.rpartition(".")
    folder = Path(sys.path[0], *package.split(".")) if package else Path(sys.path[0])
    try:
        siblings = [path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()]
    except OSError:
        return ""
    return _suggestion(name, siblings)


def _suggestion(name: str, known: Iterable[str]) -> str:
    # Imported for a fault only: a nursery, and all that it forks, would carry it along.
    from orchestrator.manifest.faults import suggestion

    return suggestion(name, known)


def _peers_there(module: Any, peer: type) -> str:
    """Name the Peers of a module, for who misspelt one."""
    names = [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, peer) and value is not peer
    ]
    return f"; its Peers: {', '.join(names)}" if names else ""


if __name__ == "__main__":
    main()
