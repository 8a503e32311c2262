"""What a loop over the socket does a second, without a library: the most there is to win."""

from __future__ import annotations

import time

import msgspec
from measuring import COUNT, IN_FLIGHT, PROCEDURE, ROLE, SECONDS, TOPIC, URL, measure

from benchmarks.bare_clients import BareClient

EVENT, INVOCATION, RESULT = 36, 68, 50


def serve(client: BareClient) -> None:
    """Echo, count events and say how many there were, until killed."""
    encode, decode = client.encode, client.invocation
    registrations = []
    for request, procedure in enumerate((PROCEDURE, COUNT), 1):
        client.send(encode([64, request, {}, procedure]))
        # REGISTERED: code, request, registration; an INVOCATION has it in the same place.
        registrations.append(bytes(decode(client.frame()).registration))
    client.send(encode([32, 3, {}, TOPIC]))
    client.frame()
    print("ready", flush=True)
    heard = 0
    while True:
        answers = []
        for one in map(decode, client.read()):
            if one.code == EVENT:
                heard += 1
            elif one.code == INVOCATION:
                is_echo = bytes(one.registration) == registrations[0]
                answers.append(encode([70, one.request, {}, one.args if is_echo else [heard]]))
        if answers:
            client.send(*answers)


def call(client: BareClient) -> None:
    """Measure, as a Caller and Publisher."""
    encode, answer = client.encode, client.answer
    codec = msgspec.json if URL.startswith("ws://") else msgspec.msgpack
    decode = codec.Decoder(list).decode
    request = 0

    def called(procedure: str, *args: str) -> object:
        nonlocal request
        request += 1
        client.send(encode([48, request, {}, procedure, args]))
        got = answer(client.frame())
        assert (got.code, got.request) == (RESULT, request), got
        return decode(got.args)[0]

    def publish(text: str) -> None:
        nonlocal request
        request += 1
        client.send(encode([16, request, {}, TOPIC, [text]]))

    def in_flight() -> float:
        nonlocal request
        count = under_way = 0
        began = time.perf_counter()
        while True:
            is_over = time.perf_counter() - began >= SECONDS
            if not is_over:
                numbers = range(request + 1, request + IN_FLIGHT - under_way + 1)
                client.send(*[encode([48, one, {}, PROCEDURE, ["hello"]]) for one in numbers])
                request, under_way = request + len(numbers), IN_FLIGHT
            elif not under_way:
                return count / (time.perf_counter() - began)
            found = [answer(one) for one in client.read()]
            assert all(one.code == RESULT and decode(one.args) == ["hello"] for one in found)
            count += len(found)
            under_way -= len(found)

    measure(lambda text: called(PROCEDURE, text), publish, lambda: called(COUNT), in_flight)


if __name__ == "__main__":
    one = BareClient(URL)
    serve(one) if ROLE == "callee" else call(one)
