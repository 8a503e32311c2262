"""Strategies: values, messages, and what is neither."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from wampy.ids import MAX_ID
from wampy.messages import MESSAGES, Message
from wampy.uris import is_uri

#: Texts that all serializers take: none that begins with NUL, which JSON has for bytes.
texts = st.text(max_size=20).filter(lambda text: not text.startswith("\0"))
keys = st.text(max_size=10)
integers = st.integers(-(1 << 63), (1 << 64) - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.one_of(st.none(), st.booleans(), integers, floats, texts, st.binary(max_size=20))


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.lists(inner, max_size=5), st.dictionaries(keys, inner, max_size=5))


#: What all serializers carry.
values = st.recursive(scalars, _containers, max_leaves=12)
dictionaries = st.dictionaries(keys, values, max_size=4)
#: Options that do not say how a pattern matches.
options = dictionaries.map(
    lambda fields: {key: value for key, value in fields.items() if key != "match"}
)
ids = st.one_of(st.integers(1, 9), st.integers(1, MAX_ID))
uris = (
    st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=3)
    .map(".".join)
    .filter(lambda uri: is_uri(uri) and not uri.startswith("\0"))
)

_BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "args": st.lists(values, max_size=4).map(tuple),
    "kwargs": dictionaries,
    "options": options,
    "details": dictionaries,
    "extra": dictionaries,
    "realm": uris,
    "reason": uris,
    "topic": uris,
    "procedure": uris,
    "error": uris,
    "request_type": st.sampled_from(list(MESSAGES)),
}


def _fields_of(message: type[Message]) -> st.SearchStrategy[Message]:
    fields = {
        name: _BY_NAME.get(name, ids if name.endswith("_id") else texts)
        for name in message.__struct_fields__
    }
    if message.name in ("UNREGISTERED", "UNSUBSCRIBED"):
        # Without Details, unless it is a revocation.
        fields["request_id"] = st.one_of(st.just(0), ids)
        fields["details"] = st.one_of(st.none(), dictionaries.filter(bool))
    return st.builds(message, **fields)


def messages(code: int | None = None) -> st.SearchStrategy[Message]:
    """Give any message that all serializers carry, or any with this code."""
    if code is not None:
        return _fields_of(MESSAGES[code])
    return st.one_of([_fields_of(message) for message in MESSAGES.values()])


def anything() -> st.SearchStrategy[Any]:
    """Give any value whatever, hashable or not, in and out of every range."""
    strange = st.one_of(
        scalars,
        st.integers(),
        st.floats(),
        st.text(alphabet=st.characters(codec=None), max_size=5),
        st.sampled_from([(), object(), 1 << 53, (1 << 53) + 1, 10**400, 1.0, 2.5]),
    )
    return st.recursive(
        strange,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(scalars, inner, max_size=3)
        ),
        max_leaves=8,
    )
