"""What an AsyncSession gives for ``subscribe`` and ``register``."""

from __future__ import annotations

from typing import Any

from wampy.session.handles import Registration, Subscription


class AsyncRegistration(Registration):
    """A procedure that an AsyncSession offers."""

    async def unregister(self, timeout: float | None = None) -> None:  # type: ignore[override]
        """Withdraw the procedure; returns when the Router has confirmed it. Idempotent.

        As ``Registration.unregister``.
        """
        session: Any = self._session  # an AsyncSession
        await session._undo(self, timeout)


class AsyncSubscription(Subscription):
    """A topic that an AsyncSession listens to; its events are handled one by one, in order."""

    async def unsubscribe(self, timeout: float | None = None) -> None:  # type: ignore[override]
        """Listen no more; returns when the Router has confirmed it. Idempotent.

        As ``Subscription.unsubscribe``.
        """
        session: Any = self._session  # an AsyncSession
        await session._undo(self, timeout)
