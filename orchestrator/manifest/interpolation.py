"""``${NAME}``, ``${NAME:-default}`` and ``$$`` in the strings of a manifest. Pure.

A dollar sign that neither ``{`` nor ``$`` follows stands for itself, so that patterns such as
``^a$`` need no care. A default may hold further references; it is looked at only when it is used,
which is, as in a shell, when NAME is not set or empty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class InterpolationError(ValueError):
    """A reference that is malformed, or to something that is not set."""


def interpolate(text: str, variables: Mapping[str, str]) -> tuple[str, bool]:
    """Replace the references in ``text``.

    Returns:
        The new text, and whether ``text`` was one whole reference (it may stand for a number then).

    Raises:
        InterpolationError: says which reference, and what is wrong; never holds a value.
    """
    if "$" not in text:
        return text, False
    parts: list[str] = []
    at = 0
    whole = False
    while at < len(text):
        dollar = text.find("$", at)
        if dollar < 0:
            parts.append(text[at:])
            break
        parts.append(text[at:dollar])
        following = text[dollar + 1 : dollar + 2]
        if following == "$":
            parts.append("$")
            at = dollar + 2
        elif following == "{":
            value, at = _reference(text, dollar, variables)
            whole = dollar == 0 and at == len(text)
            parts.append(value)
        else:
            parts.append("$")
            at = dollar + 1
    return "".join(parts), whole


def _reference(text: str, dollar: int, variables: Mapping[str, str]) -> tuple[str, int]:
    """Give the value of the reference that begins at ``dollar``, and where the text goes on."""
    end = _closing_brace(text, dollar)
    inner = text[dollar + 2 : end]
    found = _NAME.match(inner)
    name = found[0] if found else ""
    rest = inner[len(name) :]
    if not name or (rest and not rest.startswith(":-")):
        raise InterpolationError(
            f"expected ${{NAME}} or ${{NAME:-default}}, got {text[dollar : end + 1]}; "
            "a dollar sign is written $$"
        )
    value = variables.get(name)
    if rest:
        if not value:
            value, _ = interpolate(rest[2:], variables)
    elif value is None:
        raise InterpolationError(
            f"{name} is not set, neither in the environment nor in env_file; "
            f"set it, or give a default: ${{{name}:-…}}"
        )
    return value or "", end + 1


def _closing_brace(text: str, dollar: int) -> int:
    depth = 0
    at = dollar
    while at < len(text):
        if text.startswith("$$", at):
            at += 2
            continue
        if text.startswith("${", at):
            depth += 1
            at += 2
            continue
        if text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise InterpolationError(
        f"expected a closing brace after {text[dollar : dollar + 20]}; a dollar sign is written $$"
    )
