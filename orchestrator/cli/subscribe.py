"""``wampy subscribe``."""

from __future__ import annotations

import queue
from typing import Any

import click

from orchestrator.cli.context import Invocation
from orchestrator.cli.output import json_line
from orchestrator.cli.wamp import operator_session

#: Seconds between two looks at whether the stack is still there, while the Session is lost.
_LOOK_INTERVAL_S = 0.5


@click.command()
@click.argument("topic")
@click.option("--match", type=click.Choice(["exact", "prefix", "wildcard"]), default="exact")
@click.option("-n", "--count", type=click.IntRange(min=1), metavar="N", help="End after N events.")
@click.pass_obj
def command(invocation: Invocation, topic: str, match: str, count: int | None) -> None:
    """Print events as they come, one JSON line each, until Ctrl-C.

    A line is {"args": [...], "kwargs": {...}}, with --match also the "topic". A restart of the
    Router is survived; the end of the stack ends it.
    """
    from wampy.session.current import current_event

    events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def heard(*args: Any, **kwargs: Any) -> None:
        topic = {} if match == "exact" else {"topic": current_event().topic}
        events.put({**topic, "args": list(args), "kwargs": kwargs})

    session = operator_session(invocation, 30.0, reconnect=True, on_leave=lambda: events.put(None))
    with session:
        session.subscribe(topic, heard, match=match)
        printed = 0
        is_lost = False
        while count is None or printed < count:
            try:
                event = events.get(timeout=_LOOK_INTERVAL_S if is_lost else None)
            except queue.Empty:
                # Raises once there is no stack any more that could come back.
                invocation.client().ps()
                is_lost = not session.is_joined
                continue
            if event is None:
                is_lost = True
                continue
            print(json_line(event), flush=True)
            printed += 1
