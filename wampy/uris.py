"""URIs of procedures, topics and errors.

Spec: Basic Profile, "URIs". The loose rule is the one that is checked, since it is the default of
Crossbar, where a URI that breaks it ends the whole Session: so it is checked before sending.
"""

from __future__ import annotations

import re

from wampy.errors import LocalProtocolError, kind_of

_COMPONENT = r"[^\s.#]+"
_EXACT = re.compile(rf"(?:{_COMPONENT}\.)*{_COMPONENT}")
_WILDCARD = re.compile(r"[^\s.#]*(?:\.[^\s.#]*)*")

#: URIs without a fault, found so lately: most messages have one of a few. Longer ones are looked at
#: each time: others send them, and what is kept of them is bounded.
_fine: set[str] = set()
_LONGEST_KEPT = 255
_MOST_KEPT = 4096

#: How a registration or subscription matches.
MATCHES = ("exact", "prefix", "wildcard")


def is_uri(text: object) -> bool:
    """Whether this is a URI by the loose rule: components without white space, ``.`` and ``#``."""
    return isinstance(text, str) and _EXACT.fullmatch(text) is not None


def is_pattern(text: object, match: str) -> bool:
    """Whether this is a URI, or a pattern for ``match``: empty components are allowed there."""
    if match == "exact":
        return is_uri(text)
    return isinstance(text, str) and _WILDCARD.fullmatch(text) is not None


def check_uri(uri: str, match: str = "exact") -> str:
    """Give ``uri`` back if it may be sent.

    Args:
        uri: a URI, or a pattern where ``match`` is ``prefix`` or ``wildcard``.
        match: ``exact``, ``prefix`` or ``wildcard``.

    Raises:
        LocalProtocolError: it is no URI, or ``match`` is none of the three.
    """
    if type(uri) is str and uri in _fine and match == "exact":
        return uri
    if not isinstance(uri, str):
        raise LocalProtocolError(f"{kind_of(uri)} is not a URI; expected a text")
    if not isinstance(match, str):
        raise LocalProtocolError(f"match is {kind_of(match)}; expected one of {', '.join(MATCHES)}")
    fault = uri_fault(uri, match)
    if fault is not None:
        raise LocalProtocolError(fault)
    return uri


def uri_fault(uri: str, match: str = "exact") -> str | None:
    """Say why a text may not be sent as URI, or as pattern for ``match``; None when it may.

    What it says has no more than the text's first hundred characters.
    """
    if uri in _fine and match == "exact":
        return None
    fault = _find_fault(uri, match)
    if fault is None and match == "exact" and len(uri) <= _LONGEST_KEPT:
        if len(_fine) >= _MOST_KEPT:
            _fine.clear()
        _fine.add(uri)
    return fault


def _find_fault(uri: str, match: str) -> str | None:
    if match not in MATCHES:
        return f"match is {match!r}; expected one of {', '.join(MATCHES)}"
    if not is_pattern(uri, match):
        return (
            f"{uri!r:.100} is not a URI: it is made of parts joined by dots, "
            "without white space, '#' or empty parts"
        )
    return None
