"""Programs in any language as Instances: found, told how to join, and exec'ed.

A program is exec'ed by the supervisor itself: what has to be done between fork and exec takes far
less than the start of an interpreter would, and the supervisor has one thread, so it may be done
there (``preexec_fn``). It starts as an Instance of a Peer class does: a session and group of its
own, dying with the supervisor, adopting what its children leave behind, default signal handlers,
no signal blocked, no descriptor but the standard ones; mask and limits as the manifest says.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.limits import Pairs, hard_limit, set_limits
from orchestrator.manifest.nodes import Reading
from orchestrator.manifest.programs import JOINING
from orchestrator.manifest.reading import placed, shown_path
from orchestrator.processes import become_subreaper, die_with_parent
from orchestrator.program_watch import Program
from orchestrator.router.principals import Credential, member_of

if TYPE_CHECKING:
    from orchestrator.core.spec import HeartbeatPolicy
    from orchestrator.core.states import InstanceId
    from orchestrator.manifest import Fault, Manifest, PeerSection
    from orchestrator.router import RouterLaunch

#: Listening on all addresses is reached at this one; a program runs where the Router does.
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


def find_faults(manifest: Manifest) -> list[Fault]:
    """Find what this machine lacks for a manifest: programs, and limits that it allows.

    Beside the manifest's own faults and not among them: a stack whose program has been removed
    meanwhile can be looked at and stopped nevertheless.
    """
    reading = Reading()
    for name, peer in manifest.peers.items():
        if peer.command is not None:
            program = peer.command[0]
            path = {**manifest.environ, **peer.env}.get("PATH", os.defpath)
            fault = _fault_of(program, path)
            if fault is not None:
                reading.fault(("peers", name, "command"), fault)
        for limit, value in peer.limits.items():
            hard = hard_limit(limit)
            if hard is not None and (value is None or value > hard):
                got = "unlimited" if value is None else value
                reading.fault(
                    ("peers", name, "limits", limit),
                    f"expected {hard} at most, the hard limit of this process, got {got}; "
                    "raise that first (ulimit -H), or ask for less",
                )
    return placed(reading, manifest.text, shown_path(manifest.path)) if reading.found else []


def _fault_of(program: str, path: str) -> str | None:
    if shutil.which(program, path=path) is not None:
        return None
    if "/" not in program:
        return f"expected a program, got {program}, which is not in PATH"
    if Path(program).is_file():
        return f"expected a program, got {program}, which may not be executed; chmod +x it"
    return f"expected a program, got {program}, which is none"


def program_environ(
    environ: Mapping[str, str], url: str, realm: str, credential: Credential
) -> dict[str, str]:
    """Give the environment of a program: ``environ``, and how it joins.

    Whoever joins anonymously has neither ``WAMPY_AUTHID`` nor ``WAMPY_TICKET``; who joins by
    another method than a ticket has ``WAMPY_AUTHMETHOD`` and ``WAMPY_SECRET`` instead of that.
    """
    has_ticket = credential.method == "ticket"
    joining = (
        *(_reachable(url), realm, credential.authid),
        *(credential.secret if has_ticket else None, None if has_ticket else credential.method),
        None if has_ticket else credential.secret,
    )
    given = {name: text for name, text in zip(JOINING, joining, strict=True) if text is not None}
    return {**{name: text for name, text in environ.items() if name not in JOINING}, **given}


def _reachable(url: str) -> str:
    scheme, _, rest = url.partition("://")
    host, colon, port = rest.rpartition(":")
    return f"{scheme}://{_LOOPBACK[host]}{colon}{port}" if host in _LOOPBACK else url


def start_program(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdio: tuple[int, int],
    umask: int | None,
    limits: Pairs,
) -> int:
    """Exec a program in a process of its own and give its pid; whoever asks has to reap it.

    Blocks until it has been exec'ed.

    Raises:
        OSError: it cannot be; nothing was started.
    """
    supervisor = os.getpid()

    def prepare() -> None:
        die_with_parent(supervisor)
        become_subreaper()
        for signum in signal.valid_signals():
            # Also those that are ignored: that outlives an exec.
            with contextlib.suppress(OSError):
                signal.signal(signum, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        set_limits(limits)

    try:
        process = subprocess.Popen(
            list(command),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=stdio[0],
            stderr=stdio[1],
            start_new_session=True,
            umask=-1 if umask is None else umask,
            preexec_fn=prepare,
        )
    except subprocess.SubprocessError as error:
        # All that can fail between fork and exec.
        raise OSError(None, "its limits cannot be set") from error
    process.returncode = 0  # the reaper knows its end, this object never will
    return process.pid


def program_credential(launch: RouterLaunch, instance: InstanceId, incarnation: int) -> Credential:
    """Give how an incarnation joins: as somebody of its own, where the Router knows such."""
    peer = launch.principals.peer
    return member_of(peer, f"{instance}#{incarnation}") if launch.has_members else peer


def program_of(
    peer: PeerSection,
    launch: RouterLaunch,
    instance: InstanceId,
    incarnation: int,
    pid: int,
    policy: HeartbeatPolicy,
) -> Program:
    """Give what an incarnation is looked at by."""
    credential = program_credential(launch, instance, incarnation)
    heartbeat = peer.heartbeat_of(instance.index)
    procedures = [*peer.provides, *([] if heartbeat is None else [heartbeat])]
    return Program(
        instance,
        incarnation,
        pid,
        credential.authid if launch.has_members else None,
        tuple(dict.fromkeys(procedures)),
        heartbeat,
        policy,
        peer.spec.start_timeout_s,
        peer.pss_interval_s,
    )
