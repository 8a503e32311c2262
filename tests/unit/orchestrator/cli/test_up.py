from __future__ import annotations

import click
import pytest

from orchestrator.cli.scale import parse_scales


def test_scales():
    assert parse_scales(("a=1", "b=0")) == {"a": 1, "b": 0}
    for text in ("a", "=1", "a=x", "a=-1"):
        with pytest.raises(click.UsageError, match="expected NAME=N"):
            parse_scales((text,))
