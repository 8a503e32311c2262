from __future__ import annotations

from datetime import datetime

import click
import pytest

from orchestrator.cli.logs import parse_since


def test_since_is_a_duration_or_an_instant():
    assert parse_since("5m", 1000.0) == 700.0
    assert parse_since("10", 1000.0) == 990.0
    assert parse_since("1970-01-01T00:01:00+00:00", 1000.0) == 60.0
    local = datetime(2026, 1, 31, 12).timestamp()
    assert parse_since("2026-01-31T12:00:00", 1000.0) == local


@pytest.mark.parametrize("text", ["yesterday", "", "5 weeks", "2026-13-01"])
def test_everything_else_is_refused(text):
    with pytest.raises(click.UsageError, match="--since: expected a duration such as 5m"):
        parse_since(text, 1000.0)
