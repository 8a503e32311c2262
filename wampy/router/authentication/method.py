"""What all methods share: principals by name, and the double of whoever has none."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from wampy.auth.basic import text_of
from wampy.errors import LocalProtocolError
from wampy.router.authentication.decoys import Decoys
from wampy.router.authentication.hello import MAX_AUTHID, Attempt
from wampy.router.authentication.outcomes import Pending, Rejected

#: Who says who is who: the manifest.
AUTHPROVIDER = "static"

_Principal = TypeVar("_Principal")


class Method(ABC):
    """One method with its principals.

    Subclasses answer a HELLO in ``begin``, which is only called when the method was offered, and
    with an authid where ``needs_authid``.
    """

    #: By which names a client may offer it.
    names: ClassVar[tuple[str, ...]] = ()
    needs_authid: ClassVar[bool] = True

    @abstractmethod
    def begin(self, method: str, attempt: Attempt) -> Pending | Rejected:
        """Ask for proof.

        Args:
            method: the name by which the client offered it.
            attempt: what the client said.
        """

    @abstractmethod
    def has(self, authid: str) -> bool:
        """Whether there is a principal of this name."""


def check_names(method: str, authid: str, role: str) -> None:
    """Check what a principal is called.

    Raises:
        LocalProtocolError: authid or role is no text, or empty; or no HELLO may have the authid.
    """
    text_of(f"{method}: an authid", authid)
    if len(authid) > MAX_AUTHID:
        raise LocalProtocolError(f"{method}: an authid has more than {MAX_AUTHID} characters")
    text_of(f"{method}.{authid}: role", role)


def checked_number(method: str, authid: str, what: str, value: Any, least: int, most: int) -> int:
    """Give a principal's number.

    Raises:
        LocalProtocolError: it is none, or out of the range.
    """
    if type(value) is not int or not least <= value <= most:
        raise LocalProtocolError(
            f"{method}.{authid}: {what} is {value!r}; expected {least} to {most}"
        )
    return value


def chosen(
    authid: str, principals: Mapping[str, _Principal], decoys: Decoys
) -> tuple[_Principal, bool]:
    """Give the principal of a name, or the one of which it is the double; and whether it is known.

    The double is that of all methods, as far as it has this one.
    """
    everybody = decoys.model(authid)
    here = decoys.model(authid, principals)
    model = principals.get(everybody, principals[here])
    principal = principals.get(authid)
    return (model, False) if principal is None else (principal, True)
