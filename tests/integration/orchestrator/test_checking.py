"""What can be wrong with the code of Peers, found in a process of its own."""

from __future__ import annotations

import sys
import textwrap

import pytest

from orchestrator import checking
from orchestrator.checking import AppFault, check_app, check_apps, find_clashes
from orchestrator.manifest import load_manifest

GOOD = """
from wampy.entrypoints import rpc, subscribe
from wampy.peer import Peer

class Good(Peer):
    prefix = "com.example."
    class Config:
        path: str
        size: int = 3
    @rpc
    def find(self, text): ...
    @subscribe("com.example.changed")
    def changed(self, key): ...

class Other(Peer):
    @rpc("com.example.find")
    def find(self, text): ...

class Single(Peer):
    @rpc("com.example.one", invoke="single")
    def one(self): ...

class Job(Peer):
    def run(self): ...

class NoPeer: ...

number = 3
"""


@pytest.fixture
def stack(tmp_path, monkeypatch):
    """Write modules and a manifest; give the faults that checking it finds."""

    def check(manifest: str, environ: dict[str, str] | None = None, **modules: str) -> list[str]:
        for name, source in {"good": GOOD, **modules}.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        path = tmp_path / "wampy.toml"
        path.write_text(textwrap.dedent(manifest))
        faults = check_apps(load_manifest(path, environ or {}))
        return [str(fault).removeprefix(f"{tmp_path}/") for fault in faults]

    return check


def peer(app: str, extra: str = "") -> str:
    return f'[peers.a]\napp = "{app}"\n{extra}\n'


def test_a_right_stack_has_no_faults(stack):
    manifest = peer("good:Good", "config = { path = 'x' }") + (
        "[peers.job]\napp = 'good:Job'\nkind = 'job'\nenv = { A = 'b' }\n"
    )
    assert stack(manifest) == []


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        ("nowhere:A", "app: there is no module nowhere (looked in "),
        ("god:Good", 'app: there is no module god; did you mean "good"? (looked in '),
        ("json.nowhere:A", "app: there is no module json.nowhere"),
        ("good:Goood", 'app: good has no Goood; did you mean "Good"?'),
        ("good:Zzz", "app: good has no Zzz; its Peers: Good, Other, Single, Job"),
        ("good:NoPeer", "app: good:NoPeer is a class, but no wampy.Peer; its Peers: Good"),
        ("good:number", "app: good:number is a int, but no wampy.Peer"),
    ],
)
def test_an_app_that_is_not_there_or_no_peer(stack, app, expected):
    (fault,) = stack(peer(app))
    assert fault.startswith(f"wampy.toml:2: [peers.a] {expected}")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1\ndef f(:\n", "bad.py:2: SyntaxError: invalid syntax"),
        ("\n\n1 / 0\n", "bad.py:3: ZeroDivisionError: division by zero"),
        ("import no_such_thing\n", "bad.py:1: no module no_such_thing, which bad imports"),
        ("from good import nothing\n", "bad.py:1: ImportError: cannot import name 'nothing'"),
        ("raise SystemExit(4)\n", "bad.py:1: SystemExit: 4"),
        ("raise KeyboardInterrupt\n", "bad.py:1: KeyboardInterrupt"),
        ("import os\nos._exit(7)\n", "importing it ends the process with exit code 7"),
        (
            "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
            "importing it ends the process by SIGKILL",
        ),
    ],
)
def test_a_module_that_cannot_be_imported(stack, source, expected):
    manifest = peer("bad:A") + "[peers.z]\napp = 'good:Nope'\n"
    first, second = stack(manifest, bad=source)
    assert first.startswith(f"wampy.toml:2: [peers.a] app: {expected}")
    # One bad module keeps no other from being checked.
    assert second.startswith("wampy.toml:5: [peers.z] app: good has no Nope")


def test_a_module_that_blocks_is_given_up(stack, monkeypatch):
    monkeypatch.setattr(checking, "IMPORT_TIMEOUT_S", 0.5)
    first, second = stack(
        peer("bad:A") + "[peers.z]\napp = 'good:Nope'\n", bad="import time\ntime.sleep(1000)\n"
    )
    assert first == "wampy.toml:2: [peers.a] app: importing it takes longer than 0.5 s"
    assert "[peers.z]" in second


def test_output_and_threads_of_an_import_disturb_nothing(stack):
    source = """
    import sys, threading, time
    print("{}"); print("x", file=sys.stderr); sys.stdin.read()
    threading.Thread(target=time.sleep, args=(1000,)).start()
    from good import Job
    """
    assert stack(peer("noisy:Job"), noisy=source) == []


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("config = {}", "wampy.toml:3: [peers.a] config.path: required, and not given"),
        ("config = { path = 3 }", "wampy.toml:3: [peers.a] config.path: expected `str`, got `int`"),
        (
            "config = { path = 'x', sise = 3 }",
            "wampy.toml:3: [peers.a] config.sise: unknown key; known: path, size",
        ),
    ],
)
def test_a_wrong_config_is_placed_on_its_key(stack, config, expected):
    assert stack(peer("good:Good", config)) == [expected]


def test_a_job_needs_run(stack):
    (fault,) = stack(peer("good:Other", "kind = 'job'"))
    assert fault == "wampy.toml:2: [peers.a] app: good:Other has no run(), which a job needs"


def test_a_uri_that_two_peers_declare(stack):
    manifest = peer("good:Good", "config = { path = 'x' }") + "[peers.b]\napp = 'good:Other'\n"
    (fault,) = stack(manifest)
    assert fault == (
        "wampy.toml:5: [peers.b] app: declares com.example.find, which [peers.a] declares already"
    )


def test_single_registrations_with_replicas(stack):
    (fault,) = stack(peer("good:Single", "replicas = 2"))
    assert 'declares com.example.one with invoke="single", but has 2 replicas' in fault
    assert stack(peer("good:Single", "replicas = 1")) == []


def test_a_preloaded_module_that_is_not_there(stack):
    (fault,) = stack("[stack]\npreload = ['nowhere']\n" + peer("good:Job"))
    assert fault.startswith("wampy.toml:2: [stack] preload: there is no module nowhere")


def test_peers_are_imported_with_their_own_environment_and_folder(stack, tmp_path):
    (tmp_path / "sub").mkdir()
    source = """
    import os
    assert os.environ["KEY"] == "value", os.environ.get("KEY")
    assert os.environ["OUTER"] == "1"
    assert os.path.basename(os.getcwd()) == "sub"
    from good import Job
    """
    manifest = peer("env:Job", "env = { KEY = 'value' }\ncwd = 'sub'") + (
        "[peers.b]\napp = 'env:Job'\n"
    )
    (fault,) = stack(manifest, {"OUTER": "1"}, env=source)
    assert fault.startswith("wampy.toml:6: [peers.b] app: env.py:3: KeyError: 'KEY'")


def test_the_manifests_folder_goes_before_everything(stack):
    # A module of the standard library of the same name must not be found instead.
    assert stack(peer("antigravity:Job"), antigravity="from good import Job\n") == []


def test_checking_in_the_importing_process(tmp_path, monkeypatch):
    (tmp_path / "inproc_good.py").write_text(GOOD)
    monkeypatch.syspath_prepend(tmp_path)
    report = check_app("inproc_good:Good", {"path": "x"})
    assert report.cls.__name__ == "Good"
    assert report.procedures == ("com.example.find",)
    assert report.topics == ("com.example.changed",)
    assert report.single_procedures == ()
    with pytest.raises(AppFault) as caught:
        check_app("inproc_good:Good", {})
    assert caught.value.key == "config"
    del sys.modules["inproc_good"]


def test_clashes_are_found_between_any_two():
    assert find_clashes({"a": ["x", "y"], "b": ["z"], "c": ["y"]}, {"a": ["x"]}, {"a": 2}) == {
        "a": 'declares x with invoke="single", but has 2 replicas: only one of them could '
        "register it",
        "c": "declares y, which [peers.a] declares already",
    }
