from __future__ import annotations

import base64
import collections
import datetime
import decimal
import enum
import json
import re
import sys
import types
from typing import Any

import cbor2
import msgspec
import pytest

from wampy import serializers
from wampy.errors import RemoteProtocolError, SerializationError
from wampy.messages import Authenticate, Call, Result, Yield
from wampy.serializers import MAX_DEPTH, SERIALIZERS, Serializer

# Which message comes out is what the tests look at, so no type is claimed for it.
JSON: Any = serializers.JSON
MSGPACK: Any = serializers.MSGPACK

CBOR: Any = serializers.CBOR

BOTH = [pytest.param(JSON, id="json"), pytest.param(MSGPACK, id="msgpack")]
ALL = [*BOTH, pytest.param(CBOR, id="cbor")]
#: Encoders that check nothing.
ENCODE: dict[str, Any] = {
    "json": lambda value: json.dumps(value).encode(),
    "msgpack": msgspec.msgpack.encode,
    "cbor": cbor2.dumps,
}


def nested(depth: int) -> list:
    """Give a list in a list …: ``depth`` of them, with a value in the innermost."""
    value: list = [1]
    for _ in range(depth - 1):
        value = [value]
    return value


def wire(serializer: Serializer, value: object) -> bytes:
    """Give bytes that nobody has checked."""
    octets: bytes = ENCODE[serializer.name](value)
    return octets


def yielded(*args: object, **kwargs: object) -> Yield:
    return Yield(request_id=1, args=args, kwargs=kwargs)


def test_what_a_client_offers_and_in_which_order():
    assert list(SERIALIZERS.items()) == [("msgpack", MSGPACK), ("json", JSON), ("cbor", CBOR)]


@pytest.mark.parametrize(
    ("serializer", "expected"),
    [
        (JSON, ("json", False, "wamp.2.json", 1)),
        (MSGPACK, ("msgpack", True, "wamp.2.msgpack", 2)),
        (CBOR, ("cbor", True, "wamp.2.cbor", 3)),
    ],
)
def test_names_and_numbers(serializer, expected):
    names = (serializer.name, serializer.is_binary, serializer.websocket_subprotocol)
    assert (*names, serializer.rawsocket_id) == expected


@pytest.mark.parametrize("serializer", ALL)
@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -(1 << 63), (1 << 64) - 1, 1.5, "", "ü😀", "a\0b", b"", b"\xff\0", [], {},
        [1, [b"x", {"k": [b"y"]}]], {"a": {"b": None}}, ["x"] * 100, list(range(300)), "\\u0000",
        "\\ud800", [[]] * 20,
    ],
    ids=ascii,
)  # fmt: skip
def test_values_come_back(serializer, value):
    message = Result(request_id=1, details={}, args=(value,), kwargs={"key": value})
    assert serializer.decode(serializer.encode(message)) == message


class Colour(enum.StrEnum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not this"


class Whole(int):
    pass


class Real(float):
    pass


class Octets(bytes):
    pass


Pair = collections.namedtuple("Pair", "a b")


@pytest.mark.parametrize("serializer", ALL)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2), [1, 2]),
        (Pair(1, 2), [1, 2]),
        (collections.OrderedDict(a=1), {"a": 1}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (Colour.RED, "red"),
        (Number.ONE, 1),
        (Text("text"), "text"),
        (Whole(3), 3),
        (Real(1.5), 1.5),
        (Octets(b"x"), b"x"),
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
        ({Text("a"): 1}, {"a": 1}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_one_of_wamps_types_is_sent_as_that(serializer, value, expected):
    decoded = serializer.decode(serializer.encode(yielded(value)))
    assert decoded.args == (expected,)
    assert type(decoded.args[0]) is type(expected)


@pytest.mark.parametrize("serializer", ALL)
@pytest.mark.parametrize("args", [(), (1, "x"), (1.5,), ([1],)], ids=repr)
def test_a_uri_may_be_any_kind_of_text(serializer, args):
    message = Call(request_id=1, options={}, procedure=Text("com.example.add"), args=args)
    decoded = serializer.decode(serializer.encode(message))
    assert decoded.procedure == "com.example.add"
    assert tuple(decoded.args) == args


@pytest.mark.parametrize("serializer", ALL)
@pytest.mark.parametrize(
    ("value", "what"),
    [
        (object(), "is an object"),
        ({1, 2}, "is a set"),
        (datetime.datetime(2020, 1, 1), "is a datetime"),
        (datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), "is a datetime"),
        (enum.Enum("E", "A").A, "is an E"),  # type: ignore[attr-defined]
        (iter([1]), "is a list_iterator"),
        (msgspec.msgpack.Ext(1, b"x"), "is an Ext"),
        (memoryview(b"abc")[::2], "a memoryview that is not contiguous"),
        ({1: 2}, "a key that is an int, not a string"),
        ({None: 2}, "a key that is None, not a string"),
        ({"a": 1, b"b": 2}, "a key that is a bytes, not a string"),
        ("\ud800", "a text with a lone surrogate"),
        ({"\ud800": 1}, r"a key of args\[0\]\[1\] is a text with a lone surrogate"),
        (nested(MAX_DEPTH), "nested more than 200 deep"),
    ],
    ids=ascii,
)
def test_what_cannot_be_sent_is_named_with_its_place(serializer, value, what):
    """The same for all: or it would depend on the Router whether a program works."""
    with pytest.raises(SerializationError, match=rf"^YIELD: .*{what}"):
        serializer.encode(yielded(["fine", value]))


@pytest.mark.parametrize("serializer", ALL)
def test_the_place_leads_to_the_value(serializer):
    deep = {"rows": [1, {"when": datetime.date(2020, 1, 1)}]}
    with pytest.raises(SerializationError) as failure:
        serializer.encode(yielded("a", deep, b=[]))
    text = "YIELD: args[1]['rows'][1]['when'] is a date, which cannot be put on the wire"
    assert str(failure.value) == text
    with pytest.raises(SerializationError, match=r"^YIELD: kwargs\['b'\]\[0\] is a set"):
        serializer.encode(yielded("a", b=[set()]))
    with pytest.raises(SerializationError, match=r"^CALL: options\['x'\] is a set"):
        serializer.encode(Call(request_id=1, procedure="a.b", options={"x": set()}))
    with pytest.raises(SerializationError, match=r"^CALL: procedure is a text with a lone"):
        serializer.encode(Call(request_id=1, procedure="a.\ud800"))


@pytest.mark.parametrize("serializer", ALL)
def test_what_contains_itself(serializer):
    endless: list = []
    endless.append(endless)
    with pytest.raises(SerializationError, match="or contains itself"):
        serializer.encode(yielded(endless))
    cycle: dict = {}
    cycle["again"] = cycle
    with pytest.raises(SerializationError, match="or contains itself"):
        serializer.encode(yielded(cycle))


def test_what_json_alone_does_not_know():
    for value, what in [
        (float("nan"), "nan, which JSON does not know"),
        (float("-inf"), "-inf, which JSON does not know"),
        ("\0text", "begins with NUL, which means bytes in JSON"),
    ]:
        with pytest.raises(SerializationError, match=rf"^YIELD: args\[1\] is .*{what}"):
            JSON.encode(yielded("a", value))
        for other in (MSGPACK, CBOR):
            assert repr(other.decode(other.encode(yielded(value))).args) == repr((value,))


def test_a_key_that_begins_with_nul_is_a_text():
    message = yielded({"\0key": 1})
    assert JSON.decode(JSON.encode(message)).args == ({"\0key": 1},)


def test_what_msgpack_alone_does_not_know():
    for value in (1 << 64, -(1 << 63) - 1):
        with pytest.raises(SerializationError, match=r"args\[0\] is an integer beyond 64 bits"):
            MSGPACK.encode(yielded(value))
        for other in (JSON, CBOR):
            # With a value beside it that makes it look twice.
            decoded = other.decode(other.encode(yielded(value, bytearray(b"x"))))
            assert decoded.args == (value, b"x")


class Moody(collections.UserDict):
    """Holds what cannot be sent, but each second time one looks."""

    looks = 0

    def __getitem__(self, key):
        self.looks += 1
        return object() if self.looks % 2 == 0 else 1


@pytest.mark.parametrize("serializer", ALL)
def test_what_changes_while_it_is_encoded(serializer):
    """Another thread may do that: no more is known then, but it is the same error."""
    with pytest.raises(SerializationError, match="YIELD: an object cannot be put on the wire"):
        serializer.encode(yielded(Moody(a=0)))


@pytest.mark.parametrize("serializer", BOTH)
def test_an_integer_that_python_does_not_spell(serializer):
    with pytest.raises(SerializationError, match="YIELD: "):
        serializer.encode(yielded(10**5000))


@pytest.mark.parametrize("serializer", ALL)
def test_a_signature_is_not_in_the_error(serializer):
    with pytest.raises(SerializationError, match="signature is a text with") as failure:
        serializer.encode(Authenticate(signature="secret\ud800"))
    assert "secret" not in str(failure.value)


def test_a_signature_that_would_arrive_as_bytes():
    with pytest.raises(SerializationError, match="signature is a text that begins with NUL"):
        JSON.encode(Authenticate(signature="\0secret"))


@pytest.mark.parametrize("serializer", ALL)
def test_depth_is_limited_both_ways(serializer):
    """The Arguments are the first of them."""
    fits = yielded(nested(MAX_DEPTH - 1))
    assert serializer.decode(serializer.encode(fits)) == Yield(
        request_id=1, options={}, args=(nested(MAX_DEPTH - 1),)
    )
    for too_deep in (nested(MAX_DEPTH), [{"a": nested(MAX_DEPTH - 2)}]):
        with pytest.raises(RemoteProtocolError, match="nested more than 200 deep"):
            serializer.decode(wire(serializer, [50, 1, {}, [too_deep]]))
    with pytest.raises(RemoteProtocolError, match="nested"):
        serializer.decode(wire(serializer, [50, 1, {"a": nested(MAX_DEPTH)}]))


@pytest.mark.parametrize("serializer", ALL)
def test_depth_that_would_end_the_stack(serializer):
    opening = {"json": b"[", "msgpack": b"\x91", "cbor": b"\x81"}[serializer.name]
    with pytest.raises(RemoteProtocolError, match=r"nested too deeply|nesting depth"):
        serializer.decode(opening * 200_000)


@pytest.mark.parametrize("serializer", BOTH)
def test_a_caller_deep_in_its_own_stack(serializer):
    """The limit holds for what comes; what is left of Python's stack may be less."""

    def down(levels: int) -> None:
        if levels:
            return down(levels - 1)
        with pytest.raises(RemoteProtocolError, match="nested too deeply"):
            serializer.decode(encoded)
        return None

    encoded = serializer.encode(yielded(nested(MAX_DEPTH - 1)))
    frame, used = sys._getframe(), 0
    while frame.f_back is not None:
        frame, used = frame.f_back, used + 1
    down(sys.getrecursionlimit() - used - 60)


def test_a_list_as_key():
    deep = b"\x91" * 300 + b"\x90"
    with pytest.raises(RemoteProtocolError, match="nested"):
        MSGPACK.decode(b"\x94\x32\x01\x80\x91\x81" + deep + b"\x01")


@pytest.mark.parametrize("serializer", ALL)
@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ([50, 1], "RESULT has 2 elements; expected 3 at least"),
        ([70, 1], "YIELD has 2 elements; expected 3 at least"),
        ([36, 1, 2], "EVENT has 3 elements; expected 4 at least"),
        ([50, "1", {}], "RESULT.CALL.Request is a str; expected an ID"),
        ([50, 0, {}], "RESULT.CALL.Request is out of the range"),
        ([50, 1, None], "RESULT.Details is a NoneType; expected a dictionary"),
        ([50, 1, {}, "args"], "RESULT.Arguments is a str; expected a list"),
        ([50, 1, {}, [], [1]], "RESULT.ArgumentsKw is a list; expected a dictionary"),
        ([99], "99 is not the code of a message"),
        ([True, "realm1", {}], "a bool is not the code of a message"),
        ({}, "a message is a list that begins with its code"),
        ([], "a message is a list"),
        (5, "a message is a list"),
    ],
    ids=str,
)
def test_it_says_what_is_wrong_with_a_message(serializer, fields, what):
    with pytest.raises(RemoteProtocolError, match=what):
        serializer.decode(wire(serializer, fields))


@pytest.mark.parametrize("serializer", ALL)
def test_what_msgspec_refuses_and_wamp_need_not(serializer):
    assert serializer.decode(wire(serializer, [50, 1, {}, None, None])).args == ()
    assert serializer.decode(wire(serializer, [50, 7.0, {}])).request_id == 7


@pytest.mark.parametrize(
    ("received", "what"),
    [
        (b"", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b'[50,1,{},["\xff"]]', "not UTF-8"),
        (b"[50,1,{}", "not JSON"),
        (b"[50,1,{}]x", "not JSON"),
        (b"\xef\xbb\xbf[50,1,{}]", "not JSON"),
        (b'[50,1,{},["\x01"]]', "not JSON"),
        (b'[50,1,{},["\\u0000\\ud800"]]', "a lone surrogate is no character"),
        (b'[50,1,{},["\\ud800"]]', "a lone surrogate is no character"),
        (b'[50,1,{},[],{"\\udc00":1}]', "a lone surrogate is no character"),
        (b"[" + b"9" * 5000 + b"]", "not JSON"),
    ],
)
def test_what_is_no_json(received, what):
    with pytest.raises(RemoteProtocolError, match=what):
        JSON.decode(received)


@pytest.mark.parametrize(
    "received",
    [
        b"", b"\xc1", b"\x93\x32\x01", b"\x93\x32\x01\x80\x00", b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\x94\x32\x01\x80\x91\xa1\xff",
        b"\x94\x32\x01\x80\x91\x81\x80\x01", b"\x94\x32\x01\x80\x91\xc7\x0c\xff" + b"\xff" * 12,
    ],
)  # fmt: skip
def test_what_is_no_msgpack(received):
    with pytest.raises(RemoteProtocolError, match="not MessagePack"):
        MSGPACK.decode(received)


def test_json_spells_bytes_as_the_spec_has_it():
    """Spec: Basic Profile, "Binary conversion of JSON Strings"; the example is from there."""
    octets = bytes.fromhex("10e3ff9053075c526f5fc06d4fe37cdb")
    encoded = JSON.encode(yielded(octets))
    assert encoded == b'[70,1,{},["\\u0000EOP/kFMHXFJvX8BtT+N82w=="]]'
    assert JSON.decode(encoded).args == (octets,)


def test_json_has_bytes_anywhere():
    nested = {"a": [{"b": "\0" + base64.b64encode(b"x").decode()}], "é": "\u00e9", "n": None}
    encoded = json.dumps([50, 1, {}, [nested], {"k": "\0"}]).encode()
    message = JSON.decode(encoded)
    assert message.args == ({"a": [{"b": b"x"}], "é": "é", "n": None},)
    assert message.kwargs == {"k": b""}


@pytest.mark.parametrize("text", ["\0!", "\0hello", "\0ü", "\0\0", "\0 QQ=="])
def test_json_takes_what_is_no_base64_as_the_text_it_is(text):
    """From whoever sent it in MessagePack: a refusal would cost the whole message."""
    encoded = json.dumps([50, 1, {"a": text}, [text], {text: 1}]).encode()
    assert JSON.decode(encoded) == Result(
        request_id=1, details={"a": text}, args=(text,), kwargs={text: 1}
    )


def test_json_takes_nan_from_those_who_send_it():
    """Python's own JSON does, and Routers written in it: a refusal would cost the message."""
    (value,) = JSON.decode(b"[50,1,{},[NaN]]").args
    assert value != value
    assert JSON.decode(b"[50,1,{},[Infinity,1e999]]").args == (float("inf"),) * 2


def test_msgpack_takes_extension_types_from_those_who_send_them():
    """The Router passes them on from anybody: a refusal would cost the message."""
    extension = msgspec.msgpack.Ext(5, b"x")
    now = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    decoded = MSGPACK.decode(msgspec.msgpack.encode([50, 1, {}, [extension, now]]))
    assert (decoded.args[0].code, bytes(decoded.args[0].data)) == (5, b"x")
    assert decoded.args[1] == now


@pytest.mark.parametrize(
    ("received", "what"),
    [
        (b"", "not CBOR"),
        (b"\xff", "not CBOR"),
        (b"\x83\x18\x32\x01", "not CBOR"),
        (b"\x83\x18\x32\x01\xa0\x00", "something follows"),
        (b"\x9b\x00\x00\x00\xff\xff\xff\xff\xff", "not CBOR"),
        (b"\x5b\x00\x00\x00\xff\xff\xff\xff\xff", "not CBOR"),
        (b"\x84\x18\x32\x01\xa0\x81\x61\xff", "not CBOR"),
        (b"\x84\x18\x32\x01\xa0\x81\x1c", "not CBOR"),
        (b"\x84\x18\x32\x01\xa0\x81\xc0\x61x", "not CBOR"),
    ],
)
def test_what_is_no_cbor(received, what):
    with pytest.raises(RemoteProtocolError, match=what):
        CBOR.decode(received)


def test_cbor_takes_lists_of_no_given_length():
    message = CBOR.decode(b"\x9f\x18\x32\x01\xbf\xff\x9f\x7f\x61a\x61b\xff\xff\xff")
    assert message == Result(request_id=1, details={}, args=("ab",))


def test_cbor_takes_dates_and_leaves_other_tags_as_they_are():
    """The Router passes them on from anybody: a refusal would cost the message."""
    now = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    values = [now, decimal.Decimal("1.5"), {1, 2}, cbor2.CBORTag(5000, "x"), re.compile("a+")]
    decoded = CBOR.decode(cbor2.dumps([50, 1, {}, values])).args
    assert decoded[0] == now
    assert [(one.tag, one.value) for one in decoded[1:]] == [
        (4, [-1, 15]),
        (258, [1, 2]),
        (5000, "x"),
        (35, "a+"),
    ]


def test_octets_of_javascript_are_bytes():
    sent = [cbor2.CBORTag(64, b"\0\xff"), cbor2.CBORTag(64, "none")]
    octets, other = CBOR.decode(cbor2.dumps([50, 1, {}, sent])).args
    assert octets == b"\0\xff"
    assert (other.tag, other.value) == (64, "none")


def test_no_tag_of_cbor_makes_a_value_that_contains_itself():
    cycle: list = []
    cycle.append(cycle)
    shared = cbor2.dumps([50, 1, {}, [cycle]], value_sharing=True)
    decoded = CBOR.decode(b"\x84\x18\x32\x01\xa0\x81\xd8\x1c\x81\xd8\x1d\x00").args
    assert (decoded[0].tag, decoded[0].value[0].tag) == (28, 29)
    with pytest.raises(RemoteProtocolError):
        CBOR.decode(shared)  # the message itself is marked as shared there


def test_undefined_is_none():
    undefined = cbor2.undefined
    fields = [50, 1, {}, [undefined, [undefined], {"a": undefined}], {"k": undefined}]
    message = CBOR.decode(cbor2.dumps(fields))
    assert message.args == (None, [None], {"a": None})
    assert message.kwargs == {"k": None}
