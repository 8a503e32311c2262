from __future__ import annotations

import pytest

from tests.unit.orchestrator.manifest.support import faults, load

PROGRAM = '[peers.node]\ncommand = ["node", "svc.js"]\n'


def test_a_program_and_all_that_may_be_said_of_it(tmp_path):
    manifest = load(
        tmp_path,
        """
[defaults]
concurrency = 4
limits = { core = 0 }
[peers.node]
command = ["./bin/node", "svc.js", ""]
provides = ["com.example.add"]
heartbeat_procedure = "com.example.{index}.beat"
replicas = 2
max_call_age = "1m"
limits = { nofile = 64, as = "1GiB", cpu = "unlimited" }
umask = "077"
""",
    )
    peer = manifest.peers["node"]
    assert peer.is_program
    assert peer.command == (str(tmp_path / "bin/node"), "svc.js", "")
    assert peer.provided() == ["com.example.add", "com.example.0.beat", "com.example.1.beat"]
    assert peer.heartbeat_of(1) == "com.example.1.beat"
    assert peer.limits == {"core": 0, "nofile": 64, "as": 2**30, "cpu": None}
    assert (peer.app, peer.spec.drains, peer.spec.max_call_age_s) == ("", False, 60.0)


def test_a_name_is_left_for_the_path_and_the_defaults_are_for_both_kinds(tmp_path):
    text = (
        '[defaults]\nqueue = 5\nprovides = ["a.b"]\nheartbeat_procedure = "a.c"\n'
        'max_call_age = 5\n[peers.app]\napp = "m:A"\n'
    )
    manifest = load(tmp_path, text + PROGRAM)
    assert manifest.peers["node"].command == ("node", "svc.js")
    app = manifest.peers["app"]
    assert (app.provides, app.heartbeat_procedure, app.provided()) == ((), None, [])


def test_without_a_heartbeat_procedure_no_call_has_an_age(tmp_path):
    manifest = load(tmp_path, "[defaults]\nmax_call_age = 5\n" + PROGRAM)
    assert manifest.peers["node"].spec.max_call_age_s is None


def test_numbers_of_a_limit_may_come_from_the_environment(tmp_path):
    text = PROGRAM + 'limits = { nofile = "${N}", as = "${S}" }\n'
    limits = load(tmp_path, text, {"N": "64", "S": "1024"}).peers["node"].limits
    assert limits == {"nofile": 64, "as": 1024}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("config = { a = 1 }", "config: expected only with app: a program is not told of it"),
        ("concurrency = 2", "concurrency: expected only with app"),
        ("queue = 2", "queue: expected only with app"),
        ("start_method = 'exec'", "start_method: expected only with app"),
        ("max_call_age = 3", "max_call_age: expected only with heartbeat_procedure"),
        ("heartbeat = { failures = 2 }", "heartbeat: expected only with provides or heartbeat_"),
        ("provides = ['a b']", "provides[0]: expected a URI"),
        ("provides = 'a.b'", "provides: expected a list of URIs"),
        ("heartbeat_procedure = 1", "heartbeat_procedure: expected a URI"),
        ("heartbeat_procedure = 'a.b'\nreplicas = 2", "expected {index} in it, since there are 2"),
        ("env = { WAMPY_TICKET = 'x' }", "env.WAMPY_TICKET: expected another name"),
    ],
)
def test_what_is_wrong_with_a_program(tmp_path, line, expected):
    found = faults(tmp_path, PROGRAM + line)
    assert len(found) == 1, found
    assert found[0].startswith("wampy.toml:3: [peers.node] ")
    assert expected in found[0]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("'node svc.js'", 'command: expected a program and its arguments, such as ["node"'),
        ("[]", "command: expected a program and its arguments"),
        ("['']", "command[0]: expected the name or path of a program"),
        ("['node', 1]", "command[1]: expected a string, got 1"),
        ('["node", "a\\u0000"]', "command[1]: expected a string"),
    ],
)
def test_what_is_wrong_with_a_command(tmp_path, command, expected):
    found = faults(tmp_path, f"[peers.node]\ncommand = {command}\n")
    assert len(found) == 1, found
    assert expected in found[0]


def test_a_command_is_no_default(tmp_path):
    found = faults(tmp_path, "[defaults]\ncommand = ['x']\n" + PROGRAM)
    assert found == ["wampy.toml:2: [defaults] command: not a default: it belongs to each "
                     "[peers.NAME]"]  # fmt: skip
