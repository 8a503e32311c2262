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

    def refuse(self, reason: str) -> None:
        """Note why the connection is over; the first reason counts."""
        self.error = self.error or ConnectionLost(reason)

    def take_locked(self, message: Any) -> None:
        """Let the protocol say what a message means, and note what follows from it."""
        received = self._link.protocol.receive(message)
        kind = type(received)
        if kind is protocol.Reply:
            self._take_reply_locked(received)
        elif kind is protocol.Invoked:
            self._take_invocation_locked(received.invocation)  # type: ignore[union-attr]
        elif kind is protocol.EventReceived:
            self._take_event_locked(received.event)  # type: ignore[union-attr]
        else:
            self._take_rare_locked(received)

    def _take_reply_locked(self, received: Any) -> None:
        pending = self._link.pending
        waiter = pending.get(received.request_id)
        if waiter is None:
            return
        if received.is_final:
            del pending[received.request_id]
        if waiter.settle(received.message, received.error):
            self._settled.append((waiter, received.message, received.error))

    def _take_invocation_locked(self, message: Any) -> None:
        link, request_id = self._link, message.request_id
        registration = link.registrations.get(message.registration_id)
        if registration is None:
            if message.registration_id in link.raw_registrations:
                self._engine.keep_locked(message)
            else:
                link.post_error_locked(
                    request_id, NO_SUCH_PROCEDURE, ["not registered here any more"], {}
                )
            return
        job = InvocationJob(self._engine, link, registration, message)
        link.invocations[request_id] = job
        if registration.is_control:
            self._controls.append(job)
        else:
            self._jobs.append(job)

    def _take_event_locked(self, message: Any) -> None:
        subscriptions = self._link.subscriptions.get(message.subscription_id)
        if subscriptions is None:
            if message.subscription_id in self._link.raw_subscriptions:
                self._engine.keep_locked(message)
            # Else: on its way when we unsubscribed.
            return
        for subscription in subscriptions:
            self._jobs.append(EventJob(self._engine, subscription, message))

    def _take_rare_locked(self, received: Any) -> None:
        link = self._link
        match received:
            case protocol.Joined():
                link.is_joined = True
                self._engine.welcomed_locked(link)
            case protocol.Challenged():
                link.post_locked(received.authenticate)
            case protocol.Rejected():
                if link.is_joined or link.welcome is None:
                    self.refuse(f"the router ended the session: {received.error}")
                else:
                    link.welcome.settle(None, received.error)
            case protocol.Left():
                if received.reply is not None:
                    link.post_locked(received.reply)
                if link.farewell is not None:
                    link.farewell.settle(received.goodbye, None)
                self.refuse(f"the router ended the session: {received.goodbye.reason}")
            case protocol.Interrupted():
                job = link.invocations.get(received.interrupt.request_id)
                if job is not None:
                    self._interrupted.append(job)
            case protocol.Revoked():
                self._revoke_locked(received)

    def _revoke_locked(self, received: Any) -> None:
        """Forget what the Router took away; it is not asked for again, for that was on purpose."""
        link = self._link
        revoked: list[Any] = []
        if received.registration_id is not None:
            registration = link.registrations.pop(received.registration_id, None)
            revoked = [registration] if registration is not None else []
        elif received.subscription_id is not None:
            revoked = list(link.subscriptions.pop(received.subscription_id, ()))
        for handle in revoked:
            handle.is_active = False
            handle.id = None
            logger.warning("the router revoked %s", handle.uri)

    def finish(self) -> None:
        """Do what needs no lock: futures, control procedures; handlers are submitted."""
        for pending, message, error in self._settled:
            pending.resolve(message, error)
        for job in self._controls:
            # Answered here, in the thread that reads: they never wait, nor for a free handler.
            job.is_inline = True
            job.run()
        dispatcher = self._engine.dispatcher
        for job in self._interrupted:
            job.is_interrupted = True
            if dispatcher.cancel(job):
                self._engine.answer_error(
                    self._link, job, CANCELED, ["canceled while it waited for a handler"], {}
                )
        for job_or_event in self._jobs:
            if not dispatcher.submit(job_or_event):
                self._refuse(job_or_event)

    def _refuse(self, job: InvocationJob | EventJob) -> None:
        """Say that there is no room in the queue."""
        if isinstance(job, InvocationJob):
            text = f"{job.registration.uri}: every handler is busy and the queue is full"
            job.is_inline = True
            self._engine.answer_error(self._link, job, UNAVAILABLE, [text], {})
        else:
            self._engine.drop_event(job.subscription.uri)
