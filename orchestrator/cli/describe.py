"""``wampy describe``."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import click

from orchestrator.cli.context import Invocation, check_names
from orchestrator.cli.exits import CommandError
from orchestrator.cli.output import print_json
from orchestrator.cli.wamp import operator_session


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--json", "as_json", is_flag=True, help="What the Peer answered, for programs.")
@click.pass_obj
def command(invocation: Invocation, name: str, as_json: bool) -> None:
    """Show procedures and topics of a running Peer, with signatures and docstrings.

    NAME is a Peer, or an Instance of one (search:0).
    """
    from wampy.errors import NoSuchProcedure

    manifest = invocation.manifest()
    check_names(manifest, (name,))
    rows = [
        row
        for row in invocation.client().ps()["instances"]
        if name in (row["instance"], row["name"]) and row["pid"] is not None
    ]
    if not rows:
        raise CommandError(f"no Instance of {name} is running; wampy start {name} starts it")
    # One that is ready answers; of the others the first may.
    row = min(rows, key=lambda row: not row["ready"])
    uri = f"wampy.{manifest.stack.name}.peer.{row['name']}.{row['index']}.describe"
    with operator_session(invocation, 30.0) as session:
        try:
            told = session.call(uri)
        except NoSuchProcedure:
            raise CommandError(
                f"{row['instance']} does not describe itself: it is a program of its own, "
                "or has not started yet"
            ) from None
    if as_json:
        print_json(told)
    else:
        print(render(told))


def render(told: Mapping[str, Any]) -> str:
    """Lay out what a Peer tells of itself: what it is, then a paragraph for each entry point."""
    lines = [str(told["peer"])]
    if told["doc"]:
        lines.append(textwrap.indent(told["doc"], "  "))
    for title, entries in (("procedures", told["procedures"]), ("topics", told["topics"])):
        if not entries:
            continue
        lines += ["", f"{title}:"]
        for entry in entries:
            how = [entry["match"]] if entry["match"] != "exact" else []
            if entry.get("invoke", "roundrobin") != "roundrobin":
                how.append(entry["invoke"])
            suffix = f"  [{', '.join(how)}]" if how else ""
            lines.append(f"  {entry['uri']}{entry['signature']}{suffix}")
            if entry["doc"]:
                lines.append(textwrap.indent(entry["doc"], "      "))
    return "\n".join(lines)
