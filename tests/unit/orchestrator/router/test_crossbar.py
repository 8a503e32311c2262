"""Plans for a Crossbar on a generated configuration."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import RouterUnavailable
from orchestrator.manifest.model import Manifest
from orchestrator.router import new_principals, plan_router, port_of

MakeManifest = Callable[..., Manifest]
pytestmark = pytest.mark.usefixtures("crossbar_program")


def test_it_starts_in_a_folder_of_its_own(
    make_manifest: MakeManifest, run_dir: Path, crossbar_program: Path
) -> None:
    """A module named ``socket`` in the user's folder must not be imported by Crossbar."""
    launch = plan_router(make_manifest(), new_principals(), 4711)
    folder = run_dir / "router"
    assert launch.cwd == folder
    assert launch.argv is not None
    assert launch.argv[:2] == (str(crossbar_program), "start")
    assert launch.argv[launch.argv.index("--cbdir") + 1] == str(folder)
    assert list(launch.files) == [folder / "config.json"]
    assert json.loads(launch.files[folder / "config.json"])["version"] == 2
    assert launch.env["PYTHONPATH"] == ""


def test_it_is_joined_on_the_unix_socket_and_told_as_websocket(
    make_manifest: MakeManifest, run_dir: Path
) -> None:
    principals = new_principals()
    launch = plan_router(make_manifest(realm="other"), principals, 4711)
    assert launch.stack_url == f"unix://{run_dir}/router.sock"
    assert launch.public_url == "ws://127.0.0.1:4711/ws"
    assert (launch.host, launch.port, launch.realm) == ("127.0.0.1", 4711, "other")
    assert launch.principals == principals


def test_an_ipv6_host_has_brackets_in_the_url(make_manifest: MakeManifest) -> None:
    launch = plan_router(make_manifest(host="::1"), new_principals(), 4711)
    assert launch.public_url == "ws://[::1]:4711/ws"


def test_it_is_interrupted_first_then_terminated(make_manifest: MakeManifest) -> None:
    launch = plan_router(make_manifest(stop_grace_s=3.0), new_principals(), 4711)
    assert launch.stop_steps == ((signal.SIGINT, 3.0), (signal.SIGTERM, 5.0))


def test_no_repr_shows_a_ticket(make_manifest: MakeManifest) -> None:
    principals = new_principals()
    launch = plan_router(make_manifest(), principals, 4711)
    assert principals.operator.secret is not None
    assert principals.operator.secret not in repr(launch)
    assert launch.argv is not None
    assert principals.operator.secret not in " ".join([*launch.argv, *launch.env.values()])


def test_a_command_of_the_user_s_is_found_from_the_manifest(
    make_manifest: MakeManifest, crossbar_program: Path
) -> None:
    manifest = make_manifest(command=(".venv-crossbar/bin/crossbar", "--personality", "x"))
    launch = plan_router(manifest, new_principals(), 4711)
    assert launch.argv is not None
    assert launch.argv[:4] == (str(crossbar_program), "--personality", "x", "start")


def test_a_command_is_found_on_path(make_manifest: MakeManifest, crossbar_program: Path) -> None:
    environ = {"PATH": str(crossbar_program.parent)}
    launch = plan_router(make_manifest(command=("crossbar",), environ=environ), new_principals(), 1)
    assert launch.argv is not None
    assert launch.argv[0] == str(crossbar_program)


@pytest.mark.parametrize("command", [("./nowhere",), ("no-such-program",)])
def test_a_command_that_is_none_is_an_error(
    make_manifest: MakeManifest, command: tuple[str, ...]
) -> None:
    manifest = make_manifest(command=command, environ={"PATH": "/nowhere"})
    with pytest.raises(RouterUnavailable, match=r"\[router\] command: .* is no program that can"):
        plan_router(manifest, new_principals(), 4711)


def test_no_crossbar_is_an_error_with_the_mend(make_manifest: MakeManifest) -> None:
    manifest = make_manifest(environ={"WAMPY_CROSSBAR": "/nowhere/crossbar"})
    with pytest.raises(RouterUnavailable, match=r"\[router\] \$WAMPY_CROSSBAR is '/nowhere"):
        plan_router(manifest, new_principals(), 4711)


@pytest.mark.parametrize("realm", ["r1", "1realm", "a b c", "x" * 300])
def test_a_realm_that_crossbar_refuses(make_manifest: MakeManifest, realm: str) -> None:
    with pytest.raises(RouterUnavailable, match=r"\[stack\] realm: Crossbar takes no realm"):
        plan_router(make_manifest(realm=realm), new_principals(), 4711)


def test_port_0_is_chosen(make_manifest: MakeManifest) -> None:
    assert port_of(make_manifest(port=0)) > 0
