"""Log records seen in an interactive shell; elsewhere logging is left to the program."""

from __future__ import annotations

import logging
import sys

FORMAT = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"


def show_in_shell() -> None:
    """Print wampy's records from INFO on stderr, if a person types at a prompt.

    Does nothing in a program, nor where logging was configured. Idempotent.
    """
    logger = logging.getLogger("wampy")
    if not is_interactive() or logger.handlers or logging.getLogger().handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(FORMAT))
    logger.addHandler(handler)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


def is_interactive() -> bool:
    """Whether a person types at a Python prompt."""
    return hasattr(sys, "ps1")
