"""The tables of a manifest as sections, with the rules that span several keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from orchestrator.core.spec import Kind, PeerSpec, RestartPolicy
from orchestrator.manifest import schema
from orchestrator.manifest.crossbar_rules import check_crossbar
from orchestrator.manifest.faults import shown
from orchestrator.manifest.model import (
    LogsSection,
    PeerSection,
    RouterSection,
    StackSection,
    Tls,
)
from orchestrator.manifest.nodes import BROKEN, Node, Reading
from orchestrator.manifest.programs import check_program
from orchestrator.manifest.readers import read_table

#: Keys of ``[router]`` that mean something for some types only.
_ONLY_FOR = {
    "url": ("external",),
    "config": ("crossbar",),
    "command": ("crossbar",),
    "host": ("builtin", "crossbar"),
    "port": ("builtin", "crossbar"),
    "path": ("builtin", "crossbar"),
    "auth": ("builtin", "crossbar"),
    "roles": ("builtin", "crossbar"),
    "limits": ("builtin", "crossbar"),
    "tls": ("builtin", "crossbar"),
}


def stack_section(node: Node, folder: Path, reading: Reading) -> StackSection:
    """Read ``[stack]``."""
    values = read_table(node, schema.STACK, reading)
    name = values["name"] or schema.stack_name(folder.name) or "stack"
    if not name.strip("_"):
        name = "stack"
    return StackSection(
        name=name,
        realm=values["realm"],
        run_dir=_inside(folder, values["run_dir"]),
        preload=values["preload"],
        strategy=values["strategy"],
        on_fatal=values["on_fatal"],
        debug=values["debug"],
        env_files=tuple(folder / path for path in values["env_file"]),
    )


def logs_section(node: Node, reading: Reading) -> LogsSection:
    """Read ``[logs]``."""
    values = read_table(node, schema.LOGS, reading)
    return LogsSection(values["max_size"], values["keep"], values["format"])


def router_section(node: Node, folder: Path, reading: Reading) -> RouterSection:
    """Read ``[router]`` and what belongs to it."""
    values = read_table(node, schema.ROUTER, reading)
    given: dict[str, Node] = node.value if isinstance(node.value, dict) else {}
    auth, roles = values["auth"], values["roles"]
    section = RouterSection(
        type=values["type"],
        host=values["host"],
        port=values["port"],
        path=values["path"],
        insecure=values["insecure"],
        tls=_tls(values["tls"], folder, given, reading),
        config=_inside(folder, values["config"]) if values["config"] else None,
        command=_executable(values["command"], folder),
        url=values["url"],
        join=values["join"],
        start_timeout_s=values["start_timeout"],
        stop_grace_s=values["stop_grace"],
        anonymous=auth["anonymous"],
        tickets=auth["ticket"],
        roles=roles,
        wampcra=auth["wampcra"],
        scram=auth["scram"],
        cryptosign=auth["cryptosign"],
        authorizer=auth["authorizer"],
        limits=values["limits"],
    )
    _check_router(section, node, given, reading)
    return section


def _tls(
    values: dict[str, Any] | None, folder: Path, given: dict[str, Node], reading: Reading
) -> Tls | None:
    if values is None or values["certificate"] is None or values["key"] is None:
        return None
    files = {name: _inside(folder, path) for name, path in values.items() if path is not None}
    for name, path in files.items():
        if not path.is_file():
            place = given["tls"].value[name].path
            reading.fault(place, f"expected a file, got {path}, which is none")
    return Tls(files["certificate"], files["key"], files.get("client_ca"))


def _executable(command: tuple[str, ...] | None, folder: Path) -> tuple[str, ...] | None:
    """Make a command's first word absolute when it is a path; a bare name is looked up in PATH."""
    if not command or "/" not in command[0]:
        return command
    return (str(_inside(folder, command[0])), *command[1:])


def _inside(folder: Path, path: str) -> Path:
    """Give ``path`` absolute; relative ones and ``~`` are taken as the user means them."""
    given = Path(path)
    if path.startswith("~"):
        try:
            given = given.expanduser()
        except RuntimeError:
            given = Path(path)
    return folder / given


def _check_router(
    section: RouterSection, node: Node, given: dict[str, Node], reading: Reading
) -> None:
    for name, types in _ONLY_FOR.items():
        if name in given and section.type not in types:
            got = shown(section.type)
            reading.fault(given[name].path, f'expected only with type = "{types[0]}", got {got}')
    if section.type == "external":
        if "url" not in given:
            reading.fault(node.path, 'expected a key url with type = "external", which is missing')
        _check_ticket_in_clear(section, given, reading)
        return
    if "config" in given:
        for name in ("auth", "roles", "limits", "tls"):
            if name in given:
                reading.fault(
                    given[name].path, "expected no such table with config: your own node decides"
                )
        if section.config is not None and not section.config.is_file():
            reading.fault(
                given["config"].path, f"expected a file, got {section.config}, which is none"
            )
    elif "join" in given:
        reading.fault(given["join"].path, 'expected only with config, or with type = "external"')
    is_guarded = section.tls is not None and section.anonymous == "off"
    if not section.insecure and not is_guarded and not is_loopback(section.host):
        reading.fault(
            given["host"].path,
            f"expected a loopback address such as 127.0.0.1, got {shown(section.host)}: everybody "
            'there may join, unencrypted; give tls and [router.auth] anonymous = "off", '
            "or say insecure = true if that is what you want",
        )
    _check_roles(section, given, reading)
    if section.type == "crossbar":
        check_crossbar(section, given, reading)


def _check_roles(section: RouterSection, given: dict[str, Node], reading: Reading) -> None:
    known = {"anonymous", *section.roles}
    auth = given.get("auth")
    own = auth.value if auth is not None and isinstance(auth.value, dict) else {}
    if "anonymous" in own and section.anonymous not in {*known, "off"}:
        reading.fault(
            own["anonymous"].path,
            f'expected "off" or a role with permissions, got {shown(section.anonymous)}; '
            f"head them [[router.roles.{section.anonymous}]]",
        )
    users = [
        (method, authid, user)
        for method in ("ticket", "wampcra", "scram", "cryptosign")
        for authid, user in _users_of(section, method).items()
    ]
    for method, authid, user in users:
        if user is not None and user.role not in known:
            reading.fault(
                (*own[method].path, authid, "role"),
                f"expected a role with permissions, got {shown(user.role)}; "
                f"head them [[router.roles.{user.role}]]",
            )
        if authid in ("orchestrator", "peer", "operator"):
            reading.fault(
                (*own[method].path, authid), "expected another name: the stack itself joins as it"
            )
    for role in section.roles:
        if role in ("orchestrator", "peer", "operator"):
            reading.fault(
                ("router", "roles", role), "expected another name: it is a role of the stack itself"
            )


def _users_of(section: RouterSection, method: str) -> dict[str, Any]:
    """Give who joins by a method, by authid; None for one that is faulty."""
    users: dict[str, Any] = section.tickets if method == "ticket" else getattr(section, method)
    return users


def _check_ticket_in_clear(
    section: RouterSection, given: dict[str, Node], reading: Reading
) -> None:
    """A ticket is never sent in the clear beyond loopback; by other methods no secret is sent."""
    if section.join is None or section.join.method != "ticket":
        return
    if not section.url.startswith(("ws://", "tcp://")):
        return
    host = section.url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    host = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if not is_loopback(host):
        reading.fault(
            given["url"].path,
            "expected wss://, since join has a ticket, which would be sent in the clear, "
            f"got {shown(section.url)}",
        )


def is_loopback(host: str) -> bool:
    """Tell whether nobody outside this machine reaches what listens on ``host``."""
    if host in ("127.0.0.1", "localhost", "::1"):
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def peer_section(
    node: Node, own: Node, values: dict[str, Any], folder: Path, line: int, reading: Reading
) -> PeerSection:
    """Make one Peer's section from its keys, which are read already.

    Args:
        node: with the defaults.
        own: without them.
        values: of the keys of ``node``.
        folder: that of the manifest.
        line: of its header.
        reading: where faults go.
    """
    given: dict[str, Node] = node.value
    check_program(own, values, reading)
    command = _executable(values["command"], folder)
    cwd = _inside(folder, values["cwd"])
    if not cwd.is_dir() and ("cwd" not in given or given["cwd"].value is not BROKEN):
        reading.fault(
            given["cwd"].path if "cwd" in given else node.path,
            f"expected a folder, got {cwd}, which is none",
        )
    _check_env(given.get("env"), reading)
    backoff = values["backoff"]
    if backoff.max_s < backoff.initial_s:
        places = given["backoff"].value if "backoff" in given else {}
        culprit = places.get("max") or places.get("initial") or node
        reading.fault(
            culprit.path,
            f"expected max to be initial or more, got {backoff.max_s:g} s and "
            f"{backoff.initial_s:g} s",
        )
    procedure = values["heartbeat_procedure"] if command is not None else None
    spec = PeerSpec(
        name=str(node.path[-1]),
        replicas=values["replicas"],
        kind=Kind(values["kind"]),
        depends_on={needed: how for needed, (how, _) in values["depends_on"].items()},
        restart=RestartPolicy(values["restart"]),
        success_exit_codes=frozenset(values["success_exit_codes"]),
        backoff=backoff,
        restart_limit=values["restart_limit"],
        heartbeat=values["heartbeat"],
        start_timeout_s=values["start_timeout"],
        stop_grace_s=values["stop_grace"],
        max_memory_bytes=values["max_memory"],
        max_calls=values["max_calls"],
        max_age_s=values["max_age"],
        # Without an answer that tells of calls there is no age of any.
        max_call_age_s=values["max_call_age"] if command is None or procedure else None,
        drains=command is None,
    )
    return PeerSection(
        spec=spec,
        app=values["app"] or "",
        config=values["config"],
        env=values["env"],
        cwd=cwd,
        concurrency=values["concurrency"],
        queue=values["queue"],
        start_method=values["start_method"],
        umask=values["umask"],
        line=line,
        profiles=values["profiles"],
        command=command,
        provides=values["provides"] if command is not None else (),
        heartbeat_procedure=procedure,
        limits=values["limits"],
    )


def _check_env(node: Node | None, reading: Reading) -> None:
    """Names that the system cannot take, and those that the stack sets itself."""
    if node is None or not isinstance(node.value, dict):
        return
    for name, child in node.value.items():
        if not name or "=" in name or "\0" in name:
            reading.fault(child.path, f"expected the name of a variable, got {shown(name)}")
        elif name in ("WAMPY_RUN", "WAMPY_INSTANCE", "WAMPY_STACK"):
            reading.fault(child.path, "expected another name: the stack sets this one itself")


def header_line(text: str, name: str) -> int:
    """Give the line of ``[peers.NAME]``; 0 when it is spelt otherwise."""
    found = re.search(rf"^[ \t]*\[[ \t]*peers[ \t]*\.[ \t]*{re.escape(name)}[ \t]*\]", text, re.M)
    return text.count("\n", 0, found.start()) + 1 if found else 0
