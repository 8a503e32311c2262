"""Drives a Jupyter kernel: ``python -m tests.integration.wampy.notebook what url folder``.

In a process of its own, since jupyter_client leaves event loops behind that it never closes.
"""

from __future__ import annotations

import os
import secrets
import sys
import threading
from typing import Any

from jupyter_client.manager import KernelManager

from tests.support import TIME_SCALE
from wampy import Session


class Kernel:
    """A kernel of this interpreter; one cell at a time."""

    def __init__(self, folder: str) -> None:
        self._manager: Any = KernelManager()
        self._manager.start_kernel(cwd=folder)
        self._client: Any = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60 * TIME_SCALE)

    def run(self, code: str) -> str:
        """Run a cell; give what it printed and its value, or what it raised."""
        said: list[str] = []

        def hear(message: Any) -> None:
            content = message["content"]
            match message["msg_type"]:
                case "stream" if content["name"] == "stdout":
                    said.append(content["text"])
                case "execute_result":
                    said.append(content["data"]["text/plain"])
                case "error":
                    said.append(f"{content['ename']}: {content['evalue']}")

        self._client.execute_interactive(code, timeout=30 * TIME_SCALE, output_hook=hear)
        return "".join(said).strip()

    def interrupt(self) -> None:
        """Do what the button with the square does."""
        self._manager.interrupt_kernel()

    def end(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


def both_kinds(kernel: Kernel, url: str, prefix: str) -> None:
    """A blocking Session works in the thread of a running loop, and AsyncSession beside it."""
    add = f"{prefix}add"
    assert kernel.run("import asyncio; asyncio.get_running_loop().is_running()") == "True"
    kernel.run(
        "from wampy import AsyncSession, Session\n"
        f"session = Session({url!r}, timeout=10.0)\n"
        "session.begin()\n"
        f"registration = session.register({add!r}, lambda a, b: a + b)"
    )
    assert kernel.run(f"session.call({add!r}, 1, 2)") == "3"
    assert kernel.run(f"session.call_async({add!r}, 3, 4).result()") == "7"
    assert kernel.run(f"with Session({url!r}) as one: print(one.call({add!r}, 5, 6))") == "11"
    # In a cell of its own: a connection is of the loop, which goes on between the cells.
    kernel.run(f"other = AsyncSession({url!r}, timeout=10.0)\nawait other.begin()")
    assert kernel.run(f"await other.call({add!r}, 7, 8)") == "15"
    code = f"async with AsyncSession({url!r}) as one: print(await one.call({add!r}, 9, 1))"
    assert kernel.run(code) == "10"
    said = kernel.run("session.call('com.example.none')")
    assert said.startswith("NoSuchProcedure: ")
    kernel.run("await other.end()\nsession.end()")
    assert kernel.run("session.is_joined, other.is_joined") == "(False, False)"


def interrupt(kernel: Kernel, url: str, prefix: str) -> None:
    """An interrupt gives up the call that blocks; the next one is answered."""
    is_over = threading.Event()

    def block() -> None:
        kernel.interrupt()
        is_over.wait(30 * TIME_SCALE)

    with Session(url, timeout=10.0) as callee:
        callee.register(f"{prefix}block", block)
        callee.register(f"{prefix}echo", lambda value: value)
        kernel.run(
            f"from wampy import Session\nsession = Session({url!r}, timeout=20.0)\nsession.begin()"
        )
        for turn in range(3):
            assert kernel.run(f"session.call('{prefix}block')").startswith("KeyboardInterrupt")
            is_over.set()
            assert kernel.run(f"session.call('{prefix}echo', {turn}, timeout=10.0)") == str(turn)
            is_over.clear()
        kernel.run("session.end()")


def main(what: str, url: str, folder: str) -> None:
    """Run one of the two, in a kernel that leaves nothing outside the folder."""
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        os.environ[name] = os.path.join(folder, name.lower())
    kernel = Kernel(folder)
    try:
        story = {"both": both_kinds, "interrupt": interrupt}[what]
        story(kernel, url, f"com.example.notebook{secrets.token_hex(4)}.")
    finally:
        kernel.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
