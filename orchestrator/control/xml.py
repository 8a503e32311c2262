"""XML-RPC requests and answers as bytes.

The format has no null, no integer beyond 32 bits and no control characters, and clients end on any
of them; so none goes out, whatever a Peer has written or is called.
"""

from __future__ import annotations

import math
import re
import xmlrpc.client
from typing import Any
from xml.parsers.expat import ExpatError

from orchestrator.control.faults import RpcFault

_MAX_INT = 2**31 - 1
_MIN_INT = -(2**31)
#: The parser lets out whatever its parts raise: of expat, numbers, dates, base64, its own stack.
_PARSING_ERRORS = (
    ExpatError,
    xmlrpc.client.Error,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
#: What XML 1.0 cannot have in any form, and the other control characters.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class NotXmlRpc(Exception):
    """The bytes are no XML-RPC request."""


def parse_request(body: bytes) -> tuple[str, tuple[Any, ...]]:
    """Give the method's name and its parameters.

    Raises:
        NotXmlRpc: it is none.
    """
    try:
        parameters, method = xmlrpc.client.loads(body, use_builtin_types=True)
    except _PARSING_ERRORS as error:
        raise NotXmlRpc(f"not an XML-RPC request: {error}") from error
    if not method:
        raise NotXmlRpc("the request has no methodName")
    return method, parameters


def serialize_answer(value: Any) -> bytes:
    """Give the answer with one value, or with a fault."""
    if isinstance(value, RpcFault):
        answer: Any = xmlrpc.client.Fault(int(value.code), clean_text(value.text))
    else:
        answer = (clean(value),)
    return xmlrpc.client.dumps(answer, methodresponse=True).encode()


def clean(value: Any) -> Any:
    """Give a value that XML-RPC can carry: None is an empty string, big numbers are cut."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return max(_MIN_INT, min(_MAX_INT, int(value)))
    if isinstance(value, float):
        return value if math.isfinite(value) else 0.0
    if isinstance(value, dict):
        return {clean_text(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    return clean_text(str(value))


def clean_text(text: str) -> str:
    r"""Give the text with forbidden characters written as ``\x1b``, line ends as they are."""
    return _FORBIDDEN.sub(lambda found: _escape(found.group()), text)


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
