"""Peers in unit tests: their handlers called as the Router would have them called, no socket."""

from __future__ import annotations

import asyncio
import contextvars
import dis
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import AsyncGeneratorType, CodeType, CoroutineType, GeneratorType, SimpleNamespace
from typing import Any, Generic, TypeVar, cast

from wampy.dispatch import CURRENT, Job
from wampy.entrypoints import procedures_of, topics_of
from wampy.errors import InvalidArgument
from wampy.messages import Event, Invocation
from wampy.options import CancelMode, check_cancel_mode
from wampy.peer import Peer
from wampy.session.answering import Answering
from wampy.session.arguments import misfit
from wampy.session.futures import CallResult, Waiter, payload_of, value_of
from wampy.session.handles import Handle, Registration, Subscription
from wampy.session.jobs import CallTaker, EventJob, InvocationJob, run_through
from wampy.session.link import Link
from wampy.session.yielding import Taker

P = TypeVar("P", bound=Peer)
H = TypeVar("H", bound=Handle)


@dataclass
class Publication:
    """An event that a Peer has published."""

    topic: str
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)


class FakeFuture(Future[Any]):
    """What ``FakeSession.call_async`` gives: it has its result already."""

    def cancel(self, mode: CancelMode = "killnowait") -> bool:
        """Say that it is too late; see ``CallFuture.cancel``."""
        check_cancel_mode(mode)
        return super().cancel()


class FakeSession:
    """What a Peer has for a Session in a unit test. For one thread.

    Attributes:
        answers: by URI what a call of it gives: a value, or a function of its arguments; an
            exception is raised. For ``call_progress`` a list, or a generator, has the parts.
        calls: the URIs that were called, with their arguments, in order.
        published: the events that were published, in order.
        details: WELCOME.Details; empty where the test says nothing.
    """

    id = 1
    realm = "realm1"
    is_joined = True

    def __init__(self) -> None:
        self.details: dict[str, Any] = {}
        self.answers: dict[str, Any] = {}
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.published: list[Publication] = []

    def call(
        self, uri: str, /, *args: Any, timeout: Any = None, options: Any = None, **kwargs: Any
    ) -> Any:
        """Give the answer that the test has for a URI.

        Raises:
            AssertionError: it has none.
            what the answer is, where that is an exception.
        """
        self.calls.append((uri, args, kwargs))
        if uri not in self.answers:
            known = ", ".join(self.answers) or "none"
            raise AssertionError(f"{uri} was called, and worker.session.answers has no answer for "
                                 f"it; it has: {known}")  # fmt: skip
        answer = self.answers[uri]
        if isinstance(answer, BaseException):
            raise answer
        return answer(*args, **kwargs) if callable(answer) else answer

    def call_result(
        self, uri: str, /, *args: Any, timeout: Any = None, options: Any = None, **kwargs: Any
    ) -> CallResult:
        """Give the test's answer as all of a result; as ``call``."""
        return _whole(self.call(uri, *args, **kwargs))

    def call_async(
        self, uri: str, /, *args: Any, timeout: Any = None, options: Any = None, **kwargs: Any
    ) -> FakeFuture:
        """Give the test's answer as a future that has it already; as ``call``.

        Raises:
            AssertionError: there is no answer. An answer that is an exception is in the future.
        """
        future = FakeFuture()
        try:
            future.set_result(self.call(uri, *args, **kwargs))
        except AssertionError:
            raise
        except Exception as error:  # the test's own
            future.set_exception(error)
        return future

    def call_progress(
        self, uri: str, /, *args: Any, timeout: Any = None, options: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        """Iterate over the test's answer: the items of a list or of a generator; as ``call``."""
        answer = self.call(uri, *args, **kwargs)
        return _each(answer if isinstance(answer, list | GeneratorType) else [answer])

    def publish(
        self,
        topic: str,
        /,
        *args: Any,
        acknowledge: bool = False,
        timeout: Any = None,
        options: Any = None,
        **kwargs: Any,
    ) -> int | None:
        """Note an event; give a publication's id where it is acknowledged."""
        self.published.append(Publication(topic, list(args), kwargs))
        return len(self.published) if acknowledge else None


def _whole(value: Any) -> CallResult:
    return value if type(value) is CallResult else CallResult([] if value is None else [value])


def _each(parts: Iterable[Any]) -> Iterator[Any]:
    # A generator in any case: it has a ``close``, as ProgressiveResults have.
    yield from parts


class _Inside(Answering):
    """What the Jobs of a worker find in the place of a Session's inside."""

    url = "the test"
    timeout_s = 0.0

    def __init__(self) -> None:
        super().__init__()
        #: What handlers gave as progress.
        self.parts: list[Any] = []

    def wait_for(self, link: Link | None, waiter: Waiter, deadline: float) -> bool:
        """Wait for nothing: in a unit test there is nobody who could cancel meanwhile."""
        return waiter.is_ready

    def answer_progress(self, link: Link, job: InvocationJob, part: Any) -> None:
        """Note a part, as its caller would get it."""
        self.parts.append(_value(part))


class PeerWorker(Generic[P]):
    """A Peer without a Router; see ``peer_worker``.

    Attributes:
        peer: it: its methods may be called as they are.
        session: its Session.
        details: what ``current_call()`` and ``current_event()`` tell of what is called or
            published next: ``worker.details["caller_authid"] = "joe"``.
    """

    def __init__(self, peer: P) -> None:
        self.peer = peer
        self.session = FakeSession()
        self.details: dict[str, Any] = {}
        peer.session = self.session  # type: ignore[assignment]  # as far as a Peer needs one
        cls, session = type(peer), cast(Any, self.session)
        self._procedures = {
            uri: Registration(
                session,
                uri,
                getattr(peer, name),
                {},
                expected=entry.expected,
                is_progressive=entry.progressive,
            )
            for uri, name, entry in procedures_of(cls)
        }
        self._topics = {
            uri: Subscription(session, uri, getattr(peer, name), {})
            for uri, name, _ in topics_of(cls)
        }

    @property
    def published(self) -> list[Publication]:
        """The events that the Peer has published."""
        return self.session.published

    def call(self, uri: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a procedure by its URI: arguments are checked and converted by its type hints.

        Of one that yields, what ``Session.call`` gives: what it returns, or the last part. Of one
        that takes its arguments in parts, this is the only one.

        Raises:
            AssertionError: the Peer has no such procedure.
            InvalidArgument: an argument is of a wrong type, missing or surplus.
            what the handler raises.
        """
        return self._call(uri, [CallResult(list(args), kwargs)], {})[1]

    def call_progress(self, uri: str, /, *args: Any, **kwargs: Any) -> list[Any]:
        """Call a procedure; give the parts of its result, then what it returns unless it is None.

        As the items of ``Session.call_progress``, all at once; raises as ``call``.
        """
        made = CallResult(list(args), kwargs)
        parts, result = self._call(uri, [made], {"receive_progress": True})
        return parts if result is None else [*parts, result]

    def call_parts(self, uri: str, parts: Iterable[Any], /) -> Any:
        """Call a procedure that takes its arguments in parts, as ``Session.call_parts``.

        Raises:
            AssertionError: it is not registered as ``progressive``, and what ``call`` raises.
        """
        registration = self._procedures.get(uri)
        assert registration is None or registration.is_progressive, (
            f"{uri} does not take its arguments in parts"
        )
        return self._call(uri, list(parts) or [CallResult()], {})[1]

    def publish(self, topic: str, /, *args: Any, **kwargs: Any) -> None:
        """Have the Peer hear an event of a topic, or pattern, that it subscribes to.

        Raises:
            AssertionError: it does not.
            InvalidArgument, and what the handler raises: a Router would not tell of either.
        """
        subscription = self._known("topic", self._topics, topic)
        event = Event(
            subscription_id=1,
            publication_id=len(self.published) + 1,
            details=dict(self.details),
            args=list(args),
            kwargs=kwargs,
        )
        job = EventJob(_Inside(), subscription, event)
        self._run(job, subscription, args, kwargs, Taker())

    def _call(self, uri: str, parts: list[Any], details: dict[str, Any]) -> tuple[list[Any], Any]:
        """Call a procedure with what came in parts; give its progress, and its result."""
        registration = self._known("procedure", self._procedures, uri)
        messages: list[Invocation] = []
        for part in parts:
            given, named = payload_of(part)
            told = {**self.details, **details}
            if len(messages) < len(parts) - 1:
                told["progress"] = True
            messages.append(
                Invocation(
                    request_id=1, registration_id=1, details=told, args=given, kwargs=named or {}
                )
            )
        inside = _Inside()
        link = cast(Link, SimpleNamespace(is_alive=True, is_full=False))
        job = InvocationJob(inside, link, registration, messages[0])
        args, kwargs = messages[0].args or [], messages[0].kwargs or {}
        if job.parts is not None:
            for message in messages:
                job.parts.waiter.add_locked(message)
            args, kwargs = [job.parts], {}
        result = self._run(job, registration, args, kwargs, CallTaker(job))
        return inside.parts, _value(result)

    def _known(self, what: str, known: Mapping[str, H], uri: str) -> H:
        name = type(self.peer).__name__
        assert uri in known, f"{name} has no {what} {uri}; it has: {', '.join(known) or 'none'}"
        return known[uri]

    def _run(
        self, job: EventJob | InvocationJob, handle: Handle, args: Any, kwargs: Any, taker: Taker
    ) -> Any:
        """Run a handler to its end, as the current one; give what it comes to."""
        is_checked = handle.arguments is not None and getattr(job, "parts", None) is None
        if is_checked and handle.arguments is not None:
            args, kwargs = handle.arguments.convert(handle.uri, args, kwargs)

        def run() -> Any:
            CURRENT.set(cast(Job, job))
            result = handle.handler(*args, **kwargs)
            if isinstance(result, GeneratorType | AsyncGeneratorType):
                result = run_through(job.engine, result, taker)
            return asyncio.run(result) if type(result) is CoroutineType else result

        try:
            return contextvars.copy_context().run(run)
        except TypeError as error:
            found = misfit(handle.handler, args, kwargs, error)
            if found is None:
                raise
            text, parameter = found
            told = {} if parameter is None else {"parameter": parameter}
            uri = "wamp.error.invalid_argument"
            raise InvalidArgument(uri, [f"{handle.uri}: {text}"], told) from None


def _value(result: Any) -> Any:
    """Give what a caller gets for what a handler gave."""
    args, kwargs = payload_of(result)
    return value_of(SimpleNamespace(args=args, kwargs=kwargs, details={}))


def peer_worker(
    cls: type[P], *, config: Mapping[str, Any] | None = None, **dependencies: Any
) -> PeerWorker[P]:
    """Make a Peer for a unit test: no Router, no socket, no thread.

    ::

        worker = peer_worker(Search, store=FakeStore(), config={"path": ":memory:"})
        worker.session.answers["com.example.store.get"] = {"text": "…"}
        assert worker.call("com.example.search.find", "wamp", limit=3) == [...]
        assert worker.published == [Publication("com.example.searched", ["wamp"])]

    ``on_start`` is not called: call ``worker.peer.on_start()`` where it is wanted.

    Args:
        cls: the Peer's class.
        config: checked against the class's ``Config``, as in a manifest.
        dependencies: attributes of the Peer, in the place of what ``__init__`` or ``on_start``
            would make; the class must know them: by an annotation, an attribute, or because one of
            its methods sets them.

    Raises:
        TypeError: an attribute that the class does not know; the error lists those that it does.
        ConfigError: the configuration does not fit.
    """
    peer = cls.create(config=config)
    known = {name for base in cls.__mro__ for name in getattr(base, "__annotations__", {})}
    known |= {name for base in cls.__mro__ if base is not Peer for name in _set_by(base)}
    known |= set(vars(peer)) | {name for name in dir(cls) if not callable(getattr(cls, name))}
    known = {name for name in known if not name.startswith("_")} - _GIVEN
    for name, value in dependencies.items():
        if name not in known:
            raise TypeError(
                f"{cls.__name__} has no {name!r}; it has: {', '.join(sorted(known)) or 'none'}"
            )
        setattr(peer, name, value)
    return PeerWorker(peer)


def _set_by(cls: type) -> Iterator[str]:
    """Give the names of the attributes that the methods of a class set."""
    for member in vars(cls).values():
        code = getattr(member, "__code__", None)
        if isinstance(code, CodeType):
            for instruction in dis.get_instructions(code):
                if instruction.opname == "STORE_ATTR":
                    yield instruction.argval


#: What every Peer has, and gets otherwise.
_GIVEN = {"prefix", "session", "config", "name", "index", "log"}
