"""The JSON face of the control socket: ``/v1/…``.

``GET ps``; ``GET events``, a stream of JSON lines: a snapshot, then every transition; ``POST up``,
``start``, ``stop``, ``restart``, ``wait``, ``down``, ``kill``, ``signal`` with a JSON object,
answered when it has come about: 200 with ``{"outcomes": [...]}``, 404 for a target that is not
there, 408 when ``timeout_s`` has passed first (the request itself goes on).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from orchestrator.control.http import Exchange
from orchestrator.control.interface import Outcomes, StackControl
from orchestrator.errors import UnknownTarget
from orchestrator.loop import Loop, Timer

_JSON = "application/json"


class BadRequest(Exception):
    """The request's body is not what was expected."""


class JsonFace:
    """Answers ``/v1/…``; in the loop's thread, nothing blocks."""

    def __init__(self, loop: Loop, stack: StackControl) -> None:
        self._loop = loop
        self._stack = stack
        self._actions: dict[str, Callable[[dict[str, Any], Callable[[Outcomes], None]], None]] = {
            "up": lambda body, done: stack.up(_targets(body), _scale(body), done),
            "start": lambda body, done: stack.start(_targets(body), done),
            "stop": lambda body, done: stack.stop(_targets(body), done),
            "restart": lambda body, done: stack.restart(
                _targets(body), bool(body.get("hard")), done
            ),
            "wait": lambda body, done: stack.wait_ready(_targets(body), done),
            "down": lambda body, done: stack.shutdown(done),
            "kill": lambda body, done: stack.kill(done),
        }

    def handle(self, exchange: Exchange, what: str) -> None:
        """Answer one request, now or later."""
        if exchange.method == "GET" and what == "ps":
            _answer(exchange, 200, self._stack.snapshot())
        elif exchange.method == "GET" and what == "events":
            self._events(exchange)
        elif exchange.method == "POST" and (what in self._actions or what == "signal"):
            try:
                self._act(exchange, what, _body(exchange))
            except UnknownTarget as error:
                _answer(exchange, 404, {"error": str(error), "target": error.target})
            except BadRequest as error:
                _answer(exchange, 400, {"error": str(error)})
        else:
            _answer(exchange, 404, {"error": f"there is no {exchange.method} /v1/{what}"})

    def _act(self, exchange: Exchange, what: str, body: dict[str, Any]) -> None:
        if what == "signal":
            for target in _targets(body):
                self._stack.signal(target, int(body.get("signal", 15)))
            _answer(exchange, 200, {"outcomes": []})
            return
        timer: Timer | None = None
        timeout_s = body.get("timeout_s")
        if isinstance(timeout_s, (int, float)):
            timer = self._loop.call_later(
                timeout_s, lambda: _answer(exchange, 408, {"error": f"not done in {timeout_s:g} s"})
            )

        def done(outcomes: Outcomes) -> None:
            if timer is not None:
                timer.cancel()
            _answer(exchange, 200, {"outcomes": outcomes})

        try:
            self._actions[what](body, done)
        except Exception:
            if timer is not None:
                timer.cancel()
            raise

    def _events(self, exchange: Exchange) -> None:
        exchange.begin_stream("application/x-ndjson")

        def tell(event: dict[str, Any]) -> None:
            exchange.send_part(json.dumps(event).encode() + b"\n")

        exchange.on_gone = self._stack.subscribe(tell)
        tell({"snapshot": self._stack.snapshot()})


def _answer(exchange: Exchange, status: int, content: Any) -> None:
    exchange.answer(status, _JSON, json.dumps(content).encode())


def _body(exchange: Exchange) -> dict[str, Any]:
    try:
        body = json.loads(exchange.body or b"{}")
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body


def _targets(body: dict[str, Any]) -> list[str]:
    names = body.get("names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadRequest("names must be a list of strings")
    return names


def _scale(body: dict[str, Any]) -> dict[str, int]:
    scale = body.get("scale") or {}
    if not isinstance(scale, dict) or not all(type(n) is int and n >= 0 for n in scale.values()):
        raise BadRequest("scale must be an object of numbers")
    return scale
