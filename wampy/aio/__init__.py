"""The client for asyncio: the same protocol, handlers' rules and names as ``wampy.session``."""

from wampy.aio.session import AsyncSession

__all__ = ["AsyncSession"]
