"""How long a Session waits between two attempts to connect."""

from __future__ import annotations

from itertools import islice, pairwise
from random import Random

import pytest

from wampy.session.backoff import longest_backoff_s, pauses_s
from wampy.transports import parse_url

FAR = parse_url("wss://router.example.com/ws")


@pytest.mark.parametrize(
    ("url", "longest_s"),
    [
        ("wss://router.example.com/ws", 5.0),
        ("tcp://10.0.0.1:9", 5.0),
        ("ws://localhost/ws", 0.5),
        ("ws://127.0.0.1/ws", 0.5),
        ("tcp://[::1]:9", 0.5),
        ("unix:///r.sock", 0.5),
    ],
)
def test_pauses_grow_to_a_longest_one(url: str, longest_s: float) -> None:
    """5 s, or half a second on this machine; by a factor of 1.6, from 50 ms."""
    address = parse_url(url)
    pauses = list(islice(pauses_s(address, lambda: 1.0), 30))
    assert pauses[0] == 0.05
    for before, after in pairwise(pauses):
        assert after == pytest.approx(min(before * 1.6, longest_s))
    assert max(pauses) == pauses[-1] == longest_s == longest_backoff_s(address)


def test_jitter_takes_up_to_half_of_a_pause() -> None:
    longest = list(islice(pauses_s(FAR, lambda: 1.0), 20))
    assert list(islice(pauses_s(FAR, lambda: 0.0), 20)) == pytest.approx(
        [pause / 2 for pause in longest]
    )
    random = Random(1).random
    jittered = list(islice(pauses_s(FAR, random), 1000))[20:]
    assert 2.5 <= min(jittered) < 2.6
    assert 4.9 < max(jittered) <= 5.0


def test_two_sessions_do_not_wait_alike() -> None:
    one, other = (list(islice(pauses_s(FAR, Random(seed).random), 5)) for seed in (1, 2))
    assert one != other
