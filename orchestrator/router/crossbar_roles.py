"""The roles of a generated Crossbar: who may do what there.

- Crossbar takes ordinary permissions for ``wamp.*`` meta procedures, so every role that may use ""
  is refused ``wamp.`` expressly; and ``wampy.``, where the stack keeps its own procedures.
- Of a role's permissions the longest that begins the URI decides, an exact one too: one on "a.b"
  would make Crossbar refuse "a.bc", whatever a shorter prefix allows. So what the prefix allows is
  said again for every way in which the URI of an exact one may go on.
- A wildcard goes before every prefix; where that would matter it is a fault of the manifest, see
  ``manifest.crossbar_wildcards``.
- A role of Crossbar's has permissions or an authorizer, never both: the authorizer is asked about
  all that the role does, or about nothing.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from typing import Any

from orchestrator.errors import RouterUnavailable
from orchestrator.manifest.model import Permission, RouterSection
from orchestrator.router.principals import OPERATOR, ORCHESTRATOR, PEER, RESERVED

ACTIONS = ("call", "register", "publish", "subscribe")
EVERYTHING = frozenset(ACTIONS)
#: What only the stack may use, unless a permission of the manifest names it.
RESERVED_PREFIXES = ("wamp.", "wampy.")
#: Actions whose URI may be a pattern that covers more than it spells.
PATTERN_ACTIONS = frozenset({"register", "subscribe"})
#: What a URI begins with; not a dot, with which only wildcard patterns begin.
FIRST_CHARACTERS = string.ascii_letters + string.digits + "_-"
#: How it may go on.
URI_CHARACTERS = FIRST_CHARACTERS + "."
#: The role of who joins over TCP without a ticket, if the manifest says nothing else.
ANONYMOUS_ROLE = "anonymous"


def roles_of(router: RouterSection) -> list[dict[str, Any]]:
    """Give Crossbar's roles: those of this run, the manifest's, ``anonymous`` if it has none."""
    roles = [
        _role(ORCHESTRATOR, [Permission("", "prefix", EVERYTHING)]),
        _role(OPERATOR, [Permission("", "prefix", EVERYTHING)]),
        _role(
            PEER, [Permission("", "prefix", EVERYTHING), Permission("wamp.", "prefix", frozenset())]
        ),
    ]
    for name, permissions in router.roles.items():
        if name in RESERVED:
            raise RouterUnavailable(
                f"[[router.roles.{name}]]: {name!r} is a role of the stack itself;"
                " choose another name"
            )
        if router.authorizer is not None and not permissions:
            roles.append({"name": name, "authorizer": router.authorizer})
        else:
            roles.append(_role(name, _with_refusals(permissions)))
    if router.anonymous == ANONYMOUS_ROLE and ANONYMOUS_ROLE not in router.roles:
        allow = EVERYTHING - {"register"}
        roles.append(_role(ANONYMOUS_ROLE, _with_refusals([Permission("", "prefix", allow)])))
    return roles


def _with_refusals(permissions: Iterable[Permission]) -> list[Permission]:
    """Add the refusal of what is the stack's own, where no permission names just that.

    A pattern such as prefix "w" would cover it too, meta events with everybody's session details
    included. Crossbar looks a pattern up like a URI, so the beginnings of what is refused ("", "w",
    "wa" …) lose the actions that take patterns, and all their other continuations get them back.
    """
    given = tuple(permissions)
    # Of two on the same URI the exact one decides on just that, and the prefix on what goes on.
    result = {one.uri: one for one in sorted(given, key=lambda one: one.match == "exact")}
    opened = {one.uri for one in given if one.match == "prefix"}
    refused = [prefix for prefix in RESERVED_PREFIXES if prefix not in opened]
    refusals = [Permission(prefix, "prefix", frozenset()) for prefix in refused]
    stated = frozenset(result)
    for refusal in refusals:
        # A permission of exactly that URI says nothing of what goes on from there.
        result.setdefault(refusal.uri, refusal)
    for beginning in sorted({prefix[:size] for prefix in refused for size in range(len(prefix))}):
        allowed = _allowed_below(given, beginning)
        if (beginning in stated and beginning != "") or not allowed & PATTERN_ACTIONS:
            continue
        result[beginning] = Permission(beginning, "prefix", allowed - PATTERN_ACTIONS)
        for character in URI_CHARACTERS if beginning else FIRST_CHARACTERS:
            continued = beginning + character
            if not any(prefix.startswith(continued) for prefix in refused):
                result.setdefault(continued, Permission(continued, "prefix", allowed))
    for exact in given:
        allowed = _allowed_below((*given, *refusals), exact.uri)
        if exact.match == "exact" and (allowed or exact.uri in refused):
            for character in URI_CHARACTERS:
                continued = exact.uri + character
                # Crossbar takes two dots for a wildcard, whatever is said.
                if ".." not in continued:
                    result.setdefault(continued, Permission(continued, "prefix", allowed))
    return list(result.values())


def _allowed_below(permissions: Iterable[Permission], uri: str) -> frozenset[str]:
    """Give what the longest prefix permission allows for URIs that begin with ``uri``."""
    matching = [one for one in permissions if one.match == "prefix" and uri.startswith(one.uri)]
    return max(matching, key=lambda one: len(one.uri)).allow if matching else frozenset()


def _role(name: str, permissions: Iterable[Permission]) -> dict[str, Any]:
    return {
        "name": name,
        "permissions": [
            {
                "uri": permission.uri,
                "match": permission.match,
                "allow": {action: action in permission.allow for action in ACTIONS},
                # Who called and who published is told, as far as a callee or subscriber asks.
                "disclose": {"caller": True, "publisher": True},
                "cache": True,
            }
            for permission in permissions
        ],
    }
