"""The watcher: a process that tells when Python files or the manifest change, one line each time.

Exec'ed by the supervisor (``watching``), since watching starts threads. On standard input one line
of JSON, ``{"folders": [...], "files": [...]}``: folders whose Python files count (not those below
them), and other files that count. On standard output a line with the changed paths, JSON, as soon
as nothing more has changed for a moment. It ends with the supervisor.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from orchestrator.processes import die_with_parent

#: Milliseconds without a further change after which a change is told; editors write in steps.
QUIET_MS = 100
#: Milliseconds after which it is told although there are more and more.
LONGEST_MS = 2_000


def main() -> None:
    """Watch until the supervisor goes."""
    die_with_parent(os.getppid())
    import watchfiles

    wanted: dict[str, Any] = json.loads(sys.stdin.readline())
    files = frozenset(wanted["files"])

    def counts(change: watchfiles.Change, path: str) -> bool:
        return path.endswith(".py") or path in files

    for changes in watchfiles.watch(
        *wanted["folders"],
        watch_filter=counts,
        debounce=LONGEST_MS,
        step=QUIET_MS,
        recursive=False,
        raise_interrupt=False,
        ignore_permission_denied=True,
    ):
        print(json.dumps(sorted({path for _, path in changes})), flush=True)


if __name__ == "__main__":
    main()
