from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import msgspec
import pytest

from wampy.peer import ConfigError, Peer


class Plain(Peer):
    class Config:
        path: str = "index.db"
        limit: int
        names: list[str] = []  # noqa: RUF012 - as a user writes it
        kind: ClassVar[str] = "plain"


class Data(Peer):
    @dataclasses.dataclass
    class Config:
        limit: int
        names: list[str] = dataclasses.field(default_factory=list)


class Structured(Peer):
    class Config(msgspec.Struct):
        limit: int
        path: str = "x"


class Bare(Peer):
    def __init__(self) -> None:
        self.seen = (self.name, self.index, self.config)


def test_attributes_are_there_before_init() -> None:
    assert Bare.create(config={"a": 1}, name="bare", index=2).seen == ("bare", 2, {"a": 1})
    assert Bare().seen == ("bare", 0, {})


class CalleeApp(Peer):
    pass


def test_a_peer_made_by_hand_has_a_name() -> None:
    app = CalleeApp()
    assert (app.name, app.index, app.config) == ("callee_app", 0, {})
    assert app.log.name == "wampy.peer.callee_app"
    app.on_start()
    app.on_stop()


@pytest.mark.parametrize("cls", [Plain, Data, Structured])
def test_config_is_typed(cls: type[Peer]) -> None:
    peer = cls.create(config={"limit": 3})
    assert peer.config.limit == 3
    assert isinstance(peer.config, cls.Config)  # type: ignore[attr-defined]


@pytest.mark.parametrize("cls", [Plain, Data, Structured])
@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({}, "config.limit: required"),
        ({"limit": "3"}, "config.limit: expected `int`, got `str`"),
        ({"limit": 3, "pfad": 1}, "config.pfad: unknown key; known: "),
    ],
)
def test_what_does_not_fit_is_named(cls: type[Peer], config: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        cls.check_config(config)
    assert text in str(raised.value)
    assert isinstance(raised.value, ValueError)


def test_annotations_that_mean_nothing() -> None:
    class Odd(Peer):
        class Config:
            value: NoSuchType  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ConfigError, match="mean nothing"):
        Odd.check_config({"value": 1})


def test_defaults_are_not_shared_between_checks() -> None:
    assert Plain.check_config({"limit": 1, "path": "a"}).path == "a"
    assert Plain.check_config({"limit": 1}).path == "index.db"
