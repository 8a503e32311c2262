"""A put that was answered outlives ``kill -9`` of the process that answered."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from services.documents import DocumentStore
from services.store import Store
from tests.support import wait_until
from wampy import Session, WampyError

CHILD = """
import sys, threading
from services.store import Store
from wampy import Session
from wampy.host import PeerHost
host = PeerHost(Store.create(config={"path": sys.argv[2]}), Session(sys.argv[1]))
host.start(30.0)
print("ready", flush=True)
threading.Event().wait()
"""


def run_store(url: str, path: Path) -> subprocess.Popen[bytes]:
    child = subprocess.Popen([sys.executable, "-c", CHILD, url, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


def test_acknowledged_puts_survive_kill_9(builtin_router, tmp_path, start):
    path = tmp_path / "store.db"
    child = run_store(builtin_router.unix_url, path)
    acknowledged: dict[str, int] = {}
    lock = threading.Lock()

    def put(name: str) -> None:
        with Session(builtin_router.unix_url) as session:
            for n in range(100_000):
                key = f"{name}{n}"
                try:
                    answer = session.call("com.example.store.put", key, f"text of {key}", timeout=5)
                except WampyError:
                    return  # nobody answers any more
                with lock:
                    acknowledged[key] = answer["revision"]

    threads = [threading.Thread(target=put, args=(name,)) for name in "abcd"]
    try:
        for thread in threads:
            thread.start()
        wait_until(lambda: len(acknowledged) > 200, timeout_s=20)
        child.kill()  # in the middle of four puts
        for thread in threads:
            thread.join()
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()

    opened = DocumentStore(path)
    try:
        for key, revision in acknowledged.items():
            stored = opened.get(key)
            assert stored is not None, f"{key} was acknowledged and is lost"
            assert (stored.document.text, stored.revision) == (f"text of {key}", revision)
        # At most what was under way was kept without an answer.
        assert len(acknowledged) <= opened.revision <= len(acknowledged) + len(threads)
        newest = opened.revision
    finally:
        opened.close()

    # The Store that comes after goes on where the dead one was, though the Router may still hold
    # its registrations for a moment.
    start(Store, {"path": str(path)})
    with Session(builtin_router.unix_url) as session:
        key = next(iter(acknowledged))
        assert session.call("com.example.store.get", key)["text"] == f"text of {key}"
        assert session.call("com.example.store.put", "after", "x")["revision"] == newest + 1
