"""Messages on their way through the Router: payloads that are passed on, or converted."""

from __future__ import annotations

import itertools
import math
from typing import Any

import cbor2
import msgspec
import pytest

from wampy.errors import RemoteProtocolError, SerializationError
from wampy.messages import (
    Call,
    Error,
    Event,
    Hello,
    Invocation,
    Publish,
    Registered,
    Result,
    Subscribe,
    Yield,
)
from wampy.router.wire import RAW, Relayed, Wire, unpacked, wire_of
from wampy.serializers import CBOR, JSON, MSGPACK

SERIALIZERS: dict[str, Any] = {"json": JSON, "msgpack": MSGPACK, "cbor": CBOR}
#: Encoders that check nothing.
ENCODE: dict[str, Any] = {
    "json": msgspec.json.encode,
    "msgpack": msgspec.msgpack.encode,
    "cbor": cbor2.dumps,
}
PAYLOADS: list[tuple[list[Any], dict[str, Any]]] = [
    ([], {}),
    ([1, "ä€😀", None, True, 1.5, -(2**40)], {}),
    ([], {"key": [{"a": {"b": []}}]}),
    ([b"\0\xff", [b""]], {"b": b"x"}),
    (["x" * 1000], {"y": ["z" * 1000]}),
    (["\\u0000", "\u2028"], {"\\u0000": 1}),
]


@pytest.fixture(params=["json", "msgpack", "cbor"])
def here(request):
    return request.param


@pytest.fixture(params=["json", "msgpack", "cbor"])
def there(request):
    return request.param


def received(name: str, message: Any) -> Any:
    return wire_of(SERIALIZERS[name]).decode(SERIALIZERS[name].encode(message))


@pytest.mark.parametrize(("args", "kwargs"), PAYLOADS)
def test_payloads_arrive_as_they_were_sent(here, there, args, kwargs):
    call = received(here, Call(request_id=1, procedure="a.b", args=args, kwargs=kwargs))
    invocation = Invocation(request_id=2, registration_id=3, args=call.args, kwargs=call.kwargs)
    got: Any = SERIALIZERS[there].decode(wire_of(SERIALIZERS[there]).encode(invocation))
    assert (list(got.args), got.kwargs) == (args, kwargs)
    assert (got.request_id, got.registration_id) == (2, 3)


@pytest.mark.parametrize(
    ("message", "passed_on"),
    [
        (Publish(request_id=1, topic="a.b", args=[1], kwargs={"k": 2}), Event),
        (Yield(request_id=1, args=[1], kwargs={"k": 2}), Result),
        (
            Error(request_type=68, request_id=1, error="a.b", args=[1], kwargs={"k": 2}),
            Error,
        ),
    ],
)
def test_each_kind_is_passed_on(here, there, message, passed_on):
    got = received(here, message)
    assert type(got).__mro__[1] is Relayed
    assert got.WAMP_CODE == message.WAMP_CODE
    assert got.name == message.name
    ids: dict[type, dict[str, Any]] = {
        Event: {"subscription_id": 5, "publication_id": 6},
        Result: {"request_id": 5},
        Error: {"request_type": 48, "request_id": 5, "error": "c.d"},
    }
    sent = passed_on(**ids[passed_on], args=got.args, kwargs=got.kwargs)
    expected = passed_on(**ids[passed_on], args=[1], kwargs={"k": 2})
    assert SERIALIZERS[there].decode(wire_of(SERIALIZERS[there]).encode(sent)) == SERIALIZERS[
        there
    ].decode(SERIALIZERS[there].encode(expected))


def test_between_equal_serializers_the_octets_stay_as_they_are():
    octets = b'[1,  {"a" :2.50}]'
    call = Wire(JSON).decode(b'[48,1,{},"a.b",' + octets + b"]")
    assert type(call.args) is RAW
    sent = Wire(JSON).encode(Result(request_id=1, args=call.args, kwargs=call.kwargs))
    assert sent == b"[50,1,{}," + octets + b"]"


def test_between_cbor_and_cbor_they_stay_as_they_are_too():
    """A list and a text of no given length; nobody has to decode a value of 80 bits."""
    args, kwargs = b"\x9f\x7f\x61a\xff\xff", b"\xa1\x61k\xc2\x4a" + b"\1" * 10
    wire = wire_of(CBOR)
    call = wire.decode(b"\x86\x18\x30\x01\xa0\x63a.b" + args + kwargs)
    assert (call.args, call.kwargs) == (args, kwargs)
    sent = wire.encode(Result(request_id=1, args=call.args, kwargs=call.kwargs))
    assert sent == b"\x85\x18\x32\x01\xa0" + args + kwargs
    call = wire.decode(b"\x85\x18\x30\x01\xa0\x63a.b" + args)
    assert wire.encode(Result(request_id=1, args=call.args)) == b"\x84\x18\x32\x01\xa0" + args


def test_one_object_is_encoded_once(monkeypatch):
    wire = Wire(MSGPACK)
    made: list[Any] = []
    encode_anew = wire._encode_anew

    def noted(message: Any) -> bytes:
        made.append(message)
        return encode_anew(message)

    monkeypatch.setattr(wire, "_encode_anew", noted)
    call = received("json", Call(request_id=1, procedure="a.b", args=[1]))
    events = [Event(subscription_id=1, publication_id=number, args=call.args) for number in (1, 2)]
    encoded = [wire.encode(events[index]) for index in (0, 0, 0, 1, 1)]
    assert made == events
    assert encoded[0] is encoded[1] is encoded[2] != encoded[3] is encoded[4]


def test_a_failure_is_not_taken_for_the_one_before(monkeypatch):
    wire = Wire(JSON)
    good, bad = Result(request_id=1, args=[1]), Result(request_id=2, args=[math.nan])
    wire.encode(good)
    for _ in range(2):
        with pytest.raises(SerializationError):
            wire.encode(bad)
    assert wire.encode(good) == b"[50,1,{},[1]]"


@pytest.mark.parametrize(
    ("name", "octets", "there"),
    [
        ("json", b'[48,1,{},"a.b",[1180591620717411303424]]', "msgpack"),
        ("json", b'[48,1,{},"a.b",[1],{"a":[1e400]}]', "json"),
        ("msgpack", msgspec.msgpack.encode([48, 1, {}, "a.b", [math.nan]]), "json"),
        ("msgpack", msgspec.msgpack.encode([48, 1, {}, "a.b", [["\0x"]]]), "json"),
        (
            "msgpack",
            msgspec.msgpack.encode([48, 1, {}, "a.b", [msgspec.msgpack.Ext(5, b"x")]]),
            "json",
        ),
        ("cbor", cbor2.dumps([48, 1, {}, "a.b", [2**70]]), "msgpack"),
        ("cbor", cbor2.dumps([48, 1, {}, "a.b", [{1, 2}]]), "msgpack"),
        ("cbor", cbor2.dumps([48, 1, {}, "a.b", [math.nan]]), "json"),
    ],
)
def test_a_value_that_the_other_lacks_is_an_error(name, octets, there):
    call = wire_of(SERIALIZERS[name]).decode(octets)
    with pytest.raises(SerializationError):
        wire_of(SERIALIZERS[there]).encode(
            Invocation(request_id=1, registration_id=1, args=call.args, kwargs=call.kwargs)
        )


def test_a_detail_that_cannot_be_sent_is_an_error(here):
    call = received(here, Call(request_id=1, procedure="a.b", args=[1]))
    details = {"ppt_scheme": 2**80}
    invocation = Invocation(request_id=1, registration_id=1, details=details, args=call.args)
    if here != "msgpack":
        sent: Any = SERIALIZERS[here].decode(wire_of(SERIALIZERS[here]).encode(invocation))
        assert sent.details == details
    else:
        with pytest.raises(SerializationError):
            wire_of(SERIALIZERS[here]).encode(invocation)


@pytest.mark.parametrize(
    "payload",
    [
        [{1: 2}],
        [[{"a": {None: 2}}]],
        [{(1, 2): 3}],
        [{b"x": 3}],
        ["x" * 500, {1: 2}],
    ],
)
def test_keys_that_are_no_texts_are_refused(payload):
    for message in (
        [48, 1, {}, "a.b", payload],
        [48, 1, {}, "a.b", [], {"key": payload}],
        [16, 1, {}, "a.b", payload],
        [70, 1, {}, payload],
        [8, 68, 1, {}, "a.b", payload],
        [48, 1, {"ppt_x": payload}, "a.b"],
        [8, 68, 1, {"ppt_x": payload}, "a.b"],
    ):
        for name in ("msgpack", "cbor"):
            with pytest.raises(RemoteProtocolError, match="key"):
                wire_of(SERIALIZERS[name]).decode(ENCODE[name](message))


def test_keys_of_one_hash_cost_no_time():
    # A dictionary of these would take the better part of an hour: each key is compared with all.
    keys = list(itertools.product((-1, -2), repeat=17))
    assert len({hash(key) for key in keys[:100]}) == 1
    packed = b"".join(ENCODE["msgpack"](key) + b"\x00" for key in keys)
    flood = b"\xdf" + len(keys).to_bytes(4, "big") + packed
    for octets in (
        b"\x95\x30\x01\x80\xa3a.b\x91" + flood,
        b"\x95\x30\x01\x81\xa5ppt_x" + flood + b"\xa3a.b\x90",
        b"\x93\x01\xa1r" + flood,
        flood,
    ):
        with pytest.raises(RemoteProtocolError, match="key"):
            wire_of(MSGPACK).decode(octets)
    numbers = [number * (2**61 - 1) for number in range(2**65, 2**65 + 100_000)]
    assert len({hash(number) for number in numbers[:100]}) == 1
    packed = b"".join(cbor2.dumps(number) + b"\x00" for number in numbers)
    flood = b"\xba" + len(numbers).to_bytes(4, "big") + packed
    head = b"\x85\x18\x30\x01\xa0\x63a.b\x81"
    for octets in (head + flood, b"\x83\x01\x61r" + flood, b"\x98\x01" + flood, flood):
        with pytest.raises(RemoteProtocolError, match="key"):
            wire_of(CBOR).decode(octets)


def test_nesting_that_is_too_deep_is_refused(here):
    encode: Any = ENCODE[here]
    value: Any = []
    for _ in range(250):
        value = [value]
    for message in ([48, 1, {}, "a.b", value], [48, 1, {}, "a.b", [], {"k": value}]):
        with pytest.raises(RemoteProtocolError, match=r"deep|depth"):
            wire_of(SERIALIZERS[here]).decode(encode(message))


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_nesting_without_end_is_refused(depth):
    with pytest.raises(RemoteProtocolError):
        Wire(JSON).decode(b'[48,1,{},"a.b",' + b"[" * depth + b"]" * depth + b"]")
    with pytest.raises(RemoteProtocolError):
        Wire(MSGPACK).decode(b"\x95\x30\x01\x80\xa3a.b" + b"\x91" * depth + b"\x90")


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("json", b'[48,1,{},"a.b",["\xff"]]'),
        ("json", b'[48,1,{},"a.b",[],{"\xff":1}]'),
        ("json", b'[48,1,{},"a.b",["\\ud800"]]'),
        ("json", b'[48,1,{},"a.b",[1,]]'),
        ("json", b'[48,1,{},"a.b",[1],[1]]'),
        ("json", b'[48,1,{},"a.b",{}]'),
        ("json", b'[48,0,{},"a.b"]'),
        ("json", b'[99,1,{},"a.b"]'),
        ("json", b'{"a":1}'),
        ("json", b""),
        ("msgpack", b"\x95\x30\x01\x80\xa1a\x91\xa1\xff"),
        ("msgpack", b"\x95\x30\x01\x80\xa1a\x91\xc1"),
        ("msgpack", b"\x95\x30\x01\x80\xa1a\x91\xc0\xc0"),
        ("msgpack", b"\x95\x30\x01\x80\xa1a\x91"),
        ("msgpack", b"\x96\x30\x01\x80\xa1a\x90\x81\x01\x02"),
        ("cbor", b"\x85\x18\x30\x01\xa0\x61a\x81\x61\xff"),
        ("cbor", b"\x85\x18\x30\x01\xa0\x61a\x81\x1c"),
        ("cbor", b"\x85\x18\x30\x01\xa0\x61a\x80\x80"),
        ("cbor", b"\x85\x18\x30\x01\xa0\x61a\x81"),
        ("cbor", b"\x85\x18\x30\x01\xa0\x61a\xa0"),
        ("cbor", b"\x80"),
        ("cbor", b""),
        ("msgpack", b"\xc0"),
        ("msgpack", b""),
    ],
)
def test_what_is_no_message_is_refused(name, octets):
    with pytest.raises(RemoteProtocolError):
        wire_of(SERIALIZERS[name]).decode(octets)


@pytest.mark.parametrize(
    "message",
    [
        Hello(realm="realm1", details={"roles": {}}),
        Subscribe(request_id=1, topic="a.b", options={"x" * 300: 1}),
        Registered(request_id=1, registration_id=2),
    ],
)
def test_what_is_not_passed_on_is_decoded(here, message):
    assert received(here, message) == message


@pytest.mark.parametrize("payload", [b",null", b",null,null", b",[],null", b""])
def test_a_payload_of_null_is_none(payload):
    call = Wire(JSON).decode(b'[48,1,{},"a.b"' + payload + b"]")
    assert unpacked(call.args, call.kwargs) == ((), {})
    for other in (MSGPACK, CBOR):
        sent = wire_of(other).encode(Result(request_id=1, args=call.args, kwargs=call.kwargs))
        result: Any = other.decode(sent)
        assert list(result.args or ()) == []


@pytest.mark.parametrize("payload", [[None], [None, None], [[], None], []])
def test_so_it_is_in_cbor(payload):
    call = wire_of(CBOR).decode(cbor2.dumps([48, 1, {}, "a.b", *payload]))
    assert unpacked(call.args, call.kwargs) == ((), {})
    for other in (MSGPACK, CBOR):
        sent = wire_of(other).encode(Result(request_id=1, args=call.args, kwargs=call.kwargs))
        result: Any = other.decode(sent)
        assert list(result.args or ()) == []


def test_what_is_decoded_already_is_given_as_it_is():
    assert unpacked(None, None) == ((), {})
    assert unpacked([1], {"a": 2}) == ((1,), {"a": 2})
