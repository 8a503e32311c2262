"""What one read brought: settled under the lock, the rest done without it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from wampy.errors import ConnectionLost, WampyError
from wampy.protocol import session as protocol
from wampy.session.jobs import CANCELED, EventJob, InvocationJob

if TYPE_CHECKING:
    from wampy.session.engine import Engine
    from wampy.session.futures import CallFuture, Waiter
    from wampy.session.link import Link

logger = logging.getLogger(__name__)

UNAVAILABLE = "wamp.error.unavailable"
NO_SUCH_PROCEDURE = "wamp.error.no_such_procedure"


class Batch:
    """The messages of one read. ``take_locked`` for each of them, then ``finish`` once."""

    __slots__ = (
        "_controls",
        "_engine",
        "_interrupted",
        "_jobs",
        "_link",
        "_settled",
        "error",
    )

    def __init__(self, engine: Engine, link: Link) -> None:
        self._engine = engine
        self._link = link
        self._settled: list[tuple[Waiter | CallFuture, Any, WampyError | None]] = []
        self._controls: list[InvocationJob] = []
        self._jobs: list[InvocationJob | EventJob] = []
        self._interrupted: list[InvocationJob] = []
        #: Why the connection is over after this batch.
        self.error: WampyError | None = None
