"""Clock over a real Router."""

from __future__ import annotations

from datetime import UTC, datetime

from services.clock import Clock
from tests.support import wait_until


def test_now_is_the_time(start, client):
    start(Clock)
    before = datetime.now(UTC).replace(microsecond=0)
    now = datetime.fromisoformat(client.call("com.example.clock.now"))
    assert before <= now <= datetime.now(UTC)
    assert now.tzinfo is not None


def test_ticks_come(start, client):
    ticks: list[str] = []
    client.subscribe("com.example.clock.tick", ticks.append)
    start(Clock)
    wait_until(lambda: len(ticks) >= 2, timeout_s=10)
    assert datetime.fromisoformat(ticks[0]) < datetime.fromisoformat(ticks[1])
