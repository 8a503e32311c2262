"""Messages and descriptors between processes, over a real socket."""

from __future__ import annotations

import os

import pytest

from orchestrator import channel


def test_messages_keep_their_borders_and_the_end_is_told() -> None:
    ours, theirs = channel.channel_pair()
    assert channel.send(ours, {"a": 1})
    assert channel.send(ours, {"b": "ü\n"})
    assert channel.receive(theirs) == ({"a": 1}, [])
    assert channel.receive(theirs) == ({"b": "ü\n"}, [])
    ours.close()
    assert channel.receive(theirs) is None
    assert channel.send(theirs, {}) is False
    theirs.close()


@pytest.mark.parametrize("size", [0, channel.MAX_PACKET - 20, channel.MAX_PACKET, 3_000_000])
def test_descriptors_travel_beside_a_message_of_any_length(size: int) -> None:
    ours, theirs = channel.channel_pair()
    reads, writes = os.pipe()
    before = len(os.listdir("/proc/self/fd"))
    assert channel.send(ours, {"text": "x" * size}, (writes,))
    received = channel.receive(theirs)
    assert received is not None
    message, [fd] = received
    assert len(message["text"]) == size
    assert not os.get_inheritable(fd)
    os.write(fd, b"through")
    assert os.read(reads, 10) == b"through"
    os.close(fd)
    assert len(os.listdir("/proc/self/fd")) == before, "nothing else was opened"
    for end in (ours, theirs):
        end.close()
    os.close(reads)
    os.close(writes)


def test_nothing_there_and_nobody_who_reads() -> None:
    ours, theirs = channel.channel_pair()
    ours.setblocking(False)
    with pytest.raises(BlockingIOError):
        channel.receive(ours)
    sent = 0
    while channel.send(ours, {"number": sent}):
        sent += 1
    numbers = []
    for _ in range(sent):
        received = channel.receive(theirs)
        assert received is not None
        numbers.append(received[0]["number"])
    assert numbers == list(range(sent)), "each came whole or not at all"
    ours.close()
    theirs.close()
