"""The ``wampy`` command: one module a command, each a thin client of a running stack.

Rules of this package:

- A command imports what it needs when it runs: ``wampy ps`` must be quick.
- Errors are one or two lines on stderr that name the thing and the mend; a traceback only with
  ``--debug``. Exit codes are those of ``ExitCode``.
- Standard output may be closed, or blocked, at any moment; no stack may be harmed by that.
"""

from __future__ import annotations

from orchestrator.cli.exits import ExitCode
from orchestrator.cli.main import main

__all__ = ["ExitCode", "main"]
