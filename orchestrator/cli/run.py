"""``wampy run``."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from typing import Any

import click

from orchestrator.cli.context import DURATION
from orchestrator.cli.exits import CommandError, ExitCode

#: Seconds that handlers get to finish after Ctrl-C or TERM.
_DRAIN_S = 10.0


@click.command()
@click.argument("apps", metavar="MODULE:CLASS...", nargs=-1, required=True)
@click.option("--url", help="The Router; default $WAMPY_URL, else ws://127.0.0.1:8080/ws.")
@click.option("--realm", help="Default $WAMPY_REALM, else realm1.")
@click.option("--config", "pairs", metavar="K=V", multiple=True, help="Config of the Peers.")
@click.option("--timeout", type=DURATION, default=30.0, metavar="T", help="To become ready.")
def command(
    apps: tuple[str, ...],
    url: str | None,
    realm: str | None,
    pairs: tuple[str, ...],
    timeout: float,
) -> int:
    """Run Peers in this process, in the foreground, against any Router; no manifest is needed.

    breakpoint() works; a job ends when its run() returns. WAMPY_AUTHID and WAMPY_TICKET are used
    where they are set. Ctrl-C finishes what is in flight and ends; a second one ends at once.
    """
    from orchestrator.cli.wamp import parse_keywords

    # As `python -m` would: what stands in the working folder is found first.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    config = parse_keywords(pairs)
    classes = [_load(app, config) for app in apps]
    url = url or os.environ.get("WAMPY_URL") or "ws://127.0.0.1:8080/ws"
    realm = realm or os.environ.get("WAMPY_REALM") or "realm1"
    _log_to_stderr()
    asked = _on_signals()
    with ExitStack() as hosts:
        running = [_start(cls, config, url, realm, timeout, hosts) for cls in classes]
        names = ", ".join(apps)
        print(f"wampy: {names} ready on {url}, realm {realm}; Ctrl-C ends", file=sys.stderr)
        try:
            jobs = [host.peer for host in running if callable(getattr(host.peer, "run", None))]
            for job in jobs:
                job.run()
            while len(jobs) < len(running):
                signal.pause()
        except KeyboardInterrupt:
            if asked != [signal.SIGINT]:
                return ExitCode.DONE
            raise
    return ExitCode.DONE


def _load(app: str, config: dict[str, Any]) -> type[Any]:
    from orchestrator.checking import AppFault, check_app

    if ":" not in app:
        raise click.UsageError(f'expected MODULE:CLASS, got "{app}"')
    try:
        return check_app(app, config).cls
    except AppFault as fault:
        raise CommandError(f"{app}: {fault}", ExitCode.USAGE) from fault


def _start(
    cls: type[Any], config: dict[str, Any], url: str, realm: str, timeout_s: float, hosts: ExitStack
) -> Any:
    from wampy.host import PeerHost
    from wampy.session import Session

    session = Session(
        url,
        realm,
        auth=_authentication(),
    )
    hosts.callback(session.end)
    host = PeerHost(cls.create(config=config), session, debug=True)
    hosts.callback(host.drain, _DRAIN_S)
    host.start(timeout_s)
    return host


def _authentication() -> Any:
    """Give who the environment says we are, as programs of a stack are told."""
    from wampy.auth import by_method

    environ = os.environ
    method = environ.get("WAMPY_AUTHMETHOD", "ticket")
    secret = environ.get("WAMPY_TICKET" if method == "ticket" else "WAMPY_SECRET")
    try:
        return by_method(method, environ.get("WAMPY_AUTHID"), secret)
    except ValueError as error:
        raise CommandError(f"WAMPY_AUTHMETHOD: {error}", ExitCode.USAGE) from error


def _log_to_stderr() -> None:
    import logging

    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


def _on_signals() -> list[int]:
    """Make the first signal interrupt the main thread, the second end the process.

    Returns:
        The list to which the first signal is added.
    """
    seen: list[int] = []

    def interrupt(signum: int, frame: Any) -> None:
        if seen:
            # Handlers run in threads that nobody can end: what is left goes with the process.
            os._exit(ExitCode.INTERRUPTED)
        seen.append(signum)
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupt)
    return seen
