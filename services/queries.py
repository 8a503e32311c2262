"""What people write into a search box, as queries of FTS5.

FTS5's own language holds: words that must all be there, ``"a phrase"``, ``word*``, ``AND``, ``OR``,
``NOT``, ``NEAR(a b, 5)``, ``title : word`` and parentheses. Two things are made easier:

- What has a dot or the like in it (``os.path``, ``read-only``) counts as if quoted; bare, FTS5
  refuses it.
- Plain words next to each other find first what has them as a phrase. Shells and command lines
  take quotes away: who wrote ``"context manager"`` and sent ``context manager`` meant that.
"""

from __future__ import annotations

import re
from typing import Any

#: The longest query, in characters.
MAX_QUERY_LENGTH = 1000

_OPERATORS = ("AND", "OR", "NOT", "NEAR")
_EXAMPLE = "context manager"
#: Words with something between them that is neither a space nor a sign of FTS5's.
_JOINED = re.compile(r"\w+(?:[.\-/\\@'#&%$=~!?;<>|]+\w+)+")


class QueryError(ValueError):
    """A query that FTS5 does not understand, or a limit that cannot be; the text says the mend."""


def prepare(text: Any) -> str:
    """Give a query for FTS5, which may still refuse it.

    Raises:
        QueryError: it is no text, too long, or empty.
    """
    if not isinstance(text, str):
        raise QueryError(f"the query is a {type(text).__name__}; expected a string")
    if len(text) > MAX_QUERY_LENGTH:
        raise QueryError(
            f"the query has {len(text)} characters; at most {MAX_QUERY_LENGTH} are taken"
        )
    if not text.strip():
        raise QueryError(f"the query is empty; write words, such as: {_EXAMPLE}")
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise QueryError("the query has a NUL or half a surrogate pair; leave that out")
    if '"' in text:
        return text  # whoever quotes knows what is quoted
    return _JOINED.sub(lambda match: quoted(match.group()), text)


def phrase_of(text: str) -> str | None:
    """Give plain words as a phrase; None for one word, and for anything that is more than words."""
    words = text.split()
    if len(words) < 2 or any(word in _OPERATORS for word in words):
        return None
    if not all(re.fullmatch(r"\w+", word) or _JOINED.fullmatch(word) for word in words):
        return None
    return quoted(" ".join(words))


def quoted(text: str) -> str:
    """Give ``text`` as a phrase of FTS5: nothing in it means anything but itself."""
    return '"' + text.replace('"', '""') + '"'


def mend(text: str, message: str) -> str:
    """Say what FTS5 does not understand, and what to write instead.

    Args:
        text: the query as it was written.
        message: what FTS5 says of it.
    """
    reason = message.removeprefix("fts5: ")
    if reason == 'syntax error near ""':
        reason = "it ends too early"
    elif reason.startswith("no such column:"):
        reason += " (only title and text can stand before a colon; a minus needs quotes)"
    elif reason.startswith("unknown special query"):
        reason = "a * stands after a word"
    # Small letters: `and` is a word, `AND` is not.
    words = " ".join(re.findall(r"\w+", text)).lower() or _EXAMPLE
    phrase = quoted(" ".join(text.replace('"', " ").split()) or _EXAMPLE)
    return f"cannot search for {text}: {reason}; write words only: {words} - or a phrase: {phrase}"
