"""What is said of a process rather than of a Peer class: ``command`` and its keys, ``limits``."""

from __future__ import annotations

from typing import Any

from orchestrator.limits import RESOURCES, SIZES
from orchestrator.manifest.faults import shown, suggestion
from orchestrator.manifest.nodes import BROKEN, Node, Reading, scalar
from orchestrator.manifest.quantities import parse_size_bytes
from orchestrator.manifest.readers import Unexpected

#: Stands for the Instance's index in ``heartbeat_procedure``.
INDEX = "{index}"
#: Keys that say something of a Peer class, and nothing of a program.
_OF_APPS = ("config", "concurrency", "queue", "start_method")
#: Keys that say something of a program only.
_OF_COMMANDS = ("provides", "heartbeat_procedure")
#: Variables by which a program learns how to join; set by the stack itself.
JOINING = (
    *("WAMPY_URL", "WAMPY_REALM", "WAMPY_AUTHID", "WAMPY_TICKET"),
    *("WAMPY_AUTHMETHOD", "WAMPY_SECRET"),
)


def check_program(own: Node, values: dict[str, Any], reading: Reading) -> None:
    """Check what ``app``, ``command`` and their keys say together.

    Args:
        own: ``[peers.NAME]`` without the defaults, which are for Peers of both kinds.
        values: all keys, read.
        reading: where faults go.
    """
    given: dict[str, Node] = own.value
    if "command" not in given:
        if "app" not in given:
            reading.fault(
                own.path,
                'expected a key app = "module:Class" or command = ["PROGRAM", …], which is missing',
            )
        for name in _OF_COMMANDS:
            if name in given:
                reading.fault(given[name].path, "expected only with command: a class says it")
        return
    if "app" in given:
        reading.fault(given["command"].path, "expected either app or command, got both")
        return
    for name in _OF_APPS:
        if name in given:
            reading.fault(given[name].path, "expected only with app: a program is not told of it")
    _check_heartbeat(given, values, reading)
    env = given.get("env")
    if env is not None and isinstance(env.value, dict):
        for name in JOINING:
            if name in env.value:
                text = "expected another name: the stack sets this one itself"
                reading.fault(env.value[name].path, text)


def _check_heartbeat(given: dict[str, Node], values: dict[str, Any], reading: Reading) -> None:
    procedure = values["heartbeat_procedure"]
    if procedure is None and "max_call_age" in given and values["max_call_age"] is not None:
        text = "expected only with heartbeat_procedure, whose answer tells oldest_call_s"
        reading.fault(given["max_call_age"].path, text)
    if procedure is None and not values["provides"] and "heartbeat" in given:
        text = "expected only with provides or heartbeat_procedure: nothing is asked without"
        reading.fault(given["heartbeat"].path, text)
    if procedure is not None and values["replicas"] > 1 and INDEX not in procedure:
        place = given.get("heartbeat_procedure") or given["command"]
        reading.fault(
            place.path,
            f"expected {INDEX} in it, since there are {values['replicas']} replicas: each must be "
            f"asked by itself, got {shown(procedure)}",
        )


def command_words(node: Node, reading: Reading) -> tuple[str, ...]:
    """Read a program and its arguments; these may be empty strings."""
    words = node.value
    if not isinstance(words, list) or not words:
        raise Unexpected('a program and its arguments, such as ["node", "svc.js"]')
    for position, child in enumerate(words):
        word = child.value
        if word is not BROKEN and (
            not isinstance(word, str) or "\0" in word or not (word or position)
        ):
            reading.wrong(child, "a string" if position else "the name or path of a program")
    return tuple(child.value for child in words if isinstance(child.value, str))


def limits(node: Node, reading: Reading) -> dict[str, int | None]:
    """Read limits by name; None: unlimited."""
    if not isinstance(node.value, dict):
        raise Unexpected('a table such as { nofile = 1024, core = 0, as = "1GiB" }')
    values: dict[str, int | None] = {}
    for name, child in node.value.items():
        if name not in RESOURCES:
            near = suggestion(name, RESOURCES) or f"; known here: {', '.join(RESOURCES)}"
            reading.fault(child.path, f"unknown limit{near}")
        elif child.value == "unlimited":
            values[name] = None
        elif child.value is not BROKEN:
            value = _limit(child, name)
            if value is None:
                what = "a size" if name in SIZES else "an integer of 0 or more"
                reading.wrong(child, f'{what} or "unlimited"')
            else:
                values[name] = value
    return values


def _limit(node: Node, name: str) -> int | None:
    if name in SIZES:
        try:
            return parse_size_bytes(node.value, bare=node.is_whole_reference)
        except ValueError:
            return None
    value = scalar(node.value) if node.is_whole_reference else node.value
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return int(value) if is_integer and 0 <= value < 2**63 else None
