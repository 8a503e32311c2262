"""Plans for Crossbar.

- It has a folder of its own for its files and as its current one: its worker has that on the module
  path, and a file of the user's that is named like a standard module would be imported.
- SIGINT ends it cleanly; on SIGTERM it takes longer, and says 1.
- It says READY=1 on NOTIFY_SOCKET when everything is up, so its log need not be read for that and
  can keep to warnings.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path

from orchestrator.errors import RouterUnavailable
from orchestrator.manifest.model import Manifest
from orchestrator.paths import bindable
from orchestrator.router import own_config
from orchestrator.router.crossbar_config import node_config
from orchestrator.router.crossbar_tls import listening_tls
from orchestrator.router.diagnosis import CrossbarDiagnosis
from orchestrator.router.launch import RouterLaunch
from orchestrator.router.principals import Principals, joined_as

#: After SIGTERM it gives its workers up to 20 s; one second of polling is the rule.
TERM_WAIT_S = 5.0
#: Crossbar's own rule for a Realm's name.
REALM_PATTERN = re.compile(r"[A-Za-z][A-Za-z\d_\-@.]{2,254}")


def plan_generated(manifest: Manifest, principals: Principals, port: int) -> RouterLaunch:
    """Plan a Crossbar that runs on a generated configuration, in ``<run_dir>/router``.

    Raises:
        RouterUnavailable: no Crossbar is installed, or it would refuse what the manifest asks for.
    """
    router, realm = manifest.router, manifest.stack.realm
    if REALM_PATTERN.fullmatch(realm) is None:
        raise RouterUnavailable(
            f"[stack] realm: Crossbar takes no realm {realm!r}; it wants a letter, then 2 to 254 of"
            " letters, digits, _ - @ ."
        )
    command = _command(manifest)
    folder = manifest.stack.run_dir / "router"
    socket_path = bindable(manifest.stack.run_dir / "router.sock")
    tls, files = None, dict[Path, str]()
    if router.tls is not None:
        tls, files = listening_tls(router.tls, folder)
    config = node_config(router, realm, principals, port, str(socket_path), tls)
    host = f"[{router.host}]" if ":" in router.host else router.host
    return RouterLaunch(
        type="crossbar",
        argv=(*command, *_start_options(folder, folder / "config.json")),
        # The generated configuration runs no code of the user's, so none is to be found.
        env={"PYTHONUNBUFFERED": "1", "PYTHONPATH": "", "PYTHONHOME": ""},
        cwd=folder,
        files={folder / "config.json": json.dumps(config, indent=1), **files},
        public_url=f"{'ws' if tls is None else 'wss'}://{host}:{port}/{router.path.strip('/')}",
        stack_url=f"unix://{socket_path}",
        realm=realm,
        host=router.host,
        port=port,
        stop_steps=_stop_steps(manifest),
        principals=principals,
        explanation=CrossbarDiagnosis(command, router.host, port, None),
    )


def plan_own(manifest: Manifest, config: Path) -> RouterLaunch:
    """Plan a Crossbar that runs on the user's own configuration.

    Its folder is that file's: relative paths mean what they mean when the user starts it by hand.

    Raises:
        RouterUnavailable: no Crossbar is installed, or the configuration gives the stack no way in.
    """
    router = manifest.router
    command = _command(manifest)
    ways = own_config.ways_in(manifest, config)
    public = own_config.public_way(ways)
    return RouterLaunch(
        type="crossbar",
        argv=(*command, *_start_options(config.parent, config)),
        env={"PYTHONUNBUFFERED": "1"},
        cwd=config.parent,
        files={},
        public_url=public.url,
        stack_url=own_config.stack_way(ways, router.join).url,
        realm=manifest.stack.realm,
        host=public.host,
        port=public.port,
        stop_steps=_stop_steps(manifest),
        principals=joined_as(router.join),
        explanation=CrossbarDiagnosis(command, public.host, public.port, config),
    )


def _start_options(folder: Path, config: Path) -> tuple[str, ...]:
    where = ("--cbdir", str(folder), "--config", str(config))
    return ("start", *where, "--loglevel", "warn", "--color", "false")


def _stop_steps(manifest: Manifest) -> tuple[tuple[int, float], ...]:
    return (
        (int(signal.SIGINT), manifest.router.stop_grace_s),
        (int(signal.SIGTERM), TERM_WAIT_S),
    )


def _command(manifest: Manifest) -> tuple[str, ...]:
    """Give the program and its first arguments, the program as an absolute path."""
    if manifest.router.command is None:
        from wampy.testing.executables import CrossbarNotFound, find_crossbar

        try:
            return (str(find_crossbar(manifest.root, manifest.environ)),)
        except CrossbarNotFound as error:
            raise RouterUnavailable(f"[router] {error}") from error
    program, *arguments = manifest.router.command
    sought = str(manifest.root / program) if os.sep in program else program
    found = shutil.which(sought, path=manifest.environ.get("PATH"))
    if found is None:
        raise RouterUnavailable(
            f"[router] command: {program!r} is no program that can be executed"
            f" (looked for {sought if os.sep in program else 'it on PATH'})"
        )
    return (os.path.abspath(found), *arguments)
