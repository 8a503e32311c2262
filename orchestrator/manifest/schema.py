"""Every key of the manifest, its kind and its default: the contract's second section as a table."""

from __future__ import annotations

from typing import Any

from orchestrator.core.spec import Backoff, Condition, HeartbeatPolicy
from orchestrator.manifest.faults import Path
from orchestrator.manifest.model import (
    Join,
    KeyUser,
    Permission,
    RouterLimits,
    TicketUser,
)
from orchestrator.manifest.nodes import BROKEN, Node, Reading
from orchestrator.manifest.programs import command_words, limits
from orchestrator.manifest.readers import (
    Key,
    Keys,
    Unexpected,
    boolean,
    choice,
    duration,
    free_table,
    integer,
    many,
    matching,
    number,
    octal,
    or_off,
    size,
    table,
    table_of,
    text,
)
from wampy.auth import METHODS

PEER_NAME = r"[a-z][a-z0-9_]{0,39}"
RESERVED_NAMES = ("all", "router", "stack")

_URI = r"[^\s.#]+(\.[^\s.#]+)*"
_DOTTED = r"[^\W\d]\w*(\.[^\W\d]\w*)*"
_uri = matching(_URI, "a URI such as com.example.add")
_texts = many(text, "a list of strings")
_module = matching(_DOTTED, "the name of a module such as services.search")


def _name(node: Node, _: Reading) -> str:
    if isinstance(node.value, str) and any(c.isascii() and c.isalnum() for c in node.value):
        return stack_name(node.value)
    raise Unexpected("a name such as demo")


def stack_name(name: str) -> str:
    """Give ``name`` as it may stand in a URI: small letters, digits and underscores."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name.lower())


STACK: Keys = {
    "name": Key(_name),
    "realm": Key(_uri, "realm1"),
    "run_dir": Key(text, ".wampy"),
    "env_file": Key(_texts, ()),
    "preload": Key(many(_module, "a list of modules"), ()),
    "strategy": Key(choice("one_for_one", "rest_for_one", "one_for_all"), "one_for_one"),
    "on_fatal": Key(choice("keep", "stop"), "keep"),
    "debug": Key(boolean, False),
}

LOGS: Keys = {
    "max_size": Key(size, 10 * 1024**2),
    "keep": Key(integer(0, 1000), 5),
    "format": Key(choice("text", "json"), "text"),
}


def _ticket_user(values: dict[str, Any]) -> TicketUser | None:
    if values["role"] is None or values["secret"] is None:
        return None
    return TicketUser(**values)


def _with(keys: Keys, make: Any, *required: str) -> Any:
    """Make the reader of a table in which ``required`` keys must stand."""
    read = table(keys, make)

    def read_required(node: Node, reading: Reading) -> Any:
        if isinstance(node.value, dict):
            for name in required:
                if name not in node.value:
                    reading.fault(node.path, f"expected a key {name}, which is missing")
        return read(node, reading)

    return read_required


_role = matching(r"[A-Za-z_][\w.-]*", "the name of a role")

_users = table_of(
    _with(
        {"role": Key(_role), "secret": Key(text, is_secret=True)},
        _ticket_user,
        "role",
        "secret",
    ),
    "a table such as { alice = { role = …, secret = … } }",
)


def _key_user(values: dict[str, Any]) -> KeyUser | None:
    return None if values["role"] is None else KeyUser(**values)


AUTH: Keys = {
    "anonymous": Key(_role, "anonymous"),
    "ticket": Key(_users, {}),
    "wampcra": Key(_users, {}),
    "scram": Key(_users, {}),
    "cryptosign": Key(
        table_of(
            _with(
                {
                    "role": Key(_role),
                    "authorized_keys": Key(
                        many(
                            matching(r"[0-9a-fA-F]{64}", "a public key, 64 hex digits"),
                            "a list of public keys, each of 64 hex digits",
                            least=1,
                        ),
                        (),
                    ),
                },
                _key_user,
                "role",
                "authorized_keys",
            ),
            'a table such as { alice = { role = …, authorized_keys = ["…"] } }',
        ),
        {},
    ),
    "authorizer": Key(_uri, None),
}


def _permission(values: dict[str, Any]) -> Permission | None:
    if values["uri"] is None:
        return None
    return Permission(values["uri"], values["match"], frozenset(values["allow"]))


_any_uri = matching(r"[^\s#]*", "a URI, or a part of one")

ROLES = table_of(
    many(
        _with(
            {
                "uri": Key(_any_uri),
                "match": Key(choice("exact", "prefix", "wildcard"), "exact"),
                "allow": Key(
                    many(
                        choice("call", "register", "publish", "subscribe"),
                        "a list of call, register, publish, subscribe",
                    ),
                    (),
                ),
            },
            _permission,
            "uri",
            "allow",
        ),
        "permissions, each headed [[router.roles.NAME]]",
    )
)

_DEFAULT = RouterLimits()

LIMITS: Keys = {
    "message_size": Key(size, _DEFAULT.message_bytes),
    "sessions": Key(integer(1), _DEFAULT.sessions),
    "pending_calls": Key(integer(1), _DEFAULT.pending_calls),
    "registrations": Key(integer(1), _DEFAULT.registrations),
    "join_timeout": Key(duration(zero=False), _DEFAULT.join_timeout_s),
    "ping": Key(
        table(
            {
                "interval": Key(duration(zero=False), _DEFAULT.ping_interval_s),
                "timeout": Key(duration(zero=False), _DEFAULT.ping_timeout_s),
            }
        ),
        {"interval": _DEFAULT.ping_interval_s, "timeout": _DEFAULT.ping_timeout_s},
    ),
    "queue": Key(size, _DEFAULT.queue_bytes),
    "slow_consumer": Key(choice("drop", "close"), "drop"),
}


def _limits(values: dict[str, Any]) -> RouterLimits:
    return RouterLimits(
        message_bytes=values["message_size"],
        sessions=values["sessions"],
        pending_calls=values["pending_calls"],
        registrations=values["registrations"],
        join_timeout_s=values["join_timeout"],
        ping_interval_s=values["ping"]["interval"],
        ping_timeout_s=values["ping"]["timeout"],
        queue_bytes=values["queue"],
        closes_slow=values["slow_consumer"] == "close",
    )


_read_join = table(
    {"authid": Key(text), **{name: Key(text, is_secret=True) for name in METHODS}}, dict
)


def _join(node: Node, reading: Reading) -> Join | None:
    """Read as whom to join: an authid, and one secret under the name of its method."""
    values = _read_join(node, reading)
    if not isinstance(node.value, dict):
        return None
    if "authid" not in node.value:
        reading.fault(node.path, "expected a key authid, which is missing")
    methods = [name for name in METHODS if name in node.value]
    if not methods:
        wanted = f"{', '.join(METHODS[:-1])} or {METHODS[-1]}"
        reading.fault(node.path, f"expected a key {wanted}, which is missing")
    for name in methods[1:]:
        reading.fault(node.value[name].path, f"expected one method, and there is {methods[0]}")
    if values["authid"] is None or not methods or values[methods[0]] is None:
        return None
    return Join(values["authid"], values[methods[0]], methods[0])


ROUTER: Keys = {
    "type": Key(choice("builtin", "crossbar", "external"), "builtin"),
    "host": Key(matching(r"[^\s/]+", "a host name or address"), "127.0.0.1"),
    "port": Key(integer(0, 65535), 8080),
    "path": Key(matching(r"/[^\s?#]*", 'a path such as "/ws"'), "/ws"),
    "insecure": Key(boolean, False),
    "tls": Key(
        _with(
            {"certificate": Key(text), "key": Key(text), "client_ca": Key(text)},
            dict,
            "certificate",
            "key",
        )
    ),
    "config": Key(text),
    "command": Key(many(text, "a list of strings", least=1)),
    "url": Key(
        matching(
            r"(wss?://[^\s/]+(/\S*)?|tcp://[^\s/]+:\d+/?|unix:///\S+)",
            "ws://…, wss://…, tcp://HOST:PORT or unix:///PATH",
        ),
        "",
    ),
    "join": Key(_join),
    "start_timeout": Key(duration(zero=False), 30.0),
    "stop_grace": Key(duration(), 25.0),
    "auth": Key(table(AUTH), {name: key.default for name, key in AUTH.items()}),
    "roles": Key(ROLES, {}),
    "limits": Key(table(LIMITS, _limits), _DEFAULT),
}


def _dependencies(node: Node, reading: Reading) -> dict[str, tuple[Condition, Path]]:
    """Read ``["a", "b"]`` or ``{ a = "ready", b = "completed" }``; each with its place."""
    if isinstance(node.value, list):
        names = [child for child in node.value if child.value is not BROKEN]
        for child in names:
            if not isinstance(child.value, str):
                reading.wrong(child, "the name of a Peer")
        return {c.value: (Condition.READY, c.path) for c in names if isinstance(c.value, str)}
    if not isinstance(node.value, dict):
        raise Unexpected('a list of Peers, or a table such as { db = "completed" }')
    conditions = {}
    read = choice("ready", "completed")
    for name, child in node.value.items():
        try:
            conditions[name] = (Condition(read(child, reading)), child.path)
        except Unexpected as unexpected:
            if child.value is not BROKEN:
                reading.wrong(child, str(unexpected))
    return conditions


def _backoff(values: dict[str, Any]) -> Backoff:
    return Backoff(
        initial_s=values["initial"],
        factor=values["factor"],
        max_s=values["max"],
        jitter=values["jitter"],
        reset_after_s=values["reset_after"],
    )


def _heartbeat(values: dict[str, Any]) -> HeartbeatPolicy:
    return HeartbeatPolicy(values["interval"], values["timeout"], values["failures"])


_profile = matching(r"[A-Za-z0-9][\w.-]*", "a name such as dev")


#: What ``[defaults]`` may hold.
DEFAULTS: Keys = {
    "replicas": Key(integer(0, 10000), 1),
    "env": Key(table_of(matching(r"[^\0]*", "a string"), "a table of strings", is_secret=True), {}),
    "cwd": Key(text, "."),
    "depends_on": Key(_dependencies, {}),
    "kind": Key(choice("service", "job"), "service"),
    "profiles": Key(many(_profile, "a list of names"), ()),
    "concurrency": Key(integer(1, 10000), 8),
    "queue": Key(integer(0), 1000),
    "start_method": Key(choice("fork", "exec"), "fork"),
    "start_timeout": Key(duration(zero=False), 30.0),
    "stop_grace": Key(duration(), 10.0),
    "restart": Key(choice("always", "on-failure", "never"), "always"),
    "success_exit_codes": Key(many(integer(0, 255), "a list of exit codes"), (0,)),
    "backoff": Key(
        table(
            {
                "initial": Key(duration(), 0.1),
                "factor": Key(number(1, 1000), 2.0),
                "max": Key(duration(), 10.0),
                "jitter": Key(number(0, 1), 0.2),
                "reset_after": Key(duration(), 30.0),
            },
            _backoff,
        ),
        Backoff(),
    ),
    "restart_limit": Key(or_off(integer(1)), 10),
    "heartbeat": Key(
        table(
            {
                "interval": Key(duration(zero=False), 2.0),
                "timeout": Key(duration(zero=False), 2.0),
                "failures": Key(integer(1), 3),
            },
            _heartbeat,
        ),
        HeartbeatPolicy(),
    ),
    "max_call_age": Key(or_off(duration(zero=False))),
    "max_memory": Key(or_off(size)),
    "max_calls": Key(or_off(integer(1))),
    "max_age": Key(or_off(duration(zero=False))),
    "umask": Key(or_off(octal)),
    "limits": Key(limits, {}),
    "provides": Key(many(_uri, "a list of URIs"), ()),
    "heartbeat_procedure": Key(_uri),
}

#: What stands in ``[peers.NAME]`` only.
OWN: Keys = {
    "app": Key(
        matching(f"{_DOTTED}:{_DOTTED}", 'module:Class, such as "services.search:Search"'),
    ),
    "command": Key(command_words),
    "config": Key(free_table, {}),
}

PEER: Keys = {**OWN, **DEFAULTS}

#: The tables at the top; ``peers`` has one table a Peer.
TOP = ("stack", "logs", "router", "defaults", "peers")
