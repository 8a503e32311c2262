"""What a manifest may not ask for with ``type = "crossbar"``: each a fault, with the mend.

Only what Crossbar 26.10 cannot do; its node configuration has no key for it, or a narrower one.
Keys that are left out have defaults that hold for the built-in Router alone, and are no faults.
"""

from __future__ import annotations

import re

from orchestrator.manifest.crossbar_wildcards import check_wildcards
from orchestrator.manifest.model import Permission, RouterSection
from orchestrator.manifest.nodes import Node, Reading

#: Keys of ``[router.limits]`` that Crossbar has nothing for.
_LIMITS = {
    "pending_calls": "Crossbar counts no calls",
    "registrations": "Crossbar counts no registrations or subscriptions",
    "join_timeout": "Crossbar waits for HELLO and AUTHENTICATE without end",
    "queue": "Crossbar bounds no queue",
    "slow_consumer": "Crossbar drops nothing and closes nobody who reads slowly",
}
_LEAST_BYTES, _MOST_BYTES = 512, 64 * 2**20
#: It gives its times in milliseconds, and takes no fewer than so many.
_LEAST_S = 1.0
#: Crossbar's own rule for an authorizer's URI.
_STRICT_URI = re.compile(r"([\da-z_]+\.)*[\da-z_]+")
#: Crossbar takes such a secret for the name of a variable of its environment.
_VARIABLE = re.compile(r"\$\{.+\}")


def check_crossbar(section: RouterSection, given: dict[str, Node], reading: Reading) -> None:
    """Note what Crossbar cannot do of ``[router]``.

    Args:
        section: as it was read.
        given: the keys that the manifest itself has.
        reading: takes the faults.
    """
    _check_limits(section, _children(given.get("limits")), reading)
    auth = _children(given.get("auth"))
    _check_secrets(section, auth, reading)
    _check_scram(section, auth, reading)
    for role, permissions in section.roles.items():
        check_wildcards(role, permissions, reading)
    if section.authorizer is not None and "authorizer" in auth:
        _check_authorizer(section, auth["authorizer"], reading)


def _children(node: Node | None) -> dict[str, Node]:
    return node.value if node is not None and isinstance(node.value, dict) else {}


def _check_limits(section: RouterSection, given: dict[str, Node], reading: Reading) -> None:
    for name, why in _LIMITS.items():
        if name in given:
            reading.fault(
                given[name].path,
                f'expected only with type = "builtin": {why}; leave it out',
            )
    size = section.limits.message_bytes
    if "message_size" in given and not _LEAST_BYTES <= size <= _MOST_BYTES:
        reading.fault(
            given["message_size"].path,
            f'expected 512 B to 64 MiB with type = "crossbar", got {size} B',
        )
    ping = _children(given.get("ping"))
    times = {"interval": section.limits.ping_interval_s, "timeout": section.limits.ping_timeout_s}
    for name, seconds in times.items():
        if name in ping and seconds < _LEAST_S:
            reading.fault(
                ping[name].path,
                f'expected 1 s or more with type = "crossbar", got {seconds:g} s',
            )


def _check_secrets(section: RouterSection, auth: dict[str, Node], reading: Reading) -> None:
    for method, users in (("ticket", section.tickets), ("wampcra", section.wampcra)):
        for authid, user in users.items():
            if user is not None and _VARIABLE.fullmatch(user.secret):
                reading.fault(
                    (*auth[method].path, authid, "secret"),
                    "expected another secret: Crossbar takes this one for a variable's name",
                )


def _check_scram(section: RouterSection, auth: dict[str, Node], reading: Reading) -> None:
    if not section.scram:
        return
    from wampy.auth.scram import normalized  # late: it loads OpenSSL

    for authid, user in section.scram.items():
        place = (*auth["scram"].path, authid)
        if not authid.isascii():
            reading.fault(place, "expected an authid in ASCII: Crossbar takes no other for scram")
        elif not normalized(authid):
            reading.fault(place, "expected an authid that SASLprep allows (RFC 4013)")
        if user is not None and not normalized(user.secret):
            reading.fault((*place, "secret"), "expected a secret that SASLprep allows (RFC 4013)")


def _check_authorizer(section: RouterSection, node: Node, reading: Reading) -> None:
    """It is asked where no permission matches; Crossbar asks it about all of a role, or nothing."""
    if not _STRICT_URI.fullmatch(section.authorizer or ""):
        reading.fault(
            node.path,
            'expected small letters, digits and underscores with type = "crossbar", '
            f'got "{section.authorizer}"',
        )
    for role, permissions in section.roles.items():
        if permissions and not any(map(_matches_all, permissions)):
            reading.fault(
                ("router", "roles", role),
                'expected no permissions, or one with uri = "" and match = "prefix", beside '
                "[router.auth] authorizer: Crossbar asks that about all that a role does or about "
                f'nothing; say {role} = [] under [router.roles], or type = "builtin"',
            )


def _matches_all(permission: Permission | None) -> bool:
    """Whether nothing is left to be asked about."""
    return permission is not None and permission.uri == "" and permission.match == "prefix"
