"""What one read brought: settled under the lock, the rest done without it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from wampy.errors import ConnectionLost, MessageTooLong, WampyError
from wampy.messages import Call, Error, Invocation, Result
from wampy.protocol import session as protocol
from wampy.protocol.frames import FrameKind
from wampy.protocol.heads import leading_integers
from wampy.session.jobs import CANCELED, INVALID_ARGUMENT, EventJob, InvocationJob
from wampy.transports.frames import describe_close

if TYPE_CHECKING:
    from wampy.protocol.frames import Frame
    from wampy.session.answering import Answering
    from wampy.session.futures import CallFuture, Waiter
    from wampy.session.handles import Registration
    from wampy.session.link import Link

logger = logging.getLogger(__name__)

UNAVAILABLE = "wamp.error.unavailable"
NO_SUCH_PROCEDURE = "wamp.error.no_such_procedure"


def take(engine: Answering, link: Link, frames: list[Frame]) -> None:
    """Deal with what came: replies at once, handlers are submitted, pings answered.

    Raises:
        ConnectionLost, RemoteProtocolError: the connection is over with it.
    """
    batch = Batch(engine, link)
    decode = link.serializer.decode
    messages = [decode(data) for kind, data in frames if kind is FrameKind.MESSAGE]
    with engine._lock:
        for message in messages:
            batch.take_locked(message)
        if len(messages) < len(frames):
            for kind, payload in frames:
                if kind is FrameKind.TOO_LONG:
                    batch.take_too_long_locked(payload)
                elif kind is FrameKind.PING:
                    link.post_frame_locked(link.transport.codec.pong(payload))
                elif kind is FrameKind.CLOSE:
                    reason = describe_close(payload)
                    batch.refuse(f"connection to {engine.url} lost: {reason}")
        # Who waits for the end of all that came has to see this before what was settled here.
        link.is_delivering = True
    try:
        batch.finish()
    finally:
        link.is_delivering = False
    if batch.error is not None:
        link.flush_last()
        raise batch.error
    if link.outbox:
        engine.flush(link)


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

    def __init__(self, engine: Answering, link: Link) -> None:
        self._engine = engine
        self._link = link
        self._settled: list[tuple[Waiter | CallFuture, Any, WampyError | None]] = []
        self._controls: list[InvocationJob] = []
        self._jobs: list[InvocationJob | EventJob] = []
        self._interrupted: list[InvocationJob] = []
        #: Why the connection is over after this batch.
        self.error: WampyError | None = None

    def refuse(self, reason: str, cause: WampyError | None = None) -> None:
        """Note why the connection is over; the first reason counts."""
        if self.error is None:
            self.error = ConnectionLost(reason)
            self.error.__cause__ = cause

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

    def take_too_long_locked(self, payload: bytes) -> None:
        """Take what is left of a message that was too long: whoever it concerns is told."""
        link, size = self._link, int.from_bytes(payload[:8], "big")
        numbers = leading_integers(link.serializer.name, payload[8:])
        limit = link.transport.max_receive_bytes
        what = f"{size} bytes, the limit is {limit}"
        match numbers:
            case (Result.WAMP_CODE, request_id, *_) | (Error.WAMP_CODE, Call.WAMP_CODE, request_id):
                link.protocol.pass_over(request_id)
                waiter = link.pending.pop(request_id, None)
                error = MessageTooLong(f"the router sent a result of {what}")
                if waiter is not None and waiter.settle(None, error):
                    self._settled.append((waiter, None, error))
            case (Invocation.WAMP_CODE, request_id, *_):
                text = f"arguments of {what} of the callee"
                link.post_error_locked(request_id, INVALID_ARGUMENT, [text], {})
            case _:
                logger.warning("passed over a message of %s", what)

    def _take_reply_locked(self, received: Any) -> None:
        pending = self._link.pending
        waiter = pending.get(received.request_id)
        if waiter is None:
            return
        if received.is_final:
            del pending[received.request_id]
        elif not waiter.takes_progress:
            return
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
        details = message.details
        if details and "progress" in details and not self._begins_locked(registration, message):
            return
        job = InvocationJob(self._engine, link, registration, message)
        if job.parts is not None:
            job.parts.waiter.add_locked(message)
        link.invocations[request_id] = job
        if registration.is_control:
            self._controls.append(job)
        else:
            self._jobs.append(job)

    def _begins_locked(self, registration: Registration, message: Any) -> bool:
        """Take a part of a call; whether it is the first, and there is somebody to take it."""
        link, request_id = self._link, message.request_id
        job = link.invocations.get(request_id)
        if job is not None:
            if job.parts is not None:
                job.parts.waiter.add_locked(message)
            return False
        if request_id in link.answered_early:
            # On its way when the answer was given.
            if message.details["progress"] is not True:
                del link.answered_early[request_id]
            return False
        if message.details["progress"] is True and not registration.is_progressive:
            link.note_answered_early(request_id)
            link.post_error_locked(
                request_id,
                INVALID_ARGUMENT,
                [f"{registration.uri} does not take its arguments in parts"],
                {},
            )
            return False
        return True

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
                    text = f"the router ended the session: {received.error}"
                    self.refuse(text, received.error)
                else:
                    link.welcome.settle(None, received.error)
            case protocol.Left():
                if received.reply is not None:
                    link.post_locked(received.reply)
                if link.farewell is not None:
                    link.farewell.settle(received.goodbye, None)
                goodbye = received.goodbye
                message = (goodbye.details or {}).get("message")
                why = f"{goodbye.reason}: {message}" if message else goodbye.reason
                self.refuse(f"the router ended the session: {why}")
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
            handle.is_revoked = True
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
            if self._withdraw(job) or dispatcher.cancel(job):
                self._engine.answer_error(
                    self._link, job, CANCELED, ["canceled while it waited for a handler"], {}
                )
            else:
                job.interrupt()
        for job_or_event in self._jobs:
            if not dispatcher.submit(job_or_event):
                self._refuse(job_or_event)

    def _withdraw(self, job: InvocationJob) -> bool:
        """Whether a call came with its INTERRUPT in this very read: then nobody begins with it."""
        if job not in self._jobs:
            return False
        self._jobs.remove(job)
        return True

    def _refuse(self, job: InvocationJob | EventJob) -> None:
        """Say that there is no room in the queue."""
        if isinstance(job, InvocationJob):
            text = f"{job.registration.uri}: every handler is busy and the queue is full"
            job.is_inline = True
            self._engine.answer_error(self._link, job, UNAVAILABLE, [text], {})
        else:
            self._engine.drop_event(job.subscription.uri)
