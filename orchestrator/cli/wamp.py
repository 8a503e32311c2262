"""What call, publish and subscribe share: arguments, and a Session as the operator."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.context import Invocation

if TYPE_CHECKING:
    from wampy.session import Session


def parse_argument(text: str) -> Any:
    """Give the JSON value that ``text`` spells, else ``text`` itself."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text


def _no_constant(name: str) -> Any:
    # Python's parser takes NaN and Infinity, which are not JSON.
    raise ValueError(name)


def parse_keywords(pairs: Iterable[str]) -> dict[str, Any]:
    """Give ``{"limit": 3}`` for ``("limit=3",)``.

    Raises:
        UsageError: one of them is not K=V.
    """
    keywords = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise click.UsageError(f"--kw: expected K=V, got {pair!r}")
        keywords[name] = parse_argument(value)
    return keywords


def operator_session(
    invocation: Invocation,
    timeout_s: float,
    *,
    reconnect: bool = False,
    on_leave: Callable[[], None] | None = None,
) -> Session:
    """Give a Session, not yet begun, that joins the running stack as its operator.

    Raises:
        NoSuchStack: none runs.
    """
    from orchestrator.errors import NoSuchStack
    from wampy.auth import by_method
    from wampy.session import Session

    run_dir = invocation.manifest().stack.run_dir
    if not invocation.is_debugging:
        # What ends a command is told once, as its error; the library's records would repeat it.
        logging.getLogger("wampy").addHandler(logging.NullHandler())
    try:
        access = json.loads((run_dir / "tickets.json").read_text())
    except FileNotFoundError:
        # The message of who knows best that there is none; it may be starting just now.
        invocation.client().ps()
        raise NoSuchStack(f"no stack is running on {run_dir}; wampy up starts it") from None
    try:
        return Session(
            access.pop("url"),
            access.pop("realm"),
            auth=by_method(**access),
            reconnect=reconnect,
            timeout=timeout_s,
            on_leave=on_leave,
        )
    except Exception:
        # A stack that was killed leaves its tickets behind.
        invocation.client().ps()
        raise
