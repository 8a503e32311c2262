"""An AsyncSession has what a Session has, under the same names."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from wampy import AsyncSession, Session
from wampy.aio.handles import AsyncRegistration, AsyncSubscription
from wampy.aio.meta import AsyncMeta
from wampy.session.handles import Registration, Subscription
from wampy.session.meta import Meta


def public(cls: type) -> dict[str, Any]:
    return {
        name: inspect.getattr_static(cls, name)
        for name in dir(cls)
        if not name.startswith("_") or name == "__init__"
    }


#: Below the public face: what other modules of the library use.
INSIDE = {
    "answer", "answer_error", "answer_progress", "answer_to", "ask_to_cancel", "check_usable",
    "close", "drained", "drop_event", "expire", "flush", "futures_changed", "give_up",
    "give_up_later", "interrupt", "is_in_loop", "is_unusable", "keep_locked", "leave", "lose",
    "part_sent", "post", "post_part", "request", "set_up", "take_back", "tear_down", "timeout_of",
    "undo", "wait_for", "wait_idle", "wake", "welcomed_locked",
}  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Session, AsyncSession),
        (Registration, AsyncRegistration),
        (Subscription, AsyncSubscription),
        *(
            (type(getattr(Meta(print), name)), type(getattr(AsyncMeta(print), name)))
            for name in ("sessions", "registrations", "subscriptions")
        ),
    ],
)
def test_both_have_the_same_names_and_parameters(one: type, other: type) -> None:
    ours, theirs = public(one), public(other)
    names = set(ours) - INSIDE
    assert names == set(theirs) - INSIDE
    waiting = set()
    for name in names:
        if not callable(ours[name]):
            continue
        parameters = [inspect.signature(member[name]).parameters for member in (ours, theirs)]
        if name != "call_parts":  # which takes an asynchronous iterable, too
            assert list(parameters[0].values()) == list(parameters[1].values()), name
        if inspect.iscoroutinefunction(theirs[name]):
            waiting.add(name)
    if one is Session:
        assert waiting == {
            "add_testament", "begin", "call", "call_parts", "call_result", "drain", "end",
            "flush_testaments", "publish", "recv", "register", "send", "send_and_receive",
            "subscribe", "wait_closed",
        }  # fmt: skip
