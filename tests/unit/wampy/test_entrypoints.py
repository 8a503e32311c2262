from __future__ import annotations

from typing import Any

import pytest

from wampy.entrypoints import (
    HealthCheck,
    Procedure,
    Timer,
    Topic,
    entrypoints_of,
    every,
    healthcheck,
    procedures_of,
    rpc,
    subscribe,
    topics_of,
)


class Base:
    prefix = "com.example."

    @rpc
    def plain(self) -> None: ...

    @rpc("own.uri", match="prefix", invoke="single", concurrency=2, expected=KeyError)
    async def full(self) -> None: ...

    @subscribe("a.topic", match="wildcard")
    @subscribe("b.topic")
    def heard(self) -> None: ...

    @every("500ms")
    def tick(self) -> None: ...

    @healthcheck
    def check(self) -> bool:
        return True

    def no_entry_point(self) -> None: ...


class Derived(Base):
    def plain(self) -> None: ...

    tick = None  # type: ignore[assignment]

    @rpc
    @staticmethod
    def static() -> None: ...


def test_procedures() -> None:
    assert procedures_of(Base) == [
        ("com.example.plain", "plain", Procedure(None, "exact", None, None, ())),
        ("own.uri", "full", Procedure("own.uri", "prefix", "single", 2, (KeyError,))),
    ]
    assert procedures_of(Base)[1][2].options() == {"match": "prefix", "invoke": "single"}
    assert procedures_of(Base)[0][2].options() == {}


def test_topics() -> None:
    assert topics_of(Base) == [
        ("a.topic", "heard", Topic("a.topic", "wildcard")),
        ("b.topic", "heard", Topic("b.topic", "exact")),
    ]
    assert [topic.options() for _, _, topic in topics_of(Base)] == [{"match": "wildcard"}, {}]


def test_timers_and_checks() -> None:
    rest = [entry for _, entry in entrypoints_of(Base) if isinstance(entry, Timer | HealthCheck)]
    assert rest == [Timer(0.5), HealthCheck()]


def test_a_subclass_overrides_with_or_without_a_decorator() -> None:
    names = [name for name, _ in entrypoints_of(Derived)]
    assert "plain" in names
    assert "tick" not in names
    assert "static" in names


def test_decorators_change_nothing_else() -> None:
    def function() -> int:
        return 3

    assert rpc(function) is function
    assert function() == 3


@pytest.mark.parametrize(
    "use",
    [
        lambda: rpc(3),  # type: ignore[call-overload]
        lambda: rpc("a", match="some"),  # type: ignore[call-overload]
        lambda: rpc("a", invoke="all"),  # type: ignore[call-overload]
        lambda: rpc("a", concurrency=0),
        lambda: rpc("a", expected="KeyError"),  # type: ignore[call-overload]
        lambda: subscribe(print),  # type: ignore[arg-type]
        lambda: subscribe("a", match="some"),  # type: ignore[arg-type]
        lambda: every("soon"),
        lambda: every(0),
        lambda: healthcheck("a"),  # type: ignore[type-var]
        lambda: rpc("a")(3),  # type: ignore[type-var]
    ],
)
def test_nonsense_is_refused_at_once(use: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        use()
