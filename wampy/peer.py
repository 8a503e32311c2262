"""The base class of Peers, and how their configuration is checked."""

from __future__ import annotations

import dataclasses
import logging
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from wampy.errors import WampyError

if TYPE_CHECKING:
    from wampy.session import Session


class ConfigError(WampyError, ValueError):
    """A Peer's configuration is not what its ``Config`` asks for; names the key."""


class Peer:
    """A service: a class whose methods are procedures, handlers of events, timers.

    Subclass it and decorate methods with ``@rpc``, ``@subscribe``, ``@every``, ``@healthcheck``
    (``wampy.entrypoints``). Handlers run in several threads at once, as many as ``concurrency`` of
    the host allows; ``async def`` handlers in one event loop. They may call through
    ``self.session``; those of the loop await ``asyncio.wrap_future(self.session.call_async(…))``,
    for what would hold up the loop is refused.

    Attributes:
        prefix: put before the name of a method whose ``@rpc`` gives no URI.
        session: the Session that the Peer runs over; there from ``on_start`` on.
        config: what the manifest gives: an instance of ``Config`` where the class has one, else a
            dict.
        name, index: which Instance this is: ``search`` and ``0``.
        log: a logger of the Peer's own.

    A nested class ``Config`` with annotated attributes types the configuration; an attribute with a
    value is optional.
    """

    prefix: ClassVar[str] = ""
    # No annotation here for Config: subclasses write `class Config:`.

    session: Session
    config: Any
    name: str
    index: int

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make an instance that has its attributes before ``__init__`` runs."""
        peer = super().__new__(cls)
        peer._equip({}, _snake_case(cls.__name__), 0)
        return peer

    @classmethod
    def create(
        cls, *, config: Mapping[str, Any] | None = None, name: str = "", index: int = 0
    ) -> Self:
        """Make an instance as a host does: attributes first, then ``__init__()``.

        Raises:
            ConfigError: the configuration does not fit.
            whatever ``__init__`` raises.
        """
        peer: Self = object.__new__(cls)
        peer._equip(config or {}, name or _snake_case(cls.__name__), index)
        peer.__init__()  # type: ignore[misc]  # what a subclass has may take no arguments
        return peer

    def _equip(self, config: Mapping[str, Any], name: str, index: int) -> None:
        self.config = self.check_config(config)
        self.name = name
        self.index = index

    @property
    def log(self) -> logging.Logger:
        """The Peer's own logger, ``wampy.peer.NAME``."""
        return logging.getLogger(f"wampy.peer.{self.name}")

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Any:
        """Check a configuration; give what ``self.config`` will be.

        Raises:
            ConfigError: a key is unknown, missing or of a wrong type.
        """
        schema = getattr(cls, "Config", None)
        if schema is None:
            return dict(config)
        return _make_config(schema, config)

    def on_start(self) -> None:
        """Prepare: called once, joined, before anything is registered. May wait; may raise."""

    def on_stop(self) -> None:
        """Clean up: called once, when all handlers have ended; ``self.session`` still works."""


def _make_config(schema: type, config: Mapping[str, Any]) -> Any:
    """Make an instance of a Config class, each value checked against its annotation."""
    import msgspec

    try:
        hints = typing.get_type_hints(schema, include_extras=True)
    except (NameError, TypeError) as error:
        raise ConfigError(
            f"the annotations of {schema.__qualname__} mean nothing: {error}"
        ) from error
    hints = {name: hint for name, hint in hints.items() if typing.get_origin(hint) is not ClassVar}
    for key in config:
        if key not in hints:
            known = ", ".join(hints) or "none"
            raise ConfigError(f"config.{key}: unknown key; known: {known}")
    values = {}
    for key, hint in hints.items():
        if key not in config:
            if not _has_default(schema, key):
                raise ConfigError(f"config.{key}: required, and not given")
            continue
        try:
            values[key] = msgspec.convert(config[key], hint)
        except msgspec.ValidationError as error:
            raise ConfigError(f"config.{key}: {_lowered(str(error))}") from error
        except TypeError as error:
            raise ConfigError(f"config.{key}: its annotation cannot be checked: {error}") from error
    if dataclasses.is_dataclass(schema) or issubclass(schema, msgspec.Struct):
        try:
            return schema(**values)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"config: {error}") from error
    made = schema()
    for key, value in values.items():
        setattr(made, key, value)
    return made


def _has_default(schema: type, key: str) -> bool:
    if dataclasses.is_dataclass(schema):
        field = {field.name: field for field in dataclasses.fields(schema)}[key]
        return (
            field.default is not dataclasses.MISSING
            or field.default_factory is not dataclasses.MISSING
        )
    struct_fields = getattr(schema, "__struct_fields__", None)
    if struct_fields is not None:
        import msgspec

        return not {field.name: field for field in msgspec.structs.fields(schema)}[key].required
    return hasattr(schema, key)


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _snake_case(name: str) -> str:
    import re

    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
