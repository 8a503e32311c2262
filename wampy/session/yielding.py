"""Handlers that yield: run to their end, part by part, wherever they run.

Each of the three gives every part to a Taker, which says, by raising, whether to go on, and at the
end what the whole is. The generator is closed in any case, so that its ``finally`` has run when
its caller is answered.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any


class Taker:
    """Takes what a handler yields; this one wants nothing of it."""

    __slots__ = ()

    def take(self, part: Any) -> None:
        """Take a part; what this raises ends the generator."""

    async def turn(self) -> None:
        """Let others have the loop, after each part."""
        import asyncio  # which is there, where this is called

        await asyncio.sleep(0)

    def result(self, returned: Any) -> Any:
        """Give what the whole comes to, for what the generator returned."""
        return returned


def exhaust(parts: Generator[Any, Any, Any], taker: Taker) -> Any:
    """Run a generator in this thread."""
    try:
        while True:
            try:
                part = next(parts)
            except StopIteration as end:
                return taker.result(end.value)
            taker.take(part)
    finally:
        parts.close()


async def exhaust_in_turns(parts: Generator[Any, Any, Any], taker: Taker) -> Any:
    """Run a generator in an event loop, which gets a turn after each part."""
    try:
        while True:
            try:
                part = next(parts)
            except StopIteration as end:
                return taker.result(end.value)
            taker.take(part)
            await taker.turn()
    finally:
        parts.close()


async def exhaust_async(parts: AsyncGenerator[Any, Any], taker: Taker) -> Any:
    """Run an asynchronous generator; the loop gets a turn even where it awaits nothing."""
    try:
        async for part in parts:
            taker.take(part)
            await taker.turn()
    finally:
        await parts.aclose()
    return taker.result(None)
