"""Paths of unix sockets, which may have 107 bytes only."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

#: sun_path has 108 bytes, the last for a NUL.
LONGEST = 107


def bindable(path: Path) -> Path:
    """Give a path on which a unix socket that belongs at ``path`` can be bound.

    That is ``path`` itself if it is short enough; else one in a private folder (0700, of this user)
    below ``$XDG_RUNTIME_DIR`` or the temporary folder, with a symbolic link at ``path`` to it. The
    same ``path`` gives the same result. Connecting goes by ``connectable``.

    Raises:
        OSError: the folder cannot be made, or belongs to somebody else.
    """
    if len(os.fsencode(path)) <= LONGEST:
        return path
    short = _short(path)
    short.parent.mkdir(mode=0o700, exist_ok=True)
    found = short.parent.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(
            13, "belongs to somebody else, or others may enter", str(short.parent)
        )
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    path.symlink_to(short)
    return short


def connectable(path: Path) -> str:
    """Give the path by which a socket that was bound for ``path`` can be connected to."""
    if len(os.fsencode(path)) <= LONGEST:
        return str(path)
    # The link, since $XDG_RUNTIME_DIR may be another one where the stack was started.
    with contextlib.suppress(OSError):
        return os.readlink(path)
    return str(_short(path))


def _short(path: Path) -> Path:
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    digest = hashlib.sha256(os.fsencode(path.parent.resolve())).hexdigest()[:16]
    return base / f"wampy-{os.getuid()}-{digest}" / path.name
