"""Plans for the built-in Router: a process of its own, configured from the manifest."""

from __future__ import annotations

import json
import signal as signals
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.manifest.model import Manifest, Permission, RouterSection, TicketUser
from orchestrator.manifest.sections import is_loopback
from orchestrator.paths import bindable
from orchestrator.router.launch import RouterLaunch
from orchestrator.router.ports import busy_message
from orchestrator.router.principals import OPERATOR, ORCHESTRATOR, PEER, RESERVED, Principals

_ACTIONS = frozenset({"call", "register", "publish", "subscribe"})
#: What only the stack may use, unless a permission of the manifest names it.
_RESERVED_PREFIXES = ("wamp.", "wampy.")
_EVERYTHING = Permission("", "prefix", _ACTIONS)
_ANONYMOUS_ROLE = "anonymous"
#: After SIGTERM, which drains, one more ends it at once.
_TERM_WAIT_S = 5.0


def plan_builtin(manifest: Manifest, principals: Principals, port: int) -> RouterLaunch:
    """Plan the built-in Router; its configuration is written to ``<run_dir>/router``."""
    router, limits = manifest.router, manifest.router.limits
    folder = manifest.stack.run_dir / "router"
    socket_path = bindable(manifest.stack.run_dir / "router.sock")
    file = folder / "router.json"
    host = f"[{router.host}]" if ":" in router.host else router.host
    path = "/" + router.path.strip("/")
    settings = {
        "realm": manifest.stack.realm,
        "roles": _roles(router),
        "listeners": [
            {"unix": str(socket_path), "anonymous": None, "ticket": _own_tickets(principals)},
            {
                "host": router.host,
                "port": port,
                "path": path,
                "anonymous": None if router.anonymous == "off" else router.anonymous,
                "ticket": {
                    **_own_tickets(principals),
                    **_secrets(router.tickets),
                },
                "wampcra": _secrets(router.wampcra),
                "scram": _secrets(router.scram),
                "cryptosign": {
                    authid: {"role": user.role, "authorized_keys": list(user.authorized_keys)}
                    for authid, user in router.cryptosign.items()
                },
                "tls": _tls(router),
                "is_private": router.insecure or router.tls is not None or is_loopback(router.host),
            },
        ],
        "authorizer": router.authorizer,
        # It asks all Instances at once whether they live; they would be blamed for a refusal.
        "unlimited": [ORCHESTRATOR],
        "limits": {
            "message_bytes": limits.message_bytes,
            "sessions": limits.sessions,
            "join_timeout_s": limits.join_timeout_s,
            "ping_interval_s": limits.ping_interval_s,
            "ping_timeout_s": limits.ping_timeout_s,
            "queue_bytes": limits.queue_bytes,
            "closes_slow": limits.closes_slow,
            "drain_s": router.stop_grace_s,
        },
        "realm_limits": {
            "pending_calls": limits.pending_calls,
            "registrations": limits.registrations,
            "subscriptions": limits.registrations,
        },
        "log_level": "DEBUG" if manifest.stack.debug else "WARNING",
    }
    return RouterLaunch(
        type="builtin",
        # -P: a module of the standard library must not be shadowed by one in this folder.
        argv=(sys.executable, "-P", "-m", "wampy.router", str(file)),
        env={},
        cwd=folder,
        files={file: json.dumps(settings)},
        public_url=f"{'wss' if router.tls else 'ws'}://{host}:{port}{path}",
        stack_url=f"unix://{socket_path}",
        realm=manifest.stack.realm,
        host=router.host,
        port=port,
        stop_steps=(
            (int(signals.SIGTERM), router.stop_grace_s),
            (int(signals.SIGTERM), _TERM_WAIT_S),
        ),
        principals=principals,
        explanation=_Diagnosis(router.host, port),
        is_telling=True,
        has_members=True,
    )


def _own_tickets(principals: Principals) -> dict[str, dict[str, Any]]:
    """Give the three principals of this run; ``peer`` is a family, see ``member_of``."""
    found: dict[str, dict[str, Any]] = {}
    own = (principals.orchestrator, principals.peer, principals.operator)
    for role, credential in zip(RESERVED, own, strict=True):
        assert credential.authid is not None
        assert credential.secret is not None
        found[credential.authid] = {"role": role, "secret": credential.secret}
        if role == PEER:
            found[credential.authid]["is_family"] = True
    return found


def _secrets(users: dict[str, TicketUser]) -> dict[str, dict[str, str]]:
    return {authid: {"role": user.role, "secret": user.secret} for authid, user in users.items()}


def _tls(router: RouterSection) -> dict[str, str] | None:
    if router.tls is None:
        return None
    files = {"certificate": router.tls.certificate, "key": router.tls.key}
    if router.tls.client_ca is not None:
        files["client_ca"] = router.tls.client_ca
    return {name: str(path) for name, path in files.items()}


def _roles(router: RouterSection) -> dict[str, list[dict[str, Any]]]:
    """Give the roles of this run, those of the manifest, and ``anonymous`` if it has none."""
    everything = [_EVERYTHING, *(Permission(one, "prefix", _ACTIONS) for one in _RESERVED_PREFIXES)]
    roles: dict[str, list[Permission]] = {
        ORCHESTRATOR: everything,
        OPERATOR: everything,
        PEER: [
            _EVERYTHING,
            Permission("wampy.", "prefix", _ACTIONS),
            Permission("wamp.", "prefix", frozenset()),
        ],
    }
    manifest_roles = {name: list(permissions) for name, permissions in router.roles.items()}
    if router.anonymous == _ANONYMOUS_ROLE:
        allow = _ACTIONS - {"register"}
        manifest_roles.setdefault(_ANONYMOUS_ROLE, [Permission("", "prefix", allow)])
    for name, permissions in manifest_roles.items():
        # A permission of exactly that URI says nothing of what goes on from there.
        given = {one.uri for one in permissions if one.match == "prefix"}
        refusals = [
            Permission(prefix, "prefix", frozenset())
            for prefix in _RESERVED_PREFIXES
            if prefix not in given
        ]
        roles[name] = [*permissions, *refusals]
    return {
        name: [
            {"uri": one.uri, "match": one.match, "allow": sorted(one.allow)} for one in permissions
        ]
        for name, permissions in roles.items()
    }


@dataclass(frozen=True, slots=True)
class _Diagnosis:
    """Why the built-in Router ended: its own last line says it, as a rule."""

    host: str
    port: int

    def __call__(self, exit_code: int | None, signal: int | None, last_lines: Sequence[str]) -> str:
        """See ``RouterLaunch.explain``."""
        lines = [line.strip() for text in last_lines for line in text.split("\n") if line.strip()]
        last = lines[-1] if lines else ""
        if "Address already in use" in last:
            return busy_message(self.host, self.port)
        if signal is not None:
            return f"killed by {signals.Signals(signal).name}"
        how = "it has not become ready" if exit_code is None else f"exit code {exit_code}"
        return f"{how}: {last}" if last else how
