"""The guide's examples, run as they stand, over the built-in Router."""

from __future__ import annotations

import pytest

from tests.conftest import RealRouter
from tests.documents import DOCS, URL, run_document


@pytest.mark.parametrize(
    "name", ["calling", "serving", "publishing", "asyncio", "testing", "migrating"]
)
def test_the_examples_do_what_they_say(
    name: str, builtin_router: RealRouter, capsys: pytest.CaptureFixture[str]
) -> None:
    run_document(DOCS / f"{name}.md", {URL: builtin_router.url}, capsys)
