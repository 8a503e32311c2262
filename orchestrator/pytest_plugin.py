"""The fixture ``wampy_stack``, for who tests a whole stack.

pytest finds it by itself where wampy is installed. Imports next to nothing until it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from orchestrator import Stack

_MANIFEST = "wampy_manifest"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the ini file say which manifest ``wampy_stack`` starts."""
    parser.addini(
        _MANIFEST,
        "The manifest that the fixture wampy_stack starts, relative to the root of the tests.",
        default="wampy.toml",
    )


@pytest.fixture(scope="session")
def wampy_stack(pytestconfig: pytest.Config) -> Iterator[Stack]:
    """The stack of the manifest that the ini option ``wampy_manifest`` names, for all tests.

    All its Instances are ready before the first test that uses it, and gone after the last one.
    """
    from orchestrator import Stack

    path = Path(pytestconfig.getini(_MANIFEST))
    with Stack.from_manifest(pytestconfig.rootpath / path) as stack:
        yield stack
