"""A Router that already runs elsewhere: joined, never started, never stopped."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from orchestrator.errors import RouterUnavailable
from orchestrator.manifest.model import Manifest
from orchestrator.router.launch import RouterLaunch
from orchestrator.router.principals import joined_as

#: The schemes of a Session's URL, with the port that each stands for.
DEFAULT_PORTS = {"ws": 80, "wss": 443, "tcp": 8080, "unix": 0}


def plan_external(manifest: Manifest) -> RouterLaunch:
    """Plan to join the Router at ``[router] url``.

    Raises:
        RouterUnavailable: the URL is none of ``ws wss tcp unix``.
    """
    url = manifest.router.url
    host, port = address_of(url)

    def explain(exit_code: int | None, signal: int | None, last_lines: Sequence[str]) -> str:
        told = f": {last_lines[-1].strip()}" if last_lines else ""
        return (
            f"the Router at {url} cannot be joined{told}; is it running, and is [router] url right?"
        )

    return RouterLaunch(
        type="external",
        argv=None,
        env={},
        cwd=None,
        files={},
        public_url=url,
        stack_url=url,
        realm=manifest.stack.realm,
        host=host,
        port=port,
        stop_steps=(),
        principals=joined_as(manifest.router.join),
        explanation=explain,
    )


def address_of(url: str) -> tuple[str, int]:
    """Give host and port of a Router's URL; for a unix socket its path and 0.

    Raises:
        RouterUnavailable: no such URL.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    is_unix = parts.scheme == "unix"
    if (
        parts.scheme not in DEFAULT_PORTS
        or port == -1
        or not (parts.path if is_unix else parts.hostname)
    ):
        raise RouterUnavailable(
            f"[router] url: {url!r} is no Router's URL; expected ws://HOST:PORT/PATH, wss://…,"
            " tcp://HOST:PORT or unix:///PATH"
        )
    if is_unix:
        return parts.path, 0
    return parts.hostname or "", DEFAULT_PORTS[parts.scheme] if port is None else port
