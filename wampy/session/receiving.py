"""What one read brought: settled under the lock, the rest done without it.

Rules:

- what breaks the protocol ends the connection, after all that came before it was dealt with;
- a message whose head is sound and whose payload cannot be taken, or that is too long, is somebody
  else's fault, passed on by the Router: the call that it answers fails, the caller whose arguments
  it has is told, an event is dropped. The connection lives, and so does what came beside it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec

from wampy.errors import ConnectionLost, MessageTooLong, RemoteProtocolError, WampyError
from wampy.messages import Message, Result
from wampy.protocol import session as protocol
from wampy.protocol.frames import FrameKind
from wampy.protocol.heads import HEAD_BYTES, addressee
from wampy.session.jobs import CANCELED, INVALID_ARGUMENT, EventJob, InvocationJob
from wampy.transports.frames import describe_close

if TYPE_CHECKING:
    from wampy.protocol.frames import Frame
    from wampy.session.answering import Answering
    from wampy.session.futures import CallFuture, Waiter
    from wampy.session.handles import Registration
    from wampy.session.link import Link

logger = logging.getLogger(__name__)

_MESSAGE = FrameKind.MESSAGE

UNAVAILABLE = "wamp.error.unavailable"
NO_SUCH_PROCEDURE = "wamp.error.no_such_procedure"


def take(engine: Answering, link: Link, frames: list[Frame]) -> None:
    """Deal with what came: replies at once, handlers are submitted, pings answered.

    Raises:
        ConnectionLost, RemoteProtocolError: the connection is over with it.
    """
    batch = Batch(engine, link)
    take_locked = batch.take_locked
    decode = link.serializer.decode
    messages: list[Any] | None
    try:
        messages = [decode(data) for kind, data in frames if kind is _MESSAGE]
    except RemoteProtocolError:
        messages = None
    # Not there, or each new error would have the first for its context, and that this frame.
    if messages is None:
        messages = _decoded_one_by_one(link, frames)
        take_locked = batch.take_any_locked
    with engine._lock:
        try:
            for message in messages:
                take_locked(message)
            if len(messages) < len(frames):
                batch.take_others_locked(frames)
        except WampyError as error:
            # What came before it has been settled, and is passed on all the same.
            batch.error = batch.error or error
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


class NotTaken(msgspec.Struct, frozen=True):
    """In place of a message that could not be decoded.

    Attributes:
        head: its ids; None where it is no message at all.
        error: what is wrong with it.
    """

    head: Message | None
    error: RemoteProtocolError


def _decoded_one_by_one(link: Link, frames: list[Frame]) -> list[Any]:
    """Give the messages, and a NotTaken in the place of each that cannot be decoded."""
    serializer = link.serializer
    messages: list[Any] = []
    for kind, data in frames:
        if kind is _MESSAGE:
            try:
                messages.append(serializer.decode(data))
            except RemoteProtocolError as error:
                head = addressee(serializer.name, data[:HEAD_BYTES])
                # Without its traceback, which has this very list in it.
                messages.append(NotTaken(head, error.with_traceback(None)))
    return messages


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

    def take_any_locked(self, message: Any) -> None:
        """Take a message, or a NotTaken. Raises RemoteProtocolError: it is no message."""
        if type(message) is not NotTaken:
            self.take_locked(message)
        elif message.head is None:
            raise message.error
        else:
            self._pass_over_locked(
                message.head,
                RemoteProtocolError(f"the answer that came cannot be taken: {message.error}"),
                f"the arguments cannot be taken: {message.error}",
            )

    def take_others_locked(self, frames: list[Frame]) -> None:
        """Take the frames that are no messages, or too long ones."""
        link = self._link
        for kind, payload in frames:
            if kind is FrameKind.TOO_LONG:
                self._take_too_long_locked(payload)
            elif kind is FrameKind.PING:
                link.post_frame_locked(link.transport.codec.pong(payload))
            elif kind is FrameKind.CLOSE:
                reason = describe_close(payload)
                self.refuse(f"connection to {self._engine.url} lost: {reason}")

    def _take_too_long_locked(self, payload: bytes) -> None:
        link, size = self._link, int.from_bytes(payload[:8], "big")
        what = f"{size} bytes, the limit is {link.transport.max_receive_bytes}"
        head = addressee(link.serializer.name, payload[8:])
        if head is None:
            logger.warning("passed over a message of %s", what)
        else:
            self._pass_over_locked(
                head,
                MessageTooLong(f"the router sent a result of {what}"),
                f"arguments of {what} of the callee",
            )

    def _pass_over_locked(self, head: Message, error: WampyError, reason: str) -> None:
        """Deal with a message of which there is the head only: whoever it concerns is told.

        Args:
            head: see ``addressee``.
            error: for who waits for it as an answer.
            reason: for who sent it, or for the log.

        Raises:
            RemoteProtocolError: no such message may come now.
        """
        link = self._link
        if type(head) is Result:
            waiter = link.pending.get(head.request_id)
            if waiter is not None and waiter.takes_progress:
                # It may be a part, and more may follow.
                head = Result(request_id=head.request_id, details={"progress": True})
        received = link.protocol.receive(head)
        match received:
            case protocol.Reply():
                waiter = link.pending.pop(received.request_id, None)
                if not received.is_final:
                    cancel = link.protocol.give_up(received.request_id)
                    if cancel is not None:
                        link.post_locked(cancel)
                if waiter is not None and waiter.settle(None, error):
                    self._settled.append((waiter, None, error))
            case protocol.Invoked():
                self._refuse_invocation_locked(received.invocation, reason)
            case protocol.EventReceived():
                subscriptions = link.subscriptions.get(received.event.subscription_id)
                if subscriptions:
                    logger.warning("an event of %s is dropped: %s", subscriptions[0].uri, reason)

    def _refuse_invocation_locked(self, message: Any, reason: str) -> None:
        """Answer a call whose arguments cannot be taken, or a part of them."""
        link, request_id = self._link, message.request_id
        job = link.invocations.get(request_id)
        if job is not None:
            link.answered_locked(request_id)
            if job.parts is not None:
                job.parts.lose_locked(RemoteProtocolError(reason))
        elif request_id in link.answered_early:
            return  # on its way when the answer was given
        else:
            registration = link.registrations.get(message.registration_id)
            if registration is not None and registration.is_progressive:
                link.note_answered_early(request_id)
        link.post_error_locked(request_id, INVALID_ARGUMENT, [reason], {})

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
                link.joined_locked()
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
