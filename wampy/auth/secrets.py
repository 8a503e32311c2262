"""Secrets from where they belong: the environment, or a file."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from wampy.errors import WampyError

logger = logging.getLogger(__name__)


class SecretError(WampyError):
    """A secret is not where it was said to be; names the place, never the secret."""


def secret(*, env: str | None = None, file: str | os.PathLike[str] | None = None) -> str:
    """Read what proves who one is from the environment or a file.

    For example ``Ticket("joe", secret(env="JOES_TICKET"))``.

    Args:
        env: the name of an environment variable.
        file: a file in UTF-8 with nothing else in it; one newline at its end does not count. One
            that others may read is logged as a WARNING.

    Raises:
        TypeError: neither, or both.
        SecretError: it is not there, cannot be read, or is empty.
    """
    if (env is None) == (file is None):
        raise TypeError("secret() takes either env or file")
    if env is not None:
        value = os.environ.get(env)
        if value is None:
            raise SecretError(f"the environment variable {env} is not set")
        if not value:
            raise SecretError(f"the environment variable {env} is empty")
        return value
    path = Path(file or "")
    try:
        mode = path.stat().st_mode
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise SecretError(f"{path} cannot be read: {(error.strerror or '').lower()}") from error
    except UnicodeDecodeError:
        # Without the cause, which shows the octets.
        raise SecretError(f"{path} is not in UTF-8") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        logger.warning("%s holds a secret and may be read by others: chmod 600 %s", path, path)
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise SecretError(f"{path} is empty")
    return text
