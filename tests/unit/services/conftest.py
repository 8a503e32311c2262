"""A Session for Peers that are looked at without a Router."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


class FakeSession:
    """Notes what is published; answers calls by ``answer``; fails with ``failure`` if it is set."""

    def __init__(self) -> None:
        self.published: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.called: list[str] = []
        self.failure: Exception | None = None
        self.answer: Callable[..., Any] = lambda uri, *args, **kwargs: None

    def publish(self, topic: str, *args: Any, **kwargs: Any) -> None:
        if self.failure is not None:
            raise self.failure
        self.published.append((topic, args, kwargs))

    def call(self, uri: str, *args: Any, **kwargs: Any) -> Any:
        self.called.append(uri)
        if self.failure is not None:
            raise self.failure
        return self.answer(uri, *args, **kwargs)


@pytest.fixture
def session() -> FakeSession:
    return FakeSession()
