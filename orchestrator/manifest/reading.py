"""From the file to a Manifest, or to all that is wrong with it."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from orchestrator.errors import ManifestError
from orchestrator.manifest import schema, sections
from orchestrator.manifest.dependencies import find_cycles
from orchestrator.manifest.faults import Fault, shown, suggestion, where
from orchestrator.manifest.faults import Path as Place
from orchestrator.manifest.model import Manifest, PeerSection
from orchestrator.manifest.nodes import BROKEN, Node, Reading, merged, tree
from orchestrator.manifest.readers import read_table

#: What a manifest is called.
FILE_NAME = "wampy.toml"

_TOML_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", re.DOTALL)


def find_manifest(start: Path) -> Path:
    """Give the ``wampy.toml`` in ``start`` or in the nearest folder above it.

    Raises:
        ManifestError: there is none.
    """
    folder = Path(os.path.abspath(start))
    for candidate in (folder, *folder.parents):
        path = candidate / FILE_NAME
        if path.is_file():
            return path
    raise ManifestError(
        [
            Fault(
                FILE_NAME,
                None,
                "",
                f"not found in {folder} nor in any folder above it; name a manifest with -f",
            )
        ]
    )


def load_manifest(path: Path, environ: Mapping[str, str]) -> Manifest:
    """Read and check a manifest; nothing of the user's is imported.

    Args:
        path: of the file; its folder is what relative paths in it are relative to.
        environ: the environment; it goes before what dotenv files set.

    Raises:
        ManifestError: holds every fault found. When the TOML itself is broken that is the only one.
    """
    path = Path(os.path.abspath(path))
    name = shown_path(path)
    text = _read(path, name)
    top = _parse(text, name)
    reading = Reading()
    variables = _with_env_files(top, path.parent, environ, reading)
    root = tree(top, (), variables, reading)
    _check_top(root, reading)
    manifest = _manifest(root, path, text, dict(variables), reading)
    if reading.found:
        raise ManifestError(placed(reading, text, name))
    return manifest


def shown_path(path: Path) -> str:
    """Give a path as messages show it: relative when it is below the working directory."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def placed(reading: Reading, text: str, name: str) -> list[Fault]:
    """Give the faults with their lines, in the order of the file."""
    from orchestrator.manifest.positions import Positions

    positions = Positions(text)
    faults = [
        Fault(name, positions.line_of(path), where(path) if path else "", message)
        for path, message in reading.found
    ]
    return sorted(faults, key=lambda fault: fault.line or 0)


def _fail(name: str, line: int | None, message: str) -> NoReturn:
    raise ManifestError([Fault(name, line, "", message)])


def _read(path: Path, name: str) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        _fail(name, None, "there is no such file; name a manifest with -f")
    except OSError as error:
        _fail(name, None, f"cannot be read: {error.strerror}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        _fail(name, line, f"expected UTF-8, got the byte 0x{content[error.start]:02x}")


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _TOML_PLACE.fullmatch(str(error))
        line = int(found[2]) if found and found[2] else text.count("\n") + 1
        message = found[1] if found else str(error)
        _fail(name, line, f"not TOML: {message[:1].lower()}{message[1:]}")
    except RecursionError:
        _fail(name, None, "not TOML: nested too deeply")


def _with_env_files(
    top: dict[str, Any], root: Path, environ: Mapping[str, str], reading: Reading
) -> Mapping[str, str]:
    """Give the environment with what only the dotenv files set."""
    stack = top.get("stack")
    listed = stack.get("env_file") if isinstance(stack, dict) else None
    if not isinstance(listed, list) or not listed:
        return environ
    from orchestrator.manifest.dotenvs import read_env_file

    # References in env_file itself are reported when the whole tree is made.
    node = tree(listed, ("stack", "env_file"), environ, Reading())
    found: dict[str, str] = {}
    for child in node.value:
        if isinstance(child.value, str) and child.value:
            found.update(read_env_file(root / child.value, child, {**found, **environ}, reading))
    return {**found, **environ}


def _check_top(root: Node, reading: Reading) -> None:
    for name, node in root.value.items():
        if name not in schema.TOP:
            what = "table" if isinstance(node.value, dict) else "key"
            near = suggestion(name, schema.TOP) or f"; known are {', '.join(schema.TOP)}"
            reading.fault(node.path, f"unknown {what}{near}")


def _child(root: Node, name: str) -> Node:
    return root.value.get(name) or Node((name,), {})


def _manifest(
    root: Node, path: Path, text: str, environ: dict[str, str], reading: Reading
) -> Manifest:
    folder = path.parent
    stack = sections.stack_section(_child(root, "stack"), folder, reading)
    logs = sections.logs_section(_child(root, "logs"), reading)
    router = sections.router_section(_child(root, "router"), folder, reading)
    peers = _peers(_child(root, "peers"), _child(root, "defaults"), folder, text, reading)
    return Manifest(path, folder, stack, logs, router, peers, environ, text)


def _peers(
    node: Node, defaults: Node, folder: Path, text: str, reading: Reading
) -> dict[str, PeerSection]:
    if isinstance(defaults.value, dict):
        for name in schema.OWN.keys() & defaults.value.keys():
            misplaced = defaults.value.pop(name)
            reading.fault(misplaced.path, "not a default: it belongs to each [peers.NAME]")
    # Also what every Peer overrides must be right.
    read_table(defaults, schema.DEFAULTS, reading)
    if not isinstance(node.value, dict):
        if node.value is not BROKEN:
            reading.wrong(node, "a table [peers.NAME] for each Peer")
        return {}
    if not node.value:
        reading.fault((), "expected at least one [peers.NAME], got none: there is nothing to run")
    under = defaults if isinstance(defaults.value, dict) else Node(("defaults",), {})
    peers = {}
    graph: dict[str, dict[str, Place]] = {}
    for name, own in node.value.items():
        _check_name(name, own, reading)
        if not isinstance(own.value, dict):
            reading.wrong(own, "a table")
            continue
        whole = merged(under, own)
        values = read_table(whole, schema.PEER, reading)
        graph[name] = {needed: place for needed, (_, place) in values["depends_on"].items()}
        line = sections.header_line(text, name)
        peers[name] = sections.peer_section(whole, own, values, folder, line, reading)
    _check_dependencies(peers, graph, node, reading)
    return peers


def _check_name(name: str, node: Node, reading: Reading) -> None:
    if name in schema.RESERVED_NAMES:
        reading.fault(node.path, f'expected another name: "{name}" has a meaning of its own')
    elif not re.fullmatch(schema.PEER_NAME, name):
        reading.fault(
            node.path,
            "expected a name of small letters, digits and underscores, beginning with a letter, "
            f"of 40 at most, got {shown(name)}",
        )


def _check_dependencies(
    peers: dict[str, PeerSection],
    graph: dict[str, dict[str, Place]],
    node: Node,
    reading: Reading,
) -> None:
    for needs in graph.values():
        for needed, place in needs.items():
            if needed not in node.value:
                near = suggestion(needed, node.value)
                reading.fault(place, f"expected the name of a Peer, got {shown(needed)}{near}")
    for name, peer in peers.items():
        for needed, condition in peer.spec.depends_on.items():
            other = peers.get(needed)
            if other and condition.value == "completed" and other.spec.kind.value != "job":
                reading.fault(
                    graph[name][needed],
                    f'expected a job to be "completed", got {needed}, which is a service; '
                    'say kind = "job" there, or "ready" here',
                )
    for cycle in find_cycles({name: list(needs) for name, needs in graph.items()}):
        place = graph[cycle[0]][cycle[1]]
        reading.fault(place, f"expected no cycle, got {' -> '.join(cycle)}")
