"""XML-RPC methods by name: the methods of one object, and ``system.*`` about them."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any

from orchestrator.control.faults import FaultCode, RpcFault
from orchestrator.loop import Loop

#: Takes a value, or an RpcFault.
Reply = Callable[[Any], None]
#: What parameters of these annotations may be; others take anything.
_TYPES: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "bool": (bool, int)}
_XML_TYPES = {"str": "string", "int": "int", "bool": "boolean", "Row": "struct"}


class Later:
    """An answer that takes time: ``begin(reply)`` is called once, and calls ``reply`` once."""

    def __init__(self, begin: Callable[[Reply], None]) -> None:
        self.begin = begin


class Methods:
    """Calls the public methods of ``target`` as ``<namespace>.<method>``; in the loop's thread."""

    def __init__(self, namespace: str, target: object, loop: Loop) -> None:
        self._loop = loop
        self._methods: dict[str, Callable[..., Any]] = {}
        for prefix, owner in ((namespace, target), ("system", _System(self))):
            for name in dir(owner):
                method = getattr(owner, name)
                if not name.startswith("_") and isinstance(method, types.MethodType):
                    self._methods[f"{prefix}.{name}"] = method

    def call(self, name: str, parameters: Sequence[Any], reply: Reply) -> None:
        """Call one method and give its value or an RpcFault to ``reply``, now or later."""
        try:
            value = self._call(name, parameters)
        except RpcFault as fault:
            value = fault
        if isinstance(value, Later):
            value.begin(reply)
        else:
            reply(value)

    def names(self) -> list[str]:
        """Give the names of all methods."""
        return sorted(self._methods)

    def method(self, name: str) -> Callable[..., Any]:
        """Give one method.

        Raises:
            RpcFault: SIGNATURE_UNSUPPORTED, as supervisor has it.
        """
        try:
            return self._methods[name]
        except KeyError:
            raise RpcFault(FaultCode.SIGNATURE_UNSUPPORTED, name) from None

    def multicall(self, calls: list[Any]) -> Later:
        """Call one after the other, each after the answer to the one before."""

        def begin(reply: Reply) -> None:
            results: list[Any] = []

            def step() -> None:
                if len(results) == len(calls):
                    reply(results)
                    return
                self._call_of_many(calls[len(results)], keep)

            def keep(value: Any) -> None:
                if isinstance(value, RpcFault):
                    value = {"faultCode": int(value.code), "faultString": value.text}
                else:
                    value = [value]
                results.append(value)
                # Not from within the call before: there may be thousands.
                self._loop.call_later(0, step)

            step()

        return Later(begin)

    def _call_of_many(self, call: Any, reply: Reply) -> None:
        name = call.get("methodName") if isinstance(call, dict) else None
        parameters = call.get("params", []) if isinstance(call, dict) else None
        if not isinstance(name, str) or not isinstance(parameters, list):
            reply(RpcFault(FaultCode.INCORRECT_PARAMETERS, "no methodName"))
        elif name == "system.multicall":
            text = "recursive system.multicall is forbidden"
            reply(RpcFault(FaultCode.INCORRECT_PARAMETERS, text))
        else:
            self.call(name, parameters, reply)

    def _call(self, name: str, parameters: Sequence[Any]) -> Any:
        method = self._methods.get(name)
        if method is None:
            raise RpcFault(FaultCode.UNKNOWN_METHOD, name)
        annotations, required = _parameters(method)
        if not required <= len(parameters) <= len(annotations):
            raise RpcFault(FaultCode.INCORRECT_PARAMETERS, name)
        for value, annotation in zip(parameters, annotations, strict=False):
            if not isinstance(value, _TYPES.get(annotation, (object,))):
                raise RpcFault(FaultCode.INCORRECT_PARAMETERS, f"{name}: {value!r}"[:200])
        return method(*parameters)


class _System:
    """The methods ``system.*``."""

    def __init__(self, methods: Methods) -> None:
        self._methods = methods

    def listMethods(self) -> list[str]:
        """Return the names of all methods."""
        return self._methods.names()

    def methodHelp(self, name: str) -> str:
        """Return what a method does."""
        return self._methods.method(name).__doc__ or ""

    def methodSignature(self, name: str) -> list[str]:
        """Return the types of a method's result and parameters."""
        method = self._methods.method(name)
        annotations, _ = _parameters(method)
        result = str(method.__annotations__["return"])
        found = "array" if result.startswith("list") else _XML_TYPES.get(result, "boolean")
        return [found, *(_XML_TYPES.get(annotation, "string") for annotation in annotations)]

    def multicall(self, calls: Any) -> Later:
        """Call many methods; returns for each a list of its value, or a struct of its fault."""
        if not isinstance(calls, list):
            raise RpcFault(FaultCode.INCORRECT_PARAMETERS, "system.multicall")
        return self._methods.multicall(calls)


def _parameters(method: Callable[..., Any]) -> tuple[list[str], int]:
    """Give the annotations of a bound method's parameters, and how many it must get.

    Without ``inspect``, which the supervisor would import for this alone.
    """
    function: Any = method.__func__  # type: ignore[attr-defined]
    names = function.__code__.co_varnames[1 : function.__code__.co_argcount]
    annotations = [str(function.__annotations__[name]) for name in names]
    return annotations, len(annotations) - len(function.__defaults__ or ())
