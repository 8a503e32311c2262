"""Wildcard permissions that Crossbar would not decide on as the built-in Router does: faults.

Crossbar keeps a wildcard by what is ahead of its first empty component, one for each such
beginning; it looks at the longest beginning only, and a wildcard that matches goes before every
prefix. The built-in Router lets the longest of all decide. Where both say the same is no fault.
"""

from __future__ import annotations

import re
from itertools import combinations

from orchestrator.manifest.model import Permission
from orchestrator.manifest.nodes import Reading

_COMPONENT = re.compile(r"([a-z0-9][a-z0-9_\-]*)?")


def check_wildcards(
    role: str, permissions: tuple[Permission | None, ...], reading: Reading
) -> None:
    """Note the wildcards of a role that Crossbar knows nothing of, or decides on otherwise."""
    places = {id(one): ("router", "roles", role, i, "uri") for i, one in enumerate(permissions)}
    stated = [one for one in permissions if one is not None]
    for one in stated:
        if (one.match == "wildcard") != (".." in one.uri) or not _is_known(one):
            reading.fault(
                places[id(one)],
                'expected with type = "crossbar" a wildcard such as com..name, its first component '
                "not empty, the others of small letters, digits, _ and -, and no .. in other "
                f'permissions, got {one.match} "{one.uri}"',
            )
    wildcards = [one for one in stated if one.match == "wildcard" and ".." in one.uri]
    for one, other in combinations(wildcards, 2):
        ahead, beyond = sorted((_beginning(one.uri), _beginning(other.uri)), key=len)
        if beyond.startswith(ahead):
            reading.fault(
                places[id(other)],
                "expected no two wildcards of a role that begin alike, got "
                f'"{one.uri}" and "{other.uri}": Crossbar looks at one of them only',
            )
    for one in wildcards:
        for prefix in stated:
            if prefix.match == "prefix" and _is_deciding(prefix.uri, one.uri):
                reading.fault(
                    places[id(one)],
                    f'expected no prefix as long that matches the same, got "{prefix.uri}": '
                    "Crossbar lets the wildcard decide, the built-in Router the prefix",
                )


def _is_known(permission: Permission) -> bool:
    if permission.match != "wildcard":
        return True
    components = permission.uri.split(".")
    return components[0] != "" and all(map(_COMPONENT.fullmatch, components))


def _beginning(wildcard: str) -> str:
    return wildcard.partition("..")[0]


def _is_deciding(prefix: str, wildcard: str) -> bool:
    """Whether some URI matches both, and the built-in Router goes by the prefix."""
    if len(prefix) < len(wildcard):
        return False
    parts, components = prefix.split("."), wildcard.split(".")
    if len(parts) > len(components):
        return False
    *whole, last = zip(parts, components, strict=False)
    part, component = last
    return all(not component or component == part for part, component in whole) and (
        not component or component.startswith(part)
    )
