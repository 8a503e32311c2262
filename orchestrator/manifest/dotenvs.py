"""Reading dotenv files, by ``python-dotenv``; imported only where a manifest names one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dotenv.parser import parse_stream
from dotenv.variables import parse_variables

from orchestrator.manifest.nodes import Node, Reading


def read_env_file(
    path: Path, node: Node, known: Mapping[str, str], reading: Reading
) -> dict[str, str]:
    """Give what a dotenv file sets.

    Args:
        path: of the file.
        node: where the manifest names it; faults are noted there, with the dotenv file's own line.
        known: what references in the file may mean, before what the file itself sets.
        reading: takes the faults; no message holds a value.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        reading.fault(node.path, f"expected a dotenv file, cannot read {path}: {reason}")
        return {}
    found: dict[str, str] = {}
    for binding in bindings:
        if binding.error:
            line = binding.original.line
            reading.fault(node.path, f"expected lines NAME=value, not so {path} line {line}")
        elif binding.key is not None and binding.value is not None:
            names: dict[str, str | None] = {**found, **known}
            found[binding.key] = "".join(a.resolve(names) for a in parse_variables(binding.value))
    return found
