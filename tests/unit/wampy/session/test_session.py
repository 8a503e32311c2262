"""What a Session refuses before it connects."""

from __future__ import annotations

import pytest

from wampy import Session
from wampy.serializers import SERIALIZERS

NOWHERE = "unix:///nowhere"


def test_an_unknown_serializer():
    with pytest.raises(ValueError, match=r"^no serializer 'yaml', but msgpack, json, cbor$"):
        Session(NOWHERE, serializer="yaml")


def test_without_its_library_cbor_says_what_to_install(monkeypatch):
    monkeypatch.delitem(SERIALIZERS, "cbor")
    with pytest.raises(ValueError, match=r"'cbor', but msgpack, json: pip install .*\[cbor\]"):
        Session(NOWHERE, serializer="cbor")
