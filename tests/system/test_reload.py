"""Changes of a stack that runs: scale, reload, strategies, limits; over the built-in Router."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import wampy
from tests.support import TIME_SCALE, wait_until
from tests.system.conftest import STEADY, RunningStack, StackMaker
from wampy.errors import WampyError

#: Two Peers; each has a module of its own, and a third that both import.
TWO = """
[peers.first]
app = "first:First"
replicas = 2
config = { word = "a" }
[peers.second]
app = "second:Second"
"""
FIRST = """
import os
from wampy import Peer, rpc
from common import VERSION

class First(Peer):
    prefix = "PREFIX.first."
    @rpc
    def tell(self):
        import late
        return {"pid": os.getpid(), "version": VERSION, "own": 1, "late": late.VALUE,
                "word": self.config["word"]}
"""
SECOND = """
import os
from wampy import Peer, rpc
import common

class Second(Peer):
    prefix = "PREFIX.second."
    @rpc
    def tell(self):
        return {"pid": os.getpid(), "version": common.VERSION}
"""
MODULES = {"first": FIRST, "second": SECOND, "common": "VERSION = 1\n", "late": "VALUE = 1\n"}


def pids(stack: RunningStack) -> dict[str, int]:
    return {row["instance"]: row["pid"] for row in stack.ps()["instances"]}


def edit(stack: RunningStack, file: str, old: str, new: str) -> None:
    path = stack.folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def reload(stack: RunningStack, *options: str, code: int = 0) -> dict[str, Any]:
    result = stack.wampy("reload", "--json", *options)
    assert result.returncode == code, result.stderr + result.stdout + stack.log()
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def tell(stack: RunningStack, peer: str) -> dict[str, Any]:
    """Ask a Peer; one with a single Instance is away for a moment when it is restarted."""
    told: dict[str, Any] = {}

    def has_told() -> bool:
        with contextlib.suppress(wampy.NoSuchProcedure):
            told.update(session.call(f"com.test.{stack.name}.{peer}.tell"))
        return bool(told)

    with stack.session() as session:
        wait_until(has_told)
    return told


# ---------------------------------------------------------------------- scale


def test_scale_up_and_down_to_nothing_and_back(make_stack: StackMaker) -> None:
    stack = make_stack(STEADY).up()
    for count in (3, 1, 0, 2):
        result = stack.wampy("scale", f"echo={count}")
        assert result.returncode == 0, result.stderr
        rows = stack.ps()["instances"]
        assert [row["instance"] for row in rows] == [f"echo:{n}" for n in range(count)]
        assert all(row["ready"] for row in rows)
    with stack.session() as session:
        seen = {session.call(f"com.test.{stack.name}.pid") for _ in range(8)}
    assert seen == set(pids(stack).values())


def test_scale_refuses_what_cannot_be(make_stack: StackMaker) -> None:
    single = PEER_SINGLE
    stack = make_stack('[peers.one]\napp = "one:One"\n', {"one": single}).up()
    result = stack.wampy("scale", "one=2")
    assert result.returncode == 2
    assert 'invoke="single"' in result.stderr
    assert stack.wampy("scale", "nobody=2").returncode == 2
    assert stack.wampy("scale", "one=-1").returncode == 2
    assert stack.wampy("scale", "one=x").returncode == 2
    assert len(stack.ps()["instances"]) == 1


PEER_SINGLE = """
from wampy import Peer, rpc
class One(Peer):
    @rpc("PREFIX.one", invoke="single")
    def one(self):
        return 1
"""


def test_up_may_scale(make_stack: StackMaker) -> None:
    stack = make_stack(STEADY)
    result = stack.wampy("up", "-d", "--scale", "echo=3")
    assert result.returncode == 0, result.stderr
    assert len(stack.ps()["instances"]) == 3


# ---------------------------------------------------------------------- reload: what changed


def test_nothing_changed_nothing_touched(make_stack: StackMaker) -> None:
    stack = make_stack(TWO, MODULES).up()
    before = pids(stack)
    os.utime(stack.folder / "first.py")
    os.utime(stack.folder / "common.py")
    assert reload(stack)["plan"] == []
    assert pids(stack) == before
    assert stack.wampy("reload").stdout == "nothing has changed\n"


@pytest.mark.parametrize(
    ("file", "old", "new", "touched"),
    [
        ("second.py", "os.getpid()", "os.getpid() + 0", ["second:0"]),
        ("first.py", '"own": 1', '"own": 2', ["first:0", "first:1"]),
        ("common.py", "1", "2", ["first:0", "first:1", "second:0"]),
        ("wampy.toml", '"a"', '"b"', ["first:0", "first:1"]),
    ],
)
def test_only_what_changed_is_restarted(
    make_stack: StackMaker, file: str, old: str, new: str, touched: list[str]
) -> None:
    stack = make_stack(TWO, MODULES).up()
    before = pids(stack)
    edit(stack, file, old, new)
    dry = reload(stack, "--dry-run")
    assert pids(stack) == before
    answer = reload(stack)
    assert answer["plan"] == dry["plan"]
    assert [change["target"] for change in answer["plan"]] == touched
    why = "config" if file == "wampy.toml" else f"code: {file}"
    assert {change["reason"] for change in answer["plan"]} == {why}
    after = pids(stack)
    assert [name for name in before if before[name] != after[name]] == touched
    assert reload(stack)["plan"] == []


def test_what_is_imported_within_a_function_counts_too(make_stack: StackMaker) -> None:
    stack = make_stack(TWO, MODULES).up()
    assert tell(stack, "first")["late"] == 1
    edit(stack, "late.py", "1", "22")
    reload(stack)
    assert tell(stack, "first")["late"] == 22


def test_new_code_and_new_configuration_arrive(make_stack: StackMaker) -> None:
    stack = make_stack(TWO, MODULES).up()
    edit(stack, "common.py", "1", "2")
    edit(stack, "wampy.toml", '"a"', '"b"')
    reload(stack)
    told = tell(stack, "first")
    assert (told["version"], told["word"]) == (2, "b")
    assert tell(stack, "second")["version"] == 2


def test_a_peer_that_failed_keeps_the_code_of_its_siblings(make_stack: StackMaker) -> None:
    stack = make_stack(TWO, MODULES).up()
    edit(stack, "common.py", "1", "2")
    pid = stack.pid("second:0")
    os.kill(pid, signal.SIGKILL)
    stack.wait_ready("second:0", but_not=pid)
    assert tell(stack, "second")["version"] == 1
    assert stack.wampy("scale", "first=3").returncode == 0
    with stack.session() as session:
        uri = f"com.test.{stack.name}.first.tell"
        assert {session.call(uri)["version"] for _ in range(9)} == {1}


def test_peers_come_and_go_and_change_their_number(make_stack: StackMaker) -> None:
    stack = make_stack(TWO, MODULES).up()
    before = pids(stack)
    edit(stack, "wampy.toml", "replicas = 2", "replicas = 3")
    edit(stack, "wampy.toml", "[peers.second]", "[peers.third]")
    answer = reload(stack)
    assert [(c["action"], c["target"]) for c in answer["plan"]] == [
        ("stop", "second:0"), ("start", "first:2"), ("start", "third:0"),
    ]  # fmt: skip
    after = pids(stack)
    assert list(after) == ["first:0", "first:1", "first:2", "third:0"]
    assert after["first:0"] == before["first:0"]
    assert all(row["ready"] for row in stack.ps()["instances"])


def test_what_only_the_orchestrator_uses_is_taken_over_as_it_is(make_stack: StackMaker) -> None:
    stack = make_stack(TWO, MODULES).up()
    before = pids(stack)
    (stack.folder / "wampy.toml").write_text(
        (stack.folder / "wampy.toml").read_text() + 'restart = "never"\n'
    )
    answer = reload(stack)
    assert answer["plan"] == [{"action": "update", "target": "second", "reason": "restart"}]
    assert pids(stack) == before
    os.kill(before["second:0"], signal.SIGKILL)
    wait_until(lambda: stack.row("second:0")["state"] == "EXITED")


def test_a_fatal_peer_gets_another_chance_with_new_code(make_stack: StackMaker) -> None:
    broken = "from wampy import Peer\nclass Bad(Peer):\n    def on_start(self):\n"
    broken += "        raise SystemExit(78)\n"
    stack = make_stack('[peers.bad]\napp = "bad:Bad"\n', {"bad": broken})
    assert stack.wampy("up", "-d").returncode == 3
    edit(stack, "bad.py", "raise SystemExit(78)", "pass")
    reload(stack)
    assert stack.row("bad:0")["ready"]


# ---------------------------------------------------------------------- reload: what is broken


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("wampy.toml", "replicas = 2", "replicas = 'two'", "replicas: expected an integer"),
        ("wampy.toml", "[peers.second]", "[peers.second", "not TOML"),
        ("first.py", "class First(Peer):", "class First(Peer:", "SyntaxError"),
        ("common.py", "VERSION = 1", "raise RuntimeError('no')", "RuntimeError: no"),
        ("wampy.toml", '"second:Second"', '"second:Third"', "second has no Third"),
        ("second.py", '"PREFIX.second."', '"PREFIX.first."', "declares already"),
        ("wampy.toml", "[router]\nport = 0", '[router]\nport = 0\npath = "/x"', "[router] path"),
    ],
)
def test_what_is_broken_changes_nothing(
    make_stack: StackMaker, file: str, old: str, new: str, said: str
) -> None:
    stack = make_stack(TWO, MODULES).up()
    before = pids(stack)
    prefix = f"com.test.{stack.name}"
    edit(stack, file, old.replace("PREFIX", prefix), new.replace("PREFIX", prefix))
    for options in ((), ("--dry-run",)):
        result = stack.wampy("reload", *options)
        assert result.returncode == 2
        assert said in result.stderr
        assert "Traceback" not in result.stderr
    if file != "wampy.toml":
        assert pids(stack) == before
    edit(stack, file, new.replace("PREFIX", prefix), old.replace("PREFIX", prefix))
    assert reload(stack)["plan"] == []
    assert pids(stack) == before


def test_a_second_up_reloads(make_stack: StackMaker) -> None:
    stack = make_stack(TWO, MODULES).up()
    before = pids(stack)
    edit(stack, "common.py", "1", "2")
    edit(stack, "wampy.toml", "replicas = 2", "replicas = 3")
    result = stack.wampy("up", "-d")
    assert result.returncode == 0, result.stderr
    after = pids(stack)
    assert len(after) == 4
    assert not set(after.values()) & set(before.values())


# ---------------------------------------------------------------------- nothing is lost


class Callers:
    """Threads that call all the time; what came of it."""

    def __init__(self, stack: RunningStack) -> None:
        self.errors: list[str] = []
        self.calls = 0
        self._stack = stack
        self._is_over = threading.Event()

    def run(self, procedure: str, *args: Any, pause_s: float) -> None:
        with self._stack.session() as session:
            while not self._is_over.is_set():
                try:
                    session.call(procedure, *args, timeout=20.0 * TIME_SCALE)
                except WampyError as error:
                    self.errors.append(f"{type(error).__name__}: {error}")
                self.calls += 1
                time.sleep(pause_s)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        prefix = f"com.test.{self._stack.name}"
        kinds = [(f"{prefix}.echo", (1,), 0.002)] * 2 + [(f"{prefix}.slow", (0.3,), 0.0)] * 2
        threads = [
            threading.Thread(target=self.run, args=(uri, *args), kwargs={"pause_s": pause_s})
            for uri, args, pause_s in kinds
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join(30 * TIME_SCALE)


def test_no_call_is_lost_by_what_is_planned(make_stack: StackMaker) -> None:
    stack = make_stack(STEADY + "replicas = 2\nmax_calls = 2000\n").up()
    callers = Callers(stack)
    with callers.at_work():
        for number in range(3):
            assert stack.wampy("restart", "echo").returncode == 0
            assert stack.wampy("scale", "echo=4").returncode == 0
            assert stack.wampy("scale", "echo=2").returncode == 0
            edit(stack, "peers.py", "class Echo", f"VERSION{number} = 1\n\n\nclass Echo")
            assert reload(stack)["plan"]
    assert callers.errors == []
    assert callers.calls > 300


def test_who_has_served_enough_is_replaced_and_no_call_is_lost(make_stack: StackMaker) -> None:
    stack = make_stack(STEADY + "replicas = 2\nmax_calls = 300\n").up()
    before = set(pids(stack).values())
    callers = Callers(stack)
    with callers.at_work():
        wait_until(lambda: not before & set(pids(stack).values()), 30 * TIME_SCALE)
    assert callers.errors == []
    assert "max_calls 300): replaced" in stack.log()


def test_memory_and_age_are_limits_too(make_stack: StackMaker) -> None:
    stack = make_stack(STEADY + 'max_age = "2s"\n').up()
    pid = stack.pid("echo:0")
    stack.wait_ready("echo:0", but_not=pid)
    assert "(max_age 2 s): replaced" in stack.log()
    greedy = make_stack(STEADY + 'max_memory = "1MiB"\n').up()
    pid = greedy.pid("echo:0")
    greedy.wait_ready("echo:0", but_not=pid)
    assert "(max_memory 1.0 MiB): replaced" in greedy.log()


# ---------------------------------------------------------------------- strategies


THREE = (
    STEADY
    + """
[peers.next]
app = "peers:Echo"
depends_on = ["echo"]
[peers.last]
app = "peers:Echo"
"""
)


@pytest.mark.parametrize(
    ("strategy", "replaced"),
    [
        ("one_for_one", {"next:0"}),
        ("rest_for_one", {"next:0", "last:0"}),
        ("one_for_all", {"echo:0", "next:0", "last:0"}),
    ],
)
def test_who_is_restarted_with_whom(
    make_stack: StackMaker, strategy: str, replaced: set[str]
) -> None:
    three = THREE.replace("peers:Echo", "more:Next", 2).replace("more:Next", "peers:Echo", 1)
    modules = {
        "more": "from wampy import Peer\nclass Next(Peer):\n    pass\n",
    }
    three = three.replace('[peers.last]\napp = "peers:Echo"', '[peers.last]\napp = "more:Next"')
    stack = make_stack(three, modules, stack=f'strategy = "{strategy}"').up()
    before = pids(stack)
    os.kill(before["next:0"], signal.SIGKILL)

    def all_ready() -> bool:
        rows = stack.ps()["instances"]
        changed = {row["instance"] for row in rows if row["pid"] != before[row["instance"]]}
        return changed == replaced and all(row["ready"] for row in rows)

    wait_until(all_ready, 20 * TIME_SCALE)


# ---------------------------------------------------------------------- watching


def test_watching_takes_over_each_save_and_survives_broken_ones(make_stack: StackMaker) -> None:
    stack = make_stack(TWO, MODULES)
    assert stack.wampy("up", "-d", "--watch").returncode == 0
    assert stack.ps()["watching"]
    before = pids(stack)
    edit(stack, "common.py", "1", "2")
    wait_until(lambda: tell(stack, "second")["version"] == 2)
    wait_until(lambda: not set(before.values()) & set(pids(stack).values()))
    between = pids(stack)
    # A save that is broken: told, and nothing is touched.
    edit(stack, "second.py", "class Second(Peer):", "class Second(Peer:")
    wait_until(lambda: "SyntaxError" in stack.log())
    assert pids(stack) == between
    edit(stack, "second.py", "class Second(Peer:", "class Second(Peer):")
    edit(stack, "wampy.toml", "replicas = 2", "replicas = 1")
    wait_until(lambda: len(pids(stack)) == 2)
    assert pids(stack) == {name: between[name] for name in ("first:0", "second:0")}


def test_a_watcher_that_dies_is_replaced(make_stack: StackMaker) -> None:
    stack = make_stack(TWO, MODULES)
    assert stack.wampy("up", "-d", "--watch").returncode == 0
    os.kill(stack.child_named("orchestrator.watcher"), signal.SIGKILL)
    wait_until(lambda: "the watcher ended" in stack.log())
    time.sleep(1.5)
    wait_until(lambda: stack.child_named("orchestrator.watcher"))
    edit(stack, "common.py", "1", "2")

    def has_arrived() -> bool:
        (stack.folder / "common.py").touch()
        return bool(tell(stack, "second")["version"] == 2)

    wait_until(has_arrived)
    assert stack.wampy("down").returncode == 0
    stack.wait_gone()


def test_a_burst_of_saves_is_one_reload(make_stack: StackMaker) -> None:
    stack = make_stack(TWO, MODULES)
    assert stack.wampy("up", "-d", "--watch").returncode == 0
    for number in range(2, 12):
        (stack.folder / "common.py").write_text(f"VERSION = {number}\n")
        time.sleep(0.01)
    wait_until(lambda: tell(stack, "second")["version"] == 11)
    assert stack.log().count("reload: restart second:0") <= 2
