"""When an Instance has served enough: its memory, its calls, its age.

Who is replaced for that goes through a rolling restart, so never two replicas at once, and nothing
is lost. The jitter is to the early side: a limit of calls or age is not passed because of it.
"""

from __future__ import annotations

from orchestrator.core.spec import PeerSpec

#: How much earlier than its limit of calls or age one may be replaced, as a part of it.
JITTER = 0.1


def reason_to_recycle(
    spec: PeerSpec, *, age_s: float, calls: int, pss_bytes: int | None, spread: float
) -> str | None:
    """Say which limit has been reached, for people, or None.

    Args:
        spec: with the limits, None for those that are off.
        age_s: seconds since the start of the incarnation.
        calls: that it has answered.
        pss_bytes: its memory, None where it is not known.
        spread: random in [-1, 1], the same for the whole life of the incarnation.
    """
    early = 1.0 - JITTER * (1.0 + spread) / 2.0
    if spec.max_memory_bytes is not None and (pss_bytes or 0) > spec.max_memory_bytes:
        return f"it has {_mib(pss_bytes or 0)} (max_memory {_mib(spec.max_memory_bytes)})"
    if spec.max_calls is not None and calls >= spec.max_calls * early:
        return f"it has answered {calls} calls (max_calls {spec.max_calls})"
    if spec.max_age_s is not None and age_s >= spec.max_age_s * early:
        return f"it is {age_s:.0f} s old (max_age {spec.max_age_s:g} s)"
    return None


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.1f} MiB"
