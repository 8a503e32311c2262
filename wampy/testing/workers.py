"""Peers in unit tests: their handlers called as the Router would have them called, no socket."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Generic, TypeVar

from wampy.entrypoints import procedures_of, topics_of
from wampy.peer import Peer
from wampy.session.arguments import Arguments

P = TypeVar("P", bound=Peer)


@dataclass
class Publication:
    """An event that a Peer has published."""

    topic: str
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)


class FakeSession:
    """What a Peer has for a Session in a unit test. For one thread.

    Attributes:
        answers: by URI what a call of it gives: a value, or a function of its arguments; an
            exception is raised.
        calls: the URIs that were called, with their arguments, in order.
        published: the events that were published, in order.
    """

    id = 1
    realm = "realm1"
    is_joined = True

    def __init__(self) -> None:
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


class PeerWorker(Generic[P]):
    """A Peer without a Router; see ``peer_worker``.

    Attributes:
        peer: it: its methods may be called as they are.
        session: its Session.
    """

    def __init__(self, peer: P) -> None:
        self.peer = peer
        self.session = FakeSession()
        peer.session = self.session  # type: ignore[assignment]  # as far as a Peer needs one
        cls = type(peer)
        self._procedures = {uri: getattr(peer, name) for uri, name, _ in procedures_of(cls)}
        self._topics = {uri: getattr(peer, name) for uri, name, _ in topics_of(cls)}

    @property
    def published(self) -> list[Publication]:
        """The events that the Peer has published."""
        return self.session.published

    def call(self, uri: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a procedure by its URI: arguments are checked and converted by its type hints.

        Of one that yields, the parts as a list; of an ``async def`` one, what it returns.

        Raises:
            AssertionError: the Peer has no such procedure.
            InvalidArgument: an argument is of a wrong type.
            what the handler raises.
        """
        return self._run("procedure", self._procedures, uri, args, kwargs)

    def publish(self, topic: str, /, *args: Any, **kwargs: Any) -> None:
        """Have the Peer hear an event of a topic, or pattern, that it subscribes to.

        Raises:
            AssertionError: it does not.
            InvalidArgument, and what the handler raises: a Router would not tell of either.
        """
        self._run("topic", self._topics, topic, args, kwargs)

    def _run(
        self,
        what: str,
        known: Mapping[str, Callable[..., Any]],
        uri: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        name = type(self.peer).__name__
        assert uri in known, f"{name} has no {what} {uri}; it has: {', '.join(known) or 'none'}"
        handler = known[uri]
        hints = Arguments.of(handler)
        given, named = (args, kwargs) if hints is None else hints.convert(uri, args, kwargs)
        result = handler(*given, **named)
        if isinstance(result, GeneratorType):
            return list(result)
        if isinstance(result, AsyncGeneratorType):
            return asyncio.run(_all_of(result))
        return asyncio.run(result) if inspect.iscoroutine(result) else result


async def _all_of(parts: AsyncGeneratorType[Any, Any]) -> list[Any]:
    return [part async for part in parts]


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
            would make; the class must know them, by an annotation or an attribute.

    Raises:
        TypeError: an attribute that the class does not know; the error lists those that it does.
        ConfigError: the configuration does not fit.
    """
    peer = cls.create(config=config)
    known = {name for base in cls.__mro__ for name in getattr(base, "__annotations__", {})}
    known |= set(vars(peer)) | {name for name in dir(cls) if not callable(getattr(cls, name))}
    known = {name for name in known if not name.startswith("_")} - _GIVEN
    for name, value in dependencies.items():
        if name not in known:
            raise TypeError(
                f"{cls.__name__} has no {name!r}; it has: {', '.join(sorted(known)) or 'none'}"
            )
        setattr(peer, name, value)
    return PeerWorker(peer)


#: What every Peer has, and gets otherwise.
_GIVEN = {"prefix", "session", "config", "name", "index", "log"}
