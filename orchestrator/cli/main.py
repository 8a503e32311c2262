"""The command line itself: options of all commands, and what becomes of errors."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from orchestrator.cli.context import Invocation
from orchestrator.cli.exits import ExitCode, outcome_of

#: In the order of the help; each is a module of this package with a ``command``.
COMMANDS = {
    "up": "Start the stack and follow its logs; Ctrl-C stops it.",
    "down": "Stop the stack, the Router last.",
    "ps": "Show the Router and all Instances.",
    "top": "Show what ps shows, live.",
    "logs": "Show what Peers and Router wrote.",
    "level": "Set what a Peer logs, as it runs.",
    "start": "Start Peers or Instances.",
    "stop": "Stop Peers or Instances, drained.",
    "restart": "Restart with the code on the disk, rolling where there are replicas.",
    "scale": "Have more or fewer Instances of a Peer.",
    "reload": "Take over what has changed in the manifest and in the code.",
    "why": "Tell why an Instance failed.",
    "check": "Check the manifest and the Peers' code.",
    "describe": "Show what a running Peer offers.",
    "call": "Call a procedure and print its result as JSON.",
    "publish": "Publish an event.",
    "subscribe": "Print events as they come, one JSON line each.",
    "run": "Run Peers in this process, against any Router.",
    "router": "Run the built-in Router alone.",
}


class _LateCommands(click.Group):
    """A group that imports a command's module only to run it or to show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"orchestrator.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from orchestrator.manifest.faults import suggestion

            near = suggestion(name, COMMANDS) or "; see wampy --help"
            raise click.UsageError(f'there is no command "{name}"{near}', ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LateCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path),
    help="The manifest; without it wampy.toml here or in the nearest folder above.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def wampy(ctx: click.Context, file: Path | None, debug: bool) -> None:
    """Run WAMP Peers and their Router, and keep them alive."""
    ctx.obj = Invocation(file, debug)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with one of ``ExitCode``."""
    arguments = sys.argv[1:] if arguments is None else arguments
    code = run(arguments)
    # What cannot be written is not worth a traceback at exit.
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command; gives its exit code, and has told the user why where it is not 0."""
    is_debugging = "--debug" in arguments
    try:
        result = wampy.main(list(arguments), prog_name="wampy", standalone_mode=False)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "wampy"
        _say(f"{command}: {error.format_message()}\nSee {command} --help.")
        return ExitCode.USAGE
    except click.ClickException as error:
        _say(f"wampy: {error.format_message()}")
        return ExitCode.USAGE
    except click.exceptions.Exit as error:
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return ExitCode.INTERRUPTED
    except SystemExit:
        if "PacifyFlushWrapper" in type(sys.stdout).__name__:
            # What click leaves behind of a broken pipe, under one of two names. Who read our output
            # has had enough, such as `head`.
            return ExitCode.DONE
        raise
    except Exception as error:  # everything ends as an exit code and a line on stderr
        return _failed(error, is_debugging)
    return result if isinstance(result, int) else ExitCode.DONE


def _failed(error: Exception, is_debugging: bool) -> int:
    outcome = outcome_of(error)
    if is_debugging:
        import traceback

        with contextlib.suppress(OSError):
            traceback.print_exception(error)
    if outcome is None:
        text = f"{type(error).__name__}: {error}".strip().split("\n")[0]
        _say(f"wampy: unexpected {text}" + ("" if is_debugging else "\nRun it with --debug."))
        return ExitCode.FAILED
    code, text = outcome
    # A fault of the manifest begins with its own file and line.
    _say(text if re.match(r"[^\n ]+\.toml(:\d+)?: ", text) else f"wampy: {text}")
    return code


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)
