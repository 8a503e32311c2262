from __future__ import annotations

import pytest

from orchestrator.foreign import find_faults, program_environ
from orchestrator.limits import hard_limit
from orchestrator.router.principals import ANONYMOUS, Credential, member_of
from tests.unit.orchestrator.manifest.support import load


@pytest.mark.parametrize(
    ("url", "reached"),
    [
        ("ws://127.0.0.1:1/ws", "ws://127.0.0.1:1/ws"),
        ("ws://0.0.0.0:1/ws", "ws://127.0.0.1:1/ws"),
        ("wss://[::]:1/ws", "wss://[::1]:1/ws"),
        ("ws://router.example/ws", "ws://router.example/ws"),
        ("unix:///run/router.sock", "unix:///run/router.sock"),
    ],
)
def test_how_to_join(url, reached):
    environ = program_environ({"A": "1"}, url, "realm1", Credential("peer", "secret"))
    assert environ == {
        "A": "1",
        "WAMPY_URL": reached,
        "WAMPY_REALM": "realm1",
        "WAMPY_AUTHID": "peer",
        "WAMPY_TICKET": "secret",
    }


def test_how_to_join_by_another_method():
    credential = Credential("peer", "secret", "wampcra")
    environ = program_environ({"WAMPY_TICKET": "outer's"}, "ws://h:1/", "r", credential)
    assert environ == {
        "WAMPY_URL": "ws://h:1/",
        "WAMPY_REALM": "r",
        "WAMPY_AUTHID": "peer",
        "WAMPY_AUTHMETHOD": "wampcra",
        "WAMPY_SECRET": "secret",
    }


def test_who_joins_anonymously_is_not_told_of_somebody_elses_ticket():
    outer = {"WAMPY_AUTHID": "outer", "WAMPY_TICKET": "outer's"}
    environ = program_environ(outer, "ws://h:1/", "r", ANONYMOUS)
    assert environ == {"WAMPY_URL": "ws://h:1/", "WAMPY_REALM": "r"}


def test_members_have_tickets_of_their_own():
    family = Credential("peer", "secret")
    one, other = member_of(family, "a:0#1"), member_of(family, "a:0#2")
    assert one.authid == "peer:a:0#1"
    assert len({one.secret, other.secret, "secret"}) == 3


def test_what_this_machine_lacks(tmp_path):
    (tmp_path / "plain").write_text("")
    text = """
[peers.a]
command = ["no-such-program"]
[peers.b]
command = ["./plain"]
[peers.c]
command = ["./nothing"]
[peers.d]
command = ["sh"]
limits = { nofile = 4_000_000_000 }
"""
    manifest = load(tmp_path, text, {"PATH": "/usr/bin:/bin"})
    found = [str(fault).partition(": ")[2] for fault in find_faults(manifest)]
    assert found == [
        "[peers.a] command: expected a program, got no-such-program, which is not in PATH",
        f"[peers.b] command: expected a program, got {tmp_path}/plain, which may not be "
        "executed; chmod +x it",
        f"[peers.c] command: expected a program, got {tmp_path}/nothing, which is none",
        f"[peers.d] limits.nofile: expected {hard_limit('nofile')} at most, the hard limit of "
        "this process, got 4000000000; raise that first (ulimit -H), or ask for less",
    ]


def test_the_path_is_that_of_the_program(tmp_path):
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o700)
    text = f'[peers.a]\ncommand = ["tool"]\nenv = {{ PATH = "{tmp_path}" }}\n'
    assert find_faults(load(tmp_path, text, {"PATH": "/usr/bin"})) == []
