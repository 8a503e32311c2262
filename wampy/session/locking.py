"""Locks that can tell who holds them: a signal handler runs in the middle of what it interrupts."""

from __future__ import annotations

from _thread import RLock
from collections.abc import Callable
from typing import ClassVar


class SessionLock(RLock):  # type: ignore[misc]  # as far as the stubs know it
    """A lock that knows the thread that holds it. ``with`` takes it, and gives it back, for sure.

    Whatever exception comes out of a line, however soon: ``with`` and ``acquire`` are one step
    each. It is re-entrant, which nothing relies on: a signal handler must not go in where the code
    that it interrupted was at work. Who may be called by one asks ``is_owned`` first.
    """

    __slots__ = ()

    #: Whether this thread holds it.
    is_owned: ClassVar[Callable[[SessionLock], bool]] = RLock._is_owned  # type: ignore[attr-defined]
    #: Makes it free, in the child of a fork: who held it is in the other process.
    forget: ClassVar[Callable[[SessionLock], None]] = RLock._at_fork_reinit  # type: ignore[attr-defined]
