"""What each side can do, as HELLO and WELCOME tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What we can do, as HELLO tells it.
DEFAULT_ROLES: dict[str, Any] = {
    "caller": {
        "features": {
            "caller_identification": True,
            "call_canceling": True,
            "call_timeout": True,
            "payload_passthru_mode": True,
            "progressive_call_invocations": True,
            "progressive_call_results": True,
        }
    },
    "callee": {
        "features": {
            "caller_identification": True,
            "call_canceling": True,
            "payload_passthru_mode": True,
            "pattern_based_registration": True,
            "progressive_call_invocations": True,
            "progressive_call_results": True,
            "registration_revocation": True,
            "shared_registration": True,
        }
    },
    "publisher": {
        "features": {
            "payload_passthru_mode": True,
            "publisher_exclusion": True,
            "publisher_identification": True,
            "subscriber_blackwhite_listing": True,
        }
    },
    "subscriber": {
        "features": {
            "event_history": True,
            "pattern_based_subscription": True,
            "payload_passthru_mode": True,
            "publisher_identification": True,
            "subscription_revocation": True,
        }
    },
}


def has_feature(details: Mapping[str, Any], role: str, feature: str) -> bool:
    """Whether WELCOME.Details announce a feature, such as ``dealer`` and ``call_timeout``."""
    found: Any = details
    for key in ("roles", role, "features", feature):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found is True


def timeout_unit_s(details: Mapping[str, Any]) -> float | None:
    """Give the seconds that one of CALL.Options.timeout stands for at this Router."""
    agent = details.get("agent")
    if isinstance(agent, str) and agent.startswith("Crossbar"):
        # It does not announce the feature and counts seconds, where the spec has milliseconds.
        return 1.0
    return 0.001 if has_feature(details, "dealer", "call_timeout") else None
