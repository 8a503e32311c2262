from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.core.spec import Backoff, Condition, HeartbeatPolicy, Kind, PeerSpec
from orchestrator.errors import ManifestError
from orchestrator.manifest import find_manifest, load_manifest
from orchestrator.manifest.model import RouterLimits, Tls
from tests.unit.orchestrator.manifest.support import PEER, faults, load, written


def test_the_defaults_are_those_of_the_contract(tmp_path):
    folder = tmp_path / "My Demo"
    folder.mkdir()
    manifest = load(folder, PEER, {"HOME": "/home"})
    assert manifest.root == folder
    assert manifest.stack.name == "my_demo"
    assert manifest.stack.realm == "realm1"
    assert manifest.stack.run_dir == folder / ".wampy"
    assert manifest.stack.on_fatal == "keep"
    assert manifest.logs.max_size_bytes == 10 * 1024**2
    assert (manifest.logs.keep, manifest.logs.format) == (5, "text")
    router = manifest.router
    assert (router.type, router.host, router.port, router.path) == (
        "builtin",
        "127.0.0.1",
        8080,
        "/ws",
    )
    assert (router.start_timeout_s, router.stop_grace_s) == (30.0, 25.0)
    assert router.anonymous == "anonymous"
    peer = manifest.peers["search"]
    assert peer.spec == PeerSpec("search")
    assert peer.app == "services.search:Search"
    assert (peer.concurrency, peer.queue, peer.start_method, peer.umask) == (8, 1000, "fork", None)
    assert peer.cwd == folder
    assert peer.line == 1
    assert manifest.environ == {"HOME": "/home"}


def test_every_key_is_read(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("")
    manifest = load(
        tmp_path,
        """
[stack]
name = "Shop-1"
realm = "com.shop"
run_dir = "/run/shop"
preload = ["json", "os.path"]
strategy = "one_for_one"
on_fatal = "stop"
debug = true
[logs]
max_size = "1MB"
keep = 0
format = "json"
[router]
host = "0.0.0.0"
port = 0
path = "/wamp"
insecure = true
tls = { certificate = "cert.pem", key = "key.pem" }
start_timeout = "1m"
stop_grace = 0
[router.auth]
anonymous = "off"
ticket = { alice = { role = "front", secret = "s3cret" } }
wampcra = { bob = { role = "front", secret = "b" } }
scram = { carol = { role = "front", secret = "c" } }
cryptosign = { dave = { role = "front", authorized_keys = ["PUBLIC"] } }
authorizer = "com.shop.authorize"
[[router.roles.front]]
uri = "com.shop."
match = "prefix"
allow = ["call", "subscribe"]
[router.limits]
message_size = "1MiB"
sessions = 5
pending_calls = 6
registrations = 7
join_timeout = "1s"
ping = { interval = "2s", timeout = "3s" }
queue = "2MiB"
slow_consumer = "close"
[peers.db]
app = "a.b:C.D"
kind = "job"
[peers.web]
app = "w:W"
replicas = 3
config = { size = 3, deep = { list = [1, "x"] } }
env = { KEY = "v" }
cwd = "sub"
depends_on = { db = "completed" }
profiles = []
concurrency = 2
queue = 0
start_method = "exec"
start_timeout = 5
stop_grace = "100ms"
restart = "on-failure"
success_exit_codes = [0, 3]
backoff = { initial = 1, factor = 3, max = "1m", jitter = 0, reset_after = 0 }
restart_limit = "off"
heartbeat = { interval = "1s", timeout = 0.5, failures = 1 }
max_call_age = "1h"
max_memory = "off"
umask = 0o027
""".replace("PUBLIC", "0f" * 32),
    )
    assert manifest.stack.name == "shop_1"
    assert manifest.stack.run_dir == Path("/run/shop")
    assert manifest.stack.preload == ("json", "os.path")
    assert manifest.stack.on_fatal == "stop"
    assert manifest.stack.debug
    assert manifest.logs.format == "json"
    assert manifest.router.tls == Tls(tmp_path / "cert.pem", tmp_path / "key.pem", None)
    assert manifest.router.wampcra["bob"].secret == "b"
    assert manifest.router.scram["carol"].role == "front"
    assert manifest.router.cryptosign["dave"].authorized_keys == ("0f" * 32,)
    assert manifest.router.authorizer == "com.shop.authorize"
    assert manifest.router.limits == RouterLimits(
        message_bytes=2**20,
        sessions=5,
        pending_calls=6,
        registrations=7,
        join_timeout_s=1.0,
        ping_interval_s=2.0,
        ping_timeout_s=3.0,
        queue_bytes=2**21,
        closes_slow=True,
    )
    assert manifest.router.tickets["alice"].role == "front"
    assert manifest.router.tickets["alice"].secret == "s3cret"
    assert manifest.router.roles["front"][0].allow == {"call", "subscribe"}
    assert manifest.peers["db"].spec.kind is Kind.JOB
    web = manifest.peers["web"]
    assert web.spec.depends_on == {"db": Condition.COMPLETED}
    assert web.spec.backoff == Backoff(1.0, 3.0, 60.0, 0.0, 0.0)
    assert web.spec.heartbeat == HeartbeatPolicy(1.0, 0.5, 1)
    assert web.spec.restart_limit is None
    assert web.spec.max_call_age_s == 3600.0
    assert web.spec.success_exit_codes == {0, 3}
    assert web.config == {"size": 3, "deep": {"list": [1, "x"]}}
    assert (web.env, web.cwd, web.umask) == ({"KEY": "v"}, tmp_path / "sub", 0o027)
    assert manifest.start_order() == ["db", "web"]
    assert manifest.with_dependencies(["web"]) == ["db", "web"]
    assert manifest.with_dependencies(["db"]) == ["db"]


def test_secrets_are_in_no_repr(tmp_path):
    manifest = load(
        tmp_path,
        PEER
        + 'config = { password = "s3cret" }\nenv = { TOKEN = "s3cret" }\n'
        + "[router.auth.ticket.alice]\nrole = 'anonymous'\nsecret = 's3cret'\n",
        {"SECRET": "s3cret"},
    )
    assert "s3cret" not in repr(manifest)


def test_defaults_merge_by_key_and_lists_replace(tmp_path):
    manifest = load(
        tmp_path,
        """
[defaults]
replicas = 2
env = { A = "1", B = "2" }
success_exit_codes = [0, 1]
heartbeat = { failures = 5 }
[peers.one]
app = "m:A"
[peers.two]
app = "m:B"
replicas = 1
env = { B = "3" }
success_exit_codes = [7]
heartbeat = { interval = "9s" }
""",
    )
    one, two = manifest.peers["one"], manifest.peers["two"]
    assert (one.spec.replicas, two.spec.replicas) == (2, 1)
    assert two.env == {"A": "1", "B": "3"}
    assert two.spec.success_exit_codes == {7}
    assert two.spec.heartbeat == HeartbeatPolicy(9.0, 2.0, 5)


def test_variables_come_from_the_environment_then_from_env_files(tmp_path):
    (tmp_path / ".env").write_text(
        "A=file\nB=file # comment\nexport C='see ${A} ${B}'\nN=3\nT=true\n"
    )
    (tmp_path / "more.env").write_text("B=later\n")
    manifest = load(
        tmp_path,
        PEER.replace("app", 'replicas = "${N}"\napp')
        + '[stack]\nenv_file = [".env", "${MORE}"]\ndebug = "${T}"\n'
        + '[router]\nport = "${PORT:-9000}"\n[logs]\nmax_size = "${SIZE:-10KiB}"\n'
        + "[peers.b]\napp = \"m:B\"\nconfig = { a = '${A}', b = '${B}', c = '${C}', n = '${N}', "
        "t = '${T}', m = 'n${N}', z = '${ZIP}', d = '$$x' }\n",
        {"A": "environ", "MORE": "more.env", "ZIP": "01234"},
    )
    assert manifest.peers["b"].config == {
        "a": "environ",
        "b": "later",
        "c": "see environ file",
        "n": 3,
        "t": True,
        "m": "n3",
        "z": "01234",
        "d": "$x",
    }
    assert manifest.peers["search"].spec.replicas == 3
    assert manifest.stack.debug is True
    assert manifest.router.port == 9000
    assert manifest.logs.max_size_bytes == 10240
    assert manifest.environ["A"] == "environ"
    assert manifest.environ["B"] == "later"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Syntax.
        ("[stack", "wampy.toml:1: not TOML: expected ']' at the end of a table declaration"),
        ("[stack]\nname = \n", "wampy.toml:2: not TOML: invalid value"),
        ("[stack]\nname = 1\nname = 2\n", "wampy.toml:3: not TOML: cannot overwrite a value"),
        ('x = """', "wampy.toml:1: not TOML: unterminated string"),
        # Empty.
        ("", "wampy.toml: expected at least one [peers.NAME], got none: there is nothing to run"),
        # The top.
        ("[pers.a]", 'wampy.toml:1: [pers]: unknown table; did you mean "peers"?'),
        ("stack = 3", "wampy.toml:1: [stack]: expected a table, got 3"),
        ("peers = []", "wampy.toml:1: [peers]: expected a table [peers.NAME] for each Peer, got a"),
        ("defaults = 1", "wampy.toml:1: [defaults]: expected a table, got 1"),
        # [stack]
        ("[stack]\nnam = 'x'", 'wampy.toml:2: [stack] nam: unknown key; did you mean "name"?'),
        ("[stack]\nzzz = 1", "wampy.toml:2: [stack] zzz: unknown key; known here: name, realm,"),
        ("[stack]\nname = ''", "wampy.toml:2: [stack] name: expected a name such as demo, got"),
        ("[stack]\nrealm = 'a b'", "wampy.toml:2: [stack] realm: expected a URI"),
        ("[stack]\nrun_dir = 3", "wampy.toml:2: [stack] run_dir: expected a string, got 3"),
        ("[stack]\nenv_file = '.env'", "[stack] env_file: expected a list of strings, got"),
        ("[stack]\nenv_file = ['no']", "[stack] env_file[0]: expected a dotenv file, cannot read"),
        ("[stack]\npreload = ['a b']", "[stack] preload[0]: expected the name of a module"),
        ("[stack]\nstrategy = 'all'", "[stack] strategy: expected"),
        ("[stack]\non_fatal = 'die'", '[stack] on_fatal: expected "keep" or "stop", got "die"'),
        ("[stack]\ndebug = 'yes'", '[stack] debug: expected true or false, got "yes"'),
        ("[stack]\nname = '${NOPE}'", "[stack] name: NOPE is not set"),
        # [logs]
        ("[logs]\nmax_size = '1 potato'", "[logs] max_size: expected a size such as"),
        ("[logs]\nmax_size = 0", "[logs] max_size: expected a size"),
        ("[logs]\nkeep = -1", "[logs] keep: expected an integer 0 to 1000, got -1"),
        ("[logs]\nformat = 'xml'", '[logs] format: expected "text" or "json", got "xml"'),
        # [router]
        ("[router]\ntype = 'nexus'", '[router] type: expected "builtin", "crossbar" or "external"'),
        ("[router]\nport = 65536", "[router] port: expected an integer 0 to 65535, got 65536"),
        ("[router]\nport = true", "[router] port: expected an integer 0 to 65535, got true"),
        ("[router]\nport = '8080'", '[router] port: expected an integer 0 to 65535, got "8080"'),
        ("[router]\npath = 'ws'", '[router] path: expected a path such as "/ws", got "ws"'),
        ("[router]\nhost = '0.0.0.0'", "[router] host: expected a loopback address such as 127.0"),
        ("[router]\nhost = 'a.example'", "[router] host: expected a loopback address"),
        ("[router]\ntls = { key = 'k' }", "[router] tls: expected a key certificate, which is"),
        (
            "[router]\ntls = { key = 'k', certificate = 'c' }",
            "[router] tls.certificate: expected a file, got",
        ),
        (
            "[router]\ntype = 'external'\ntls = { key = 'k', certificate = 'c' }",
            '[router] tls: expected only with type = "builtin", got "external"',
        ),
        (
            "[router]\ntype = 'crossbar'\nconfig = 'no.json'",
            "[router] config: expected a file, got",
        ),
        ("[router]\ncommand = []", "[router] command: expected a list of strings, got a list"),
        ("[router]\ncommand = [3]", "[router] command[0]: expected a string, got 3"),
        ("[router]\nurl = 'ws://a'", '[router] url: expected only with type = "external"'),
        ("[router]\ntype = 'external'", '[router]: expected a key url with type = "external"'),
        (
            "[router]\ntype = 'external'\nurl = 'http://a'",
            "wampy.toml:3: [router] url: expected ws://",
        ),
        (
            "[router]\ntype = 'external'\nurl = 'ws://a.example/ws'\n"
            "join = { authid = 'a', ticket = 't' }",
            "[router] url: expected wss://, since join has a ticket",
        ),
        (
            "[router]\ntype = 'external'\nurl = 'wss://a.example/ws'\nport = 1",
            '[router] port: expected only with type = "builtin", got "external"',
        ),
        ("[router]\njoin = { authid = 'a' }", "[router] join: expected a key ticket, wampcra, "),
        ("[router]\nstart_timeout = 0", "[router] start_timeout: expected a duration"),
        (
            "[router.auth]\nwampcra = { a = {} }",
            "[router.auth] wampcra.a: expected a key role, which is missing",
        ),
        (
            "[router.auth]\nscram = { a = { role = 'x', secret = 's' } }",
            "[router.auth] scram.a.role: expected a role with permissions",
        ),
        (
            "[router.auth]\ncryptosign = { a = { role = 'anonymous', authorized_keys = ['0f'] } }",
            "[router.auth] cryptosign.a.authorized_keys[0]: expected a public key",
        ),
        ("[router.auth]\nauthorizer = 'a b'", "[router.auth] authorizer: expected"),
        ("[router.auth]\nanonymous = 'guest'", '[router.auth] anonymous: expected "off" or a role'),
        (
            "[router.auth]\nticket = { bob = { role = 'x', secret = 's' } }",
            "[router.auth] ticket.bob.role: expected a role with permissions",
        ),
        (
            "[router.auth]\nticket = { bob = { role = 'x' } }",
            "[router.auth] ticket.bob: expected a key secret, which is missing",
        ),
        (
            "[router.auth]\nticket = { peer = { role = 'anonymous', secret = 's' } }",
            "[router.auth] ticket.peer: expected another name",
        ),
        (
            "[[router.roles.peer]]\nuri = 'a'\nallow = []",
            "[router.roles.peer]: expected another name",
        ),
        (
            "[[router.roles.f]]\nuri = 'a'\nmatch = 'all'\nallow = []",
            'wampy.toml:3: [[router.roles.f]] match: expected "exact", "prefix" or "wildcard"',
        ),
        (
            "[[router.roles.f]]\nuri = 'a'\nallow = ['fly']",
            '[[router.roles.f]] allow[0]: expected "call", "register"',
        ),
        ("[[router.roles.f]]\nuri = 'a'", "[[router.roles.f]]: expected a key allow"),
        ("[router.roles]\nf = 1", "[router.roles.f]: expected permissions, each headed"),
        ("[router.limits]\nsessions = 0", "[router.limits] sessions: expected an integer"),
        ("[router.limits]\nqueue = 'x'", "[router.limits] queue: expected a size"),
        (
            "[router.limits]\nping = { interval = 0 }",
            "[router.limits] ping.interval: expected a duration",
        ),
        (
            "[router]\ntype = 'external'\n[router.limits]\nsessions = 5",
            '[router.limits]: expected only with type = "builtin", got "external"',
        ),
        # [defaults]
        ("[defaults]\napp = 'm:A'", "[defaults] app: not a default: it belongs to each"),
        ("[defaults]\nreplicas = 'x'", "wampy.toml:2: [defaults] replicas: expected an integer"),
        # Peers
        ("[peers.A]\napp = 'm:A'", "[peers.A]: expected a name of small letters"),
        ("[peers.all]\napp = 'm:A'", '[peers.all]: expected another name: "all"'),
        ("[peers.router]\napp = 'm:A'", '[peers.router]: expected another name: "router"'),
        ("[peers]\na = 1", "[peers.a]: expected a table, got 1"),
        ("[peers.a]", '[peers.a]: expected a key app = "module:Class" or command = ["PROGRAM"'),
        ("[peers.a]\napp = 3", "[peers.a] app: expected module:Class"),
        ("[peers.a]\napp = 'm.A'", "[peers.a] app: expected module:Class"),
        ("[peers.a]\napp = 'm:A:B'", "[peers.a] app: expected module:Class"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, expected):
    found = faults(tmp_path, text)
    assert any(expected in fault for fault in found), found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("replcas = 2", 'replcas: unknown key; did you mean "replicas"?'),
        ("replicas = -1", "replicas: expected an integer 0 to 10000, got -1"),
        ("replicas = 1.5", "replicas: expected an integer 0 to 10000, got 1.5"),
        ("config = 3", "config: expected a table, got 3"),
        ("env = ['A']", "env: expected a table of strings, got a list"),
        ("env = { A = 1 }", "env.A: expected a string, got a number"),
        ("env = { 'A=B' = '1' }", 'env.A=B: expected the name of a variable, got "A=B"'),
        ("env = { WAMPY_RUN = '1' }", "env.WAMPY_RUN: expected another name"),
        ("cwd = 'nowhere'", "cwd: expected a folder, got"),
        ("depends_on = 'x'", "depends_on: expected a list of Peers, or a table such as"),
        ("depends_on = [1]", "depends_on[0]: expected the name of a Peer, got 1"),
        ("depends_on = ['serch']", 'depends_on[0]: expected the name of a Peer, got "serch"; did'),
        ("depends_on = ['search']", "expected no cycle, got search -> search"),
        ("depends_on = { other = 'up' }", 'depends_on.other: expected "ready" or "completed"'),
        ("depends_on = { other = 'completed' }", "depends_on.other: expected a job to be"),
        ("kind = 'task'", 'kind: expected "service" or "job", got "task"'),
        ("profiles = ['']", "profiles[0]: expected a name such as dev"),
        ("concurrency = 0", "concurrency: expected an integer 1 to 10000, got 0"),
        ("queue = -1", "queue: expected an integer of 0 or more, got -1"),
        ("start_method = 'spawn'", 'start_method: expected "fork" or "exec", got "spawn"'),
        ("start_timeout = '5'", 'start_timeout: expected a duration such as 2.5 or "500ms"'),
        ("stop_grace = []", "stop_grace: expected a duration"),
        ("restart = 'sometimes'", 'restart: expected "always", "on-failure" or "never", got'),
        ("success_exit_codes = [256]", "success_exit_codes[0]: expected an integer 0 to 255"),
        ("success_exit_codes = 0", "success_exit_codes: expected a list of exit codes, got 0"),
        ("backoff = 1", "backoff: expected a table, got 1"),
        ("backoff = { factor = 0.5 }", "backoff.factor: expected a number 1 to 1000, got 0.5"),
        ("backoff = { jitter = 2 }", "backoff.jitter: expected a number 0 to 1, got 2"),
        ("backoff = { initial = '20s' }", "backoff.initial: expected max to be initial or more"),
        ("backoff = { max = 0 }", "backoff.max: expected max to be initial or more"),
        ("backoff = { mx = 1 }", 'backoff.mx: unknown key; did you mean "max"?'),
        ("restart_limit = 0", 'restart_limit: expected an integer of 1 or more or "off", got 0'),
        ("heartbeat = { failures = 0 }", "heartbeat.failures: expected an integer of 1 or more"),
        ("heartbeat = { interval = 0 }", "heartbeat.interval: expected a duration"),
        ("max_call_age = 0", "max_call_age: expected a duration"),
        ("max_memory = 'much'", "max_memory: expected a size"),
        ("max_calls = 0", "max_calls: expected an integer of 1 or more"),
        ("max_age = 0", "max_age: expected a duration"),
        ("umask = 'rwx'", "umask: expected a mask such as"),
        ("umask = 512", "umask: expected a mask such as"),
        ("limits = 1", "limits: expected a table such as { nofile = 1024"),
        ("limits = { nofiles = 1 }", 'limits.nofiles: unknown limit; did you mean "nofile"?'),
        ("limits = { zzz = 1 }", "limits.zzz: unknown limit; known here: as, core"),
        ("limits = { nofile = '1GiB' }", 'limits.nofile: expected an integer of 0 or more or "un'),
        ("limits = { as = -1 }", 'limits.as: expected a size or "unlimited", got -1'),
        ("provides = ['a.b']", "provides: expected only with command"),
        ("heartbeat_procedure = 'a.b'", "heartbeat_procedure: expected only with command"),
        ("command = ['x']", "command: expected either app or command, got both"),
    ],
)
def test_what_is_wrong_with_a_peer(tmp_path, line, expected):
    found = faults(tmp_path, f"{PEER}{line}\n[peers.other]\napp = 'm:A'\n")
    assert len(found) == 1, found
    assert found[0].startswith("wampy.toml:3: [peers.search] ")
    assert expected in found[0]


def test_all_faults_are_reported_at_once_in_the_order_of_the_file(tmp_path):
    found = faults(
        tmp_path,
        "[router]\nport = -1\n[peers.a]\napp = 3\nreplicas = 'x'\n[stack]\nname = ''\n"
        "[defaults]\nqueue = -1\n",
    )
    lines = [int(fault.split(":")[1]) for fault in found]
    assert lines == [2, 4, 5, 7, 9]


def test_a_fault_in_the_defaults_is_reported_once_where_it_stands(tmp_path):
    found = faults(
        tmp_path, "[defaults]\nqueue = -1\n[peers.a]\napp = 'm:A'\n[peers.b]\napp = 'm:B'\n"
    )
    assert found == ["wampy.toml:2: [defaults] queue: expected an integer of 0 or more, got -1"]


def test_a_default_that_every_peer_overrides_must_be_right_too(tmp_path):
    assert faults(tmp_path, "[defaults]\nqueue = -1\n[peers.a]\napp = 'm:A'\nqueue = 1\n")


def test_cycles_are_printed(tmp_path):
    found = faults(
        tmp_path,
        "[peers.a]\napp = 'm:A'\ndepends_on = ['b']\n[peers.b]\napp = 'm:A'\ndepends_on = ['c']\n"
        "[peers.c]\napp = 'm:A'\ndepends_on = ['a']\n",
    )
    assert found == [
        "wampy.toml:3: [peers.a] depends_on[0]: expected no cycle, got a -> b -> c -> a"
    ]


def test_secrets_are_in_no_message(tmp_path):
    text = (
        PEER + "env = { A = ['s3cret'] }\n[router]\njoin = { authid = 's3cret', ticket = 12345 }\n"
        "[router.auth]\nticket = { a = { role = 'r', secret = 12345 } }\n"
    )
    found = "\n".join(faults(tmp_path, text))
    assert "join.ticket: expected a string, got a number" in found
    assert "12345" not in found
    assert "s3cret" not in found


def test_a_faulty_env_file_is_named_with_its_line_and_no_value(tmp_path):
    (tmp_path / ".env").write_text("A=1\nthis is s3cret\n")
    found = faults(tmp_path, PEER + "[stack]\nenv_file = ['.env']\n")
    assert len(found) == 1
    assert "env_file[0]: expected lines NAME=value" in found[0]
    assert found[0].endswith(".env line 2")


def test_an_external_router(tmp_path):
    manifest = load(
        tmp_path,
        PEER + "[router]\ntype = 'external'\nurl = 'ws://127.0.0.1:1/ws'\n"
        "join = { authid = 'me', ticket = '${T}' }\n",
        {"T": "123"},
    )
    assert manifest.router.join is not None
    assert (manifest.router.join.authid, manifest.router.join.secret) == ("me", "123")


@pytest.mark.parametrize("method", ["ticket", "wampcra", "scram", "cryptosign"])
def test_a_router_is_joined_by_one_method(tmp_path, method):
    router = PEER + "[router]\ntype = 'external'\nurl = 'ws://127.0.0.1:1/ws'\n"
    manifest = load(
        tmp_path, router + f"join = {{ authid = 'me', {method} = '${{T}}' }}\n", {"T": "12"}
    )
    assert manifest.router.join is not None
    join = manifest.router.join
    assert (join.authid, join.secret, join.method) == ("me", "12", method)
    assert "12" not in repr(join)


def test_only_a_ticket_is_sent_in_the_clear(tmp_path):
    router = PEER + "[router]\ntype = 'external'\nurl = 'ws://a.example/ws'\n"
    manifest = load(tmp_path, router + "join = { authid = 'me', wampcra = 's' }\n")
    assert manifest.router.join is not None


@pytest.mark.parametrize(
    ("join", "fault"),
    [
        ("{ authid = 'me' }", "expected a key ticket, wampcra, scram or cryptosign"),
        ("{ scram = 's3cret' }", "expected a key authid, which is missing"),
        (
            "{ authid = 'me', scram = 's3cret', ticket = 's3cret' }",
            "join.scram: expected one method, and there is ticket",
        ),
        ("{ authid = 'me', wampcra = 12345 }", "join.wampcra: expected a string"),
        ("'me'", "expected a table"),
    ],
)
def test_faults_of_a_join(tmp_path, join, fault):
    router = PEER + "[router]\ntype = 'external'\nurl = 'ws://127.0.0.1:1/ws'\n"
    (found,) = faults(tmp_path, router + f"join = {join}\n")
    assert fault in found
    assert "s3cret" not in found
    assert "12345" not in found


def test_an_own_node_config(tmp_path):
    (tmp_path / "node.json").write_text("{}")
    own = (
        "[router]\ntype = 'crossbar'\nconfig = 'node.json'\n"
        "join = { authid = 'me', ticket = 't' }\n"
    )
    manifest = load(tmp_path, PEER + own)
    assert manifest.router.config == tmp_path / "node.json"
    found = faults(tmp_path, PEER + own + "[router.auth]\nanonymous = 'off'\n")
    assert found == [
        "wampy.toml:7: [router.auth]: expected no such table with config: your own node decides"
    ]


@pytest.mark.parametrize("host", ["localhost", "::1", "127.3.2.1"])
def test_loopback_needs_no_leave(tmp_path, host):
    assert faults(tmp_path, PEER + f"[router]\nhost = '{host}'\n") == []


def test_no_such_file(tmp_path):
    with pytest.raises(ManifestError, match=r"wampy\.toml: there is no such file"):
        load_manifest(tmp_path / "wampy.toml", {})


def test_a_folder_is_no_manifest(tmp_path):
    with pytest.raises(ManifestError, match="cannot be read: Is a directory"):
        load_manifest(tmp_path, {})


def test_a_manifest_that_is_not_utf_8(tmp_path):
    (tmp_path / "wampy.toml").write_bytes(b"# a\n# \xff\n")
    with pytest.raises(ManifestError, match=r"wampy\.toml:2: expected UTF-8, got the byte 0xff"):
        load_manifest(tmp_path / "wampy.toml", {})


def test_nesting_without_end(tmp_path):
    with pytest.raises(ManifestError, match="not TOML"):
        load(tmp_path, "a = " + "[" * 100_000)


def test_the_nearest_manifest_above_is_found(tmp_path):
    path = written(tmp_path, PEER)
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert find_manifest(deep) == path
    with pytest.raises(ManifestError, match=r"not found in .* nor in any folder above it"):
        find_manifest(Path("/nonexistent/folder"))


def test_messages_name_the_file_relative_to_the_working_folder(tmp_path, monkeypatch):
    written(tmp_path, "")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ManifestError, match=r"^wampy\.toml: expected at least one"):
        load_manifest(Path("wampy.toml"), os.environ)


VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["", "off", "1s", "1MiB", "a", "${A}", "${", "m:A", "search", "ready"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
TABLES = {
    "stack": ["name", "realm", "run_dir", "env_file", "preload", "strategy", "debug"],
    "logs": ["max_size", "keep", "format"],
    "router": ["type", "host", "port", "tls", "config", "command", "url", "join", "auth", "roles"],
    "defaults": ["replicas", "env", "depends_on", "backoff", "heartbeat", "umask", "limits"],
    "peers": ["a", "search"],
}


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_toml_gives_a_manifest_or_a_manifest_error(tmp_path, data):
    import tomlkit

    content = {
        table: data.draw(
            VALUES | st.dictionaries(st.sampled_from(keys), VALUES, max_size=3), label=table
        )
        for table, keys in TABLES.items()
    }
    if isinstance(content["peers"], dict):
        peer = st.dictionaries(st.sampled_from(["app", *TABLES["defaults"]]), VALUES, max_size=3)
        content["peers"]["search"] = {"app": "m:A", **data.draw(peer)}
    with contextlib.suppress(ManifestError):
        load(tmp_path, tomlkit.dumps(content), {"A": "1"})
