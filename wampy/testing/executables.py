"""Where Crossbar's executable is found, for tests and for the orchestrator's Router alike.

Crossbar lives well in a venv of its own, since it pins old versions of what others need too.
Nothing heavy is imported here: the orchestrator looks this up before it starts anything.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

#: Names an executable; wins over everything that is found.
ENVIRONMENT_VARIABLE = "WAMPY_CROSSBAR"
#: The venv that `make` sets up, looked for in a folder and its parents.
VENV_PATH = Path(".venv-crossbar", "bin", "crossbar")


class CrossbarNotFound(LookupError):
    """No Crossbar executable; the text names every place that was looked at, and the mend."""


def find_crossbar(near: Path | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """Find Crossbar's executable.

    The first of: ``$WAMPY_CROSSBAR``; ``.venv-crossbar/bin/crossbar`` in ``near`` or its nearest
    parent; beside the running Python; on ``PATH``. Reads the file system only; thread-safe.

    Args:
        near: the folder to begin in, usually the manifest's; default: the current one.
        environ: default: ``os.environ``.

    Returns:
        An absolute path to an executable file.

    Raises:
        CrossbarNotFound: nowhere, or ``$WAMPY_CROSSBAR`` names what cannot be executed.
    """
    environ = os.environ if environ is None else environ
    named = environ.get(ENVIRONMENT_VARIABLE)
    if named:
        found = shutil.which(named, path=environ.get("PATH"))
        if found is None:
            raise CrossbarNotFound(
                f"${ENVIRONMENT_VARIABLE} is {named!r}, which is no executable file:"
                " correct it or unset it"
            )
        return Path(os.path.abspath(found))
    folder = Path(os.path.abspath(near if near is not None else Path.cwd()))
    for parent in (folder, *folder.parents):
        if _is_executable(parent / VENV_PATH):
            return parent / VENV_PATH
    # Not resolved: in a venv the interpreter is a link, and Crossbar would be beside the link.
    beside = Path(os.path.abspath(sys.executable)).parent / "crossbar"
    if _is_executable(beside):
        return beside
    on_path = shutil.which("crossbar", path=environ.get("PATH"))
    if on_path is not None:
        return Path(os.path.abspath(on_path))
    raise CrossbarNotFound(
        f"no Crossbar is installed: looked for {VENV_PATH} in {folder} and its parents,"
        f" for {beside} and for `crossbar` on PATH; install it"
        " (pip install 'wampy-stack[crossbar]', best in a venv of its own) and name it by"
        f" ${ENVIRONMENT_VARIABLE} or by `command` in [router]"
    )


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
