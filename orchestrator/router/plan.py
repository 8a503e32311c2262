"""The plan for a manifest's Router, whatever its type."""

from __future__ import annotations

from orchestrator.manifest.model import Manifest
from orchestrator.router import builtin, crossbar, external, own_config
from orchestrator.router.launch import RouterLaunch
from orchestrator.router.ports import choose_port
from orchestrator.router.principals import Principals


def plan_router(manifest: Manifest, principals: Principals, port: int) -> RouterLaunch:
    """Plan the Router of ``manifest``. Starts nothing; reads files, writes none.

    Args:
        manifest: checked.
        principals: of this run; a Router of the user's own configuration does not know them, see
            ``RouterLaunch.principals``.
        port: what ``port_of`` gave.

    Raises:
        RouterUnavailable: it cannot run or be joined as things are: one message, with the mend.
    """
    if manifest.router.type == "external":
        return external.plan_external(manifest)
    if manifest.router.type == "builtin":
        return builtin.plan_builtin(manifest, principals, port)
    if manifest.router.config is not None:
        return crossbar.plan_own(manifest, manifest.router.config)
    return crossbar.plan_generated(manifest, principals, port)


def port_of(manifest: Manifest) -> int:
    """Give the TCP port that the Router will listen on: free now, unless the Router is external.

    Raises:
        RouterUnavailable: it is taken, or cannot be had.
    """
    router = manifest.router
    if router.type == "external":
        return external.address_of(router.url)[1]
    if router.config is not None:
        return own_config.port_of(own_config.ways_in(manifest, router.config))
    return choose_port(router.host, router.port)
