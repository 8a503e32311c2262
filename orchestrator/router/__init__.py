"""How a Router is started, joined and stopped: plans, without starting anything.

The supervisor carries a plan out; what is known of one kind of Router is said here only. A file
each: ``launch`` (the plan's shape), ``principals`` (who joins in this run), ``ports``, ``crossbar``
(plans for Crossbar), ``crossbar_config`` (its node configuration, with ``crossbar_roles``,
``crossbar_auth`` and ``crossbar_tls``), ``own_config`` (a node configuration of the user's own),
``external``, and ``diagnosis`` (why a Router ended).
"""

from __future__ import annotations

from orchestrator.errors import RouterUnavailable
from orchestrator.router.launch import RouterLaunch
from orchestrator.router.plan import plan_router, port_of
from orchestrator.router.ports import choose_port
from orchestrator.router.principals import ANONYMOUS, Credential, Principals, new_principals

__all__ = [
    "ANONYMOUS",
    "Credential",
    "Principals",
    "RouterLaunch",
    "RouterUnavailable",
    "choose_port",
    "new_principals",
    "plan_router",
    "port_of",
]
