"""Payloads that the sender packs: what travels, what comes out, and what is refused."""

from __future__ import annotations

import cbor2
import msgspec
import pytest

from wampy.errors import LocalProtocolError, RemoteProtocolError, SerializationError
from wampy.protocol.passthru import is_packed, pack, unpack

SERIALIZERS = ("native", "json", "msgpack", "cbor")
ARGUMENTS = ([1, "two", None, [3.5]], {"four": {"five": True}})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (None, False),
        ({}, False),
        ({"acknowledge": True}, False),
        ({"ppt_scheme": "x_mine"}, True),
        ({"acknowledge": True, "ppt_serializer": "json"}, True),
    ],
)
def test_whether_options_speak_of_a_packed_payload(options, expected):
    assert is_packed(options) is expected


@pytest.mark.parametrize("name", SERIALIZERS)
@pytest.mark.parametrize("arguments", [ARGUMENTS, ([], {}), (["only"], {}), ([], {"only": 1})])
def test_what_was_packed_comes_out(name, arguments):
    options = {"ppt_scheme": "x_mine", "ppt_serializer": name}
    packed, keywords = pack("CALL.Options", options, *arguments)
    assert (len(packed or ()), keywords) == (1, None)
    args, kwargs = unpack(options, packed, keywords)
    assert (list(args or ()), kwargs) == arguments


def test_native_is_the_default():
    options = {"ppt_scheme": "x_mine"}
    assert pack("CALL.Options", options, [1], {"a": 2}) == (
        [{"args": [1], "kwargs": {"a": 2}}],
        None,
    )


def test_nothing_is_packed_as_no_arguments():
    assert pack("CALL.Options", {"ppt_scheme": "x_mine"}, None, None) == (
        [{"args": [], "kwargs": {}}],
        None,
    )


@pytest.mark.parametrize(
    ("name", "decode"),
    [("json", msgspec.json.decode), ("msgpack", msgspec.msgpack.decode), ("cbor", cbor2.loads)],
)
def test_what_travels_is_for_any_reader(name, decode):
    options = {"ppt_scheme": "x_mine", "ppt_serializer": name}
    packed, _ = pack("CALL.Options", options, [1], {"a": 2})
    assert [decode(one) for one in packed or ()] == [{"args": [1], "kwargs": {"a": 2}}]


@pytest.mark.parametrize("options", [{"ppt_cipher": "xsalsa20"}, {"ppt_serializer": "x_flat"}])
def test_what_a_program_packs_itself_is_left_alone(options):
    options = {"ppt_scheme": "x_mine", **options}
    assert pack("CALL.Options", options, [b"\x00\xff"], None) == ([b"\x00\xff"], None)
    assert unpack(options, [b"\x00\xff"], None) == ([b"\x00\xff"], None)


@pytest.mark.parametrize("options", [{"ppt_cipher": "xsalsa20"}, {"ppt_serializer": "x_flat"}])
@pytest.mark.parametrize(
    ("args", "kwargs"),
    [(None, None), ([], None), (["text"], None), ([b"a", b"b"], None), ([b"a"], {"b": 1})],
)
def test_what_a_program_packs_itself_is_one_argument_of_bytes(options, args, kwargs):
    with pytest.raises(LocalProtocolError, match="the packed payload, as bytes"):
        pack("CALL.Options", {"ppt_scheme": "x_mine", **options}, args, kwargs)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"ppt_serializer": "json"}, "without ppt_scheme"),
        ({"ppt_scheme": "", "ppt_serializer": "json"}, "without ppt_scheme"),
        (
            {"ppt_scheme": "x_mine", "ppt_serializer": "pickle"},
            r"CALL\.Options\.ppt_serializer is 'pickle'; expected native",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, error):
    with pytest.raises(LocalProtocolError, match=error):
        pack("CALL.Options", options, [1], None)


@pytest.mark.parametrize("name", ["json", "msgpack", "cbor"])
def test_what_cannot_be_packed_is_the_callers_mistake(name):
    options = {"ppt_scheme": "x_mine", "ppt_serializer": name}
    with pytest.raises(SerializationError, match=f"CALL.Options: {name} cannot pack"):
        pack("CALL.Options", options, [object()], None)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("json", [b"{"]),
        ("json", ["{"]),
        ("json", [5]),
        ("json", [b"[1]"]),
        ("json", [b'{"args": 5}']),
        ("json", [b'{"kwargs": [1]}']),
        ("json", []),
        ("json", None),
        ("json", [b"{}", b"{}"]),
        ("msgpack", [b"\xc1"]),
        ("cbor", [b"\xff"]),
        ("native", ["no table"]),
        ("native", [{"args": "text"}]),
    ],
)
def test_what_cannot_be_unpacked_is_the_senders_mistake(name, args):
    details = {"ppt_scheme": "x_mine", "ppt_serializer": name}
    with pytest.raises(RemoteProtocolError, match=f"packed by {name} cannot be unpacked"):
        unpack(details, args, None)


@pytest.mark.parametrize("name", ["flatbuffers", "x_flat", 7, None])
def test_an_unknown_packing_is_for_the_program_to_read(name):
    details = {"ppt_scheme": "x_mine", "ppt_serializer": name}
    assert unpack(details, [b"as it came"], {"a": 1}) == ([b"as it came"], {"a": 1})


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "text"),
    [
        ("json", [1, [b"x"]], {}, r"args\[1\]\[0\] is bytes, which only msgpack, cbor and native"),
        ("json", [], {"a": {"b": bytearray(b"x")}}, r"kwargs\['a'\]\['b'\] is bytes"),
        ("json", [float("nan")], {}, r"args\[0\] is nan"),
        ("json", [{1: 2}], {}, r"args\[0\] has a key that is an int"),
        ("json", [{1}], {}, r"args\[0\] is a set"),
        ("msgpack", [{1}], {}, r"args\[0\] is a set"),
        ("msgpack", [], {"a": {1: 2}}, r"kwargs\['a'\] has a key that is an int"),
        ("cbor", [{1}], {}, r"args\[0\] is a set"),
        ("cbor", [object()], {}, r"args\[0\] is an object"),
    ],
)
def test_nothing_is_packed_as_something_else(name, args, kwargs, text):
    """The libraries would do it without a word; what is refused is named with its place."""
    with pytest.raises(SerializationError, match=rf"CALL\.Options: {name} cannot pack .*{text}"):
        pack("CALL.Options", {"ppt_scheme": "x_mine", "ppt_serializer": name}, args, kwargs)


@pytest.mark.parametrize("name", ["native", "msgpack", "cbor"])
def test_bytes_come_out_as_bytes(name):
    options = {"ppt_scheme": "x_mine", "ppt_serializer": name}
    packed, keywords = pack("CALL.Options", options, [b"x", (1, 2)], {"a": [b""]})
    args, kwargs = unpack(options, packed, keywords)
    assert args is not None
    assert (args[0], list(args[1]), kwargs) == (b"x", [1, 2], {"a": [b""]})
