"""Every message: what it looks like on the wire, both ways, and what is refused."""

from __future__ import annotations

import copy
import io
import json
import pickle
from typing import Any

import pytest
from rich.console import Console

from wampy.errors import RemoteProtocolError, SerializationError
from wampy.ids import MAX_ID
from wampy.messages import (
    LAST_DICTIONARY,
    MESSAGES,
    Abort,
    Authenticate,
    Call,
    Cancel,
    Challenge,
    Error,
    Event,
    Goodbye,
    Hello,
    Interrupt,
    Invocation,
    Message,
    Publish,
    Published,
    Register,
    Registered,
    Result,
    Subscribe,
    Subscribed,
    Unregister,
    Unregistered,
    Unsubscribe,
    Unsubscribed,
    Welcome,
    Yield,
    parse_message,
)

ARGS: dict[str, Any] = {"args": (1, "a"), "kwargs": {"k": None}}
#: One of each, with all that it can have, and its list as the spec writes it.
EXAMPLES: list[tuple[Any, list]] = [
    (Hello(realm="realm1", details={"roles": {}}), [1, "realm1", {"roles": {}}]),
    (Welcome(session_id=9, details={"x": 1}), [2, 9, {"x": 1}]),
    (Abort(details={"message": "no"}, reason="a.b"), [3, {"message": "no"}, "a.b"]),
    (Challenge(authmethod="ticket", extra={"a": 1}), [4, "ticket", {"a": 1}]),
    (Authenticate(signature="secret", extra={"a": 1}), [5, "secret", {"a": 1}]),
    (Goodbye(details={"a": 1}, reason="a.b"), [6, {"a": 1}, "a.b"]),
    (
        Error(request_type=48, request_id=7, details={"a": 1}, error="a.b", **ARGS),
        [8, 48, 7, {"a": 1}, "a.b", (1, "a"), {"k": None}],
    ),
    (
        Publish(request_id=7, options={"acknowledge": True}, topic="a.b", **ARGS),
        [16, 7, {"acknowledge": True}, "a.b", (1, "a"), {"k": None}],
    ),
    (Published(request_id=7, publication_id=8), [17, 7, 8]),
    (
        Subscribe(request_id=7, options={"match": "prefix"}, topic="a"),
        [32, 7, {"match": "prefix"}, "a"],
    ),
    (Subscribed(request_id=7, subscription_id=8), [33, 7, 8]),
    (Unsubscribe(request_id=7, subscription_id=8), [34, 7, 8]),
    (Unsubscribed(request_id=0, details={"subscription": 8}), [35, 0, {"subscription": 8}]),
    (
        Event(subscription_id=7, publication_id=8, details={"a": 1}, **ARGS),
        [36, 7, 8, {"a": 1}, (1, "a"), {"k": None}],
    ),
    (
        Call(request_id=7, options={"a": 1}, procedure="a.b", **ARGS),
        [48, 7, {"a": 1}, "a.b", (1, "a"), {"k": None}],
    ),
    (Cancel(request_id=7, options={"mode": "kill"}), [49, 7, {"mode": "kill"}]),
    (
        Result(request_id=7, details={"progress": True}, **ARGS),
        [50, 7, {"progress": True}, (1, "a"), {"k": None}],
    ),
    (
        Register(request_id=7, options={"invoke": "roundrobin"}, procedure="a"),
        [64, 7, {"invoke": "roundrobin"}, "a"],
    ),
    (Registered(request_id=7, registration_id=8), [65, 7, 8]),
    (Unregister(request_id=7, registration_id=8), [66, 7, 8]),
    (Unregistered(request_id=0, details={"registration": 8}), [67, 0, {"registration": 8}]),
    (
        Invocation(request_id=7, registration_id=8, details={"a": 1}, **ARGS),
        [68, 7, 8, {"a": 1}, (1, "a"), {"k": None}],
    ),
    (Interrupt(request_id=7, options={"mode": "kill"}), [69, 7, {"mode": "kill"}]),
    (
        Yield(request_id=7, options={"progress": True}, **ARGS),
        [70, 7, {"progress": True}, (1, "a"), {"k": None}],
    ),
]
#: What may not stand where a value of this type does.
WRONG: dict[type, tuple] = {
    int: ("7", True, 1.0, b"7"),
    str: (5, None, b"secret", ["secret"]),
    dict: ([1], "", "secret", 0, 5, (("k", 1),)),
    tuple: ("", "secret", 0, {}, {"k": 1}, {1}),
}
IDS = [message.name for message, _ in EXAMPLES]
WITH_PAYLOAD = [message for message, _ in EXAMPLES if "kwargs" in message.__struct_fields__]
#: Where the list may end at the earliest.
LEAST: dict[type[Message], int] = {
    Error: 5,
    Publish: 4,
    Subscribe: 4,
    Event: 4,
    Call: 4,
    Register: 4,
    Invocation: 4,
}
LEAST |= {Unsubscribed: 2, Unregistered: 2}


def received(fields: list) -> list:
    """Give a list as a serializer would decode it: with lists for tuples."""
    return [list(field) if isinstance(field, tuple) else field for field in fields]


def with_field(fields: list, index: int, value: object) -> list:
    return [*received(fields)[:index], value, *received(fields)[index + 1 :]]


def test_all_of_them_are_here():
    assert {type(message) for message, _ in EXAMPLES} == set(MESSAGES.values())
    assert [fields[0] for _, fields in EXAMPLES] == list(MESSAGES)


@pytest.mark.parametrize(("message", "fields"), EXAMPLES, ids=IDS)
def test_the_wire(message, fields):
    assert message.construct() == fields
    assert parse_message(received(fields)) == message
    assert fields[0] == message.WAMP_CODE == type(message).__struct_config__.tag


@pytest.mark.parametrize(("message", "fields"), EXAMPLES, ids=IDS)
def test_surplus_elements_are_ignored(message, fields):
    full = received(fields)
    assert parse_message([*full, "surplus", {}, []]) == message


@pytest.mark.parametrize(("message", "fields"), EXAMPLES, ids=IDS)
def test_a_list_may_not_be_too_short(message, fields):
    least = LEAST.get(type(message), 3)
    for length in range(1, least):
        with pytest.raises(RemoteProtocolError, match=rf"{message.name} has {length} elements"):
            parse_message(received(fields)[:length])
    assert type(parse_message(received(fields)[:least])) is type(message)


@pytest.mark.parametrize(("message", "fields"), EXAMPLES, ids=IDS)
@pytest.mark.parametrize("wrong", [object(), 1.5, True, b"bytes", {1: 2}, float("nan")])
def test_no_element_may_be_of_another_type(message, fields, wrong):
    for index in range(1, len(fields)):
        with pytest.raises(RemoteProtocolError, match=rf"^{message.name}\."):
            parse_message(with_field(fields, index, wrong))


@pytest.mark.parametrize(("message", "fields"), EXAMPLES, ids=IDS)
def test_ids_are_from_1_to_2_to_the_53(message, fields):
    """0 is for revocations only."""
    for index, value in enumerate(fields):
        if index and type(value) is int and not (message.name == "ERROR" and index == 1):
            least = 0 if message.name in ("UNREGISTERED", "UNSUBSCRIBED") else 1
            for wrong in (least - 1, MAX_ID + 1, 10**5000):
                with pytest.raises(RemoteProtocolError, match="out of the range of IDs"):
                    parse_message(with_field(fields, index, wrong))
            parse_message(with_field(fields, index, MAX_ID))
            # Some MessagePack libraries send large integers so.
            same = parse_message(with_field(fields, index, float(value)))
            assert same == message
            assert type(same.construct()[index]) is int


@pytest.mark.parametrize("message", WITH_PAYLOAD, ids=lambda message: message.name)
@pytest.mark.parametrize("none", [None, (), []])
def test_trailing_empty_arguments_are_left_out(message, none):
    head = len(message.construct()) - 2
    change = type(message)

    def changed(**fields):
        names = {name: getattr(message, name) for name in message.__struct_fields__}
        return change(**{**names, **fields}).construct()

    assert len(changed(args=none, kwargs=None)) == head
    assert len(changed(args=none, kwargs={})) == head
    assert changed(args=[1], kwargs={})[head:] == [[1]]
    assert changed(args=none, kwargs={"a": 1})[head:] == [[], {"a": 1}]


@pytest.mark.parametrize(
    ("message", "fields"),
    [pair for pair in EXAMPLES if pair[0] in WITH_PAYLOAD],
    ids=[message.name for message in WITH_PAYLOAD],
)
def test_arguments_left_out_or_null_are_empty(message, fields):
    head = received(fields)[:-2]
    tails: list[list] = [[], [None], [None, None], [[]], [[], {}], [[], None]]
    for tail in tails:
        parsed: Any = parse_message([*head, *tail])
        assert (parsed.args, parsed.kwargs) == ((), {})


@pytest.mark.parametrize("message", [Call(procedure="a"), Yield(request_id=1)])
def test_arguments_of_a_program_have_to_be_a_list_and_a_dictionary(message):
    """A text is the mistake that is made: it would arrive as its letters, or not at all."""
    names = {name: getattr(message, name) for name in message.__struct_fields__}
    for wrong in ({"args": "text"}, {"kwargs": [1]}, {"args": {"a": 1}}, {"args": iter([1])}):
        with pytest.raises(SerializationError, match="Arguments"):
            type(message)(**{**names, **wrong}).construct()


@pytest.mark.parametrize("message", [message for message, _ in EXAMPLES], ids=IDS)
def test_no_element_of_another_type_is_sent(message):
    """A Router would end the whole Session for it, with all that is pending there."""
    names = {name: getattr(message, name) for name in message.__struct_fields__}
    for name, value in names.items():
        for wrong in WRONG[type(value)]:
            with pytest.raises(SerializationError) as failure:
                type(message)(**{**names, name: wrong}).construct()
            text = str(failure.value)
            assert text.startswith(f"{message.name}." if type(value) in (int, str) else "")
            assert ("None" if wrong is None else type(wrong).__name__) in text
            assert "secret" not in text


@pytest.mark.parametrize("message", [message for message, _ in EXAMPLES], ids=IDS)
def test_no_id_out_of_range_is_sent(message):
    """0 is the ID of a revocation only."""
    names = {name: getattr(message, name) for name in message.__struct_fields__}
    for name in names:
        if name.endswith("_id"):
            least = 0 if message.name in ("UNREGISTERED", "UNSUBSCRIBED") else 1
            for wrong in (least - 1, MAX_ID + 1, 1 << 600):
                with pytest.raises(SerializationError, match="out of the range of IDs"):
                    type(message)(**{**names, name: wrong}).construct()
            type(message)(**{**names, name: MAX_ID}).construct()


@pytest.mark.parametrize("message", [message for message, _ in EXAMPLES], ids=IDS)
def test_no_wrong_uri_is_sent(message):
    """Crossbar ends the Session for one with white space or ``#``, whoever sends it."""
    names = {name: getattr(message, name) for name in message.__struct_fields__}
    for name in {"realm", "reason", "topic", "procedure", "error"}.intersection(names):
        for wrong in ("a b", "a#", "a\n", "#"):
            with pytest.raises(SerializationError, match=f"{message.name}.*is not a URI"):
                type(message)(**{**names, name: wrong}).construct()


@pytest.mark.parametrize(
    "make",
    [
        lambda **fields: Subscribe(topic="a..", **fields),
        lambda **fields: Register(procedure="a..", **fields),
    ],
)
def test_patterns_are_sent_where_options_say_so(make):
    for match in ("prefix", "wildcard"):
        assert make(options={"match": match}).construct()[3] == "a.."
    refused: tuple = (None, {}, {"match": "exact"}, {"match": "regex"}, {"match": []})
    deep: list = []
    for _ in range(5_000):
        deep = [deep]
    for options in (*refused, {"match": deep}):
        with pytest.raises(SerializationError):
            make(options=options).construct()


def test_a_wrong_truth_value_is_no_error_of_its_own():
    """Arrays of numpy have none: that may not come out as a ValueError."""

    class Array:
        def __bool__(self) -> bool:
            raise ValueError("ambiguous")

    for wrong in ("args", "kwargs", "options"):
        fields: Any = {wrong: Array()}
        with pytest.raises(SerializationError, match=r"is a .*Array; expected"):
            Call(procedure="a.b", **fields).construct()


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (Call(procedure="a.b"), [48, None, {}, "a.b"]),
        (Call(procedure="a.b", options=None, args=None, kwargs=None), [48, None, {}, "a.b"]),
        (Publish(topic="a.b", args=[1]), [16, None, {}, "a.b", [1]]),
        (Register(procedure="a.b"), [64, None, {}, "a.b"]),
        (Subscribe(topic="a.b"), [32, None, {}, "a.b"]),
        (Unregister(registration_id=5), [66, None, 5]),
        (Unsubscribe(subscription_id=5), [34, None, 5]),
        (Unregistered(request_id=5), [67, 5]),
        (Hello(realm="a"), [1, "a", {}]),
    ],
)
def test_what_a_program_leaves_out(message, fields):
    """Options are empty then; a request id is given when the message is sent."""
    assert message.construct() == fields


def test_keys_of_dictionaries_are_texts():
    for fields in ([50, 1, {1: 2}], [50, 1, {}, [], {b"a": 1}], [50, 1, {"a": 1, None: 2}]):
        with pytest.raises(RemoteProtocolError, match="has a key that is no string"):
            parse_message(fields)


def nested() -> list:
    innermost: list = []
    for _ in range(100_000):
        innermost = [innermost]
    return innermost


@pytest.mark.parametrize(
    "fields",
    [
        None, {}, "text", b"", 5, (), [], (1, "realm1", {}), [None], ["1", "realm1", {}], [True],
        [1.0, "realm1", {}], [[1]], [{}], [999], [0], [-1], [10**5000], [-(10**5000)], [nested()],
        [object()],
    ],
    ids=lambda fields: f"{type(fields).__name__}",
)  # fmt: skip
def test_what_is_no_message(fields):
    with pytest.raises(RemoteProtocolError, match=r"a message is a list|not the code of a message"):
        parse_message(fields)


def test_depth_is_of_no_concern_to_parsing():
    assert parse_message([50, 1, {}, nested()]).name == "RESULT"


def test_messages_are_values():
    call = Call(request_id=1, procedure="a", args=(1,))
    assert call == Call(request_id=1, procedure="a", args=(1,))
    assert call != Call(request_id=2, procedure="a", args=(1,))
    assert copy.deepcopy(call) == pickle.loads(pickle.dumps(call)) == call
    with pytest.raises(AttributeError):
        call.procedure = "b"  # type: ignore[misc]


def test_each_has_arguments_of_its_own():
    one, other = Call(procedure="a"), Call(procedure="a")
    assert one.kwargs == {}
    assert one.kwargs is not other.kwargs


def test_a_message_as_json():
    call = Call(procedure="a.b", args=["ü"])
    assert json.loads(call.serialize()) == [48, None, {}, "a.b", ["ü"]]


def test_a_signature_is_never_shown():
    """It may be a ticket."""
    message = Authenticate(signature="secret", extra={"more": "secret"})
    printed = io.StringIO()
    Console(file=printed).print(message)
    for shown in (repr(message), str(message), f"{[message]}", printed.getvalue()):
        assert "Authenticate" in shown
        assert "secret" not in shown


def test_a_wrong_signature_is_not_shown_either():
    with pytest.raises(RemoteProtocolError) as failure:
        parse_message([5, ["secret"], {}])
    assert "secret" not in str(failure.value)


def test_the_base_class_is_no_message():
    with pytest.raises(NotImplementedError):
        Message().construct()
    with pytest.raises(NotImplementedError):
        Message.parse([])


def test_which_dictionaries_msgspec_would_let_be_left_out():
    """LAST_DICTIONARY is complete: of all others, msgspec knows the least length itself."""
    for message, fields in EXAMPLES:
        least = LEAST.get(type(message), 3)
        is_last = least == len(fields) or not isinstance(fields[least], str)
        ends = is_last and isinstance(fields[least - 1], dict)
        assert (type(message) in LAST_DICTIONARY) == ends, message.name
        if ends:
            name = LAST_DICTIONARY[type(message)]
            assert message.__struct_fields__.index(name) == least - 2
