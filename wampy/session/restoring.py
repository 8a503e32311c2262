"""What follows when something is not restored after a reconnect; pure, but for the log.

At the built-in Router a former Session of ours that it has not missed yet ends when we join anew:
HELLO tells that it is us (``wampy.messages.hello.CLIENT``). At another Router such a ghost is
waited out, and then replaced where the Router tells who holds the procedure.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

from wampy.errors import ProcedureAlreadyExists, RequestError, WampyError
from wampy.session.handles import Handle

logger = logging.getLogger("wampy.wamp.session")


def may_be_ghost(failure: WampyError) -> bool:
    """Whether a former Session of ours could be why something is not restored."""
    return isinstance(failure, ProcedureAlreadyExists)


def is_ghost(callees: Sequence[int], former_ids: Iterable[int]) -> bool:
    """Whether those who hold a procedure are former Sessions of ours, and nobody else."""
    return bool(callees) and set(callees) <= set(former_ids)


def replace_ghost(handle: Handle) -> None:
    """Let the next request for a procedure take it away from our former Session."""
    logger.warning("replacing %s, which a former session of ours holds", handle.uri)
    handle.replaces_ghost = True


class Complaints:
    """Tells the log what is not restored: once for each reason, and when it is."""

    def __init__(self) -> None:
        #: What was told of each Handle.
        self._told: dict[Handle, str] = {}

    def tell(self, failures: Mapping[Handle, WampyError]) -> None:
        """Take the outcome of one round: what failed of all that there is to restore."""
        texts: dict[str, None] = {}
        for handle, failure in failures.items():
            text = str(failure)
            if self._told.get(handle) == text:
                continue
            if isinstance(failure, RequestError):
                logger.error("cannot restore %s: %s", handle.uri, text)
            else:
                texts[text] = None  # of the connection: the same for all
            self._told[handle] = text
        for text in texts:
            logger.warning("registering again failed: %s", text)
        for handle in [one for one in self._told if one not in failures]:
            del self._told[handle]
            if handle.is_active:
                logger.warning("%s is restored", handle.uri)
