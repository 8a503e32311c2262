"""The JSON face of the control socket: ``/v1/…``.

``GET ps``; ``GET events``, a stream of JSON lines: a snapshot, then every transition; ``GET
logs?name=search&tail=100``, the last lines as JSON lines; ``GET why?name=search:0``, what has
failed, as ``{"failures": [...]}``, see ``orchestrator.failures``; ``POST up``, ``start``, ``stop``,
``restart``, ``scale``, ``wait``, ``down``, ``kill``, ``signal`` with a JSON object, answered when
it has come about: 200 with ``{"outcomes": [...]}``, 400 for a body that is not understood, 404 for
a target that is not there, 408 when ``timeout_s`` has passed first (the request itself goes on),
409 for what cannot be done as things are, 500 when the kernel refuses. ``POST reload`` gives
``{"plan": [{"action", "target", "reason"}], "outcomes": [...], "error": text | null}``;
``{"dry_run": true}`` asks for the plan alone. ``POST watch`` with ``{"on": true}`` reloads whenever
a file changes; ``POST level`` with ``names`` and ``{"level": "DEBUG"}`` sets what is logged.
"""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Callable
from typing import Any

from orchestrator.control.http import Exchange
from orchestrator.control.interface import Outcomes, StackControl
from orchestrator.errors import Refused, UnknownTarget
from orchestrator.logs.reader import LogReader
from orchestrator.loop import Loop, Timer

_JSON = "application/json"
_JSON_LINES = "application/x-ndjson"
#: A longer timeout (11 days) is none: the loop could not wait for it in one go.
LONGEST_TIMEOUT_S = 1_000_000.0
#: Lines that one answer has at most: they are read in the supervisor's own thread.
MOST_LINES = 1000
#: Of logging.
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
#: Of one Peer; as in the manifest.
MOST_REPLICAS = 10_000
#: What must name its targets; ``up`` and ``wait`` without any mean all.
_NEEDS_NAMES = ("start", "stop", "restart", "signal")


class BadRequest(Exception):
    """The request's body is not what was expected."""


class JsonFace:
    """Answers ``/v1/…``; in the loop's thread, nothing blocks."""

    def __init__(self, loop: Loop, stack: StackControl, logs: LogReader) -> None:
        self._loop = loop
        self._stack = stack
        self._logs = logs
        self._actions: dict[str, Callable[[dict[str, Any], Callable[[Outcomes], None]], None]] = {
            "up": lambda body, done: stack.up(_targets(body), _scale(body), _profiles(body), done),
            "start": lambda body, done: stack.start(_targets(body), done),
            "stop": lambda body, done: stack.stop(_targets(body), done),
            "restart": lambda body, done: stack.restart(
                _targets(body), bool(body.get("hard")), done
            ),
            "scale": lambda body, done: stack.scale(_scale(body, is_needed=True), done),
            "wait": lambda body, done: stack.wait_ready(_targets(body), done),
            "down": lambda body, done: stack.shutdown(done),
            "kill": lambda body, done: stack.kill(done),
        }

    def handle(self, exchange: Exchange, what: str) -> None:
        """Answer one request, now or later."""
        is_read = exchange.method in ("GET", "HEAD")
        try:
            if is_read and what == "ps":
                _answer(exchange, 200, self._stack.snapshot())
            elif exchange.method == "GET" and what == "events":
                self._events(exchange)
            elif is_read and what == "why":
                name = _query(exchange).get("name", ["all"])[-1]
                _answer(exchange, 200, {"failures": self._stack.why(name)})
            elif is_read and what == "logs":
                self._read_logs(exchange)
            elif exchange.method == "POST" and what == "signal":
                self._signal(exchange, _body(exchange))
            elif exchange.method == "POST" and what == "level":
                self._set_level(exchange, _body(exchange))
            elif exchange.method == "POST" and what == "watch":
                self._stack.watch(_body(exchange).get("on") is not False)
                _answer(exchange, 200, {"outcomes": []})
            elif exchange.method == "POST" and what == "reload":
                self._reload(exchange, _body(exchange))
            elif exchange.method == "POST" and what in self._actions:
                self._act(exchange, what, _body(exchange))
            else:
                _answer(exchange, 404, {"error": f"there is no {exchange.method} /v1/{what}"})
        except UnknownTarget as error:
            _answer(exchange, 404, {"error": str(error), "target": error.target})
        except BadRequest as error:
            _answer(exchange, 400, {"error": str(error)})
        except Refused as error:
            _answer(exchange, 409, {"error": str(error)})
        except OSError as error:
            _answer(exchange, 500, {"error": error.strerror or str(error)})

    def _act(self, exchange: Exchange, what: str, body: dict[str, Any]) -> None:
        if what in _NEEDS_NAMES:
            _require_names(body)
        action = self._actions[what]
        self._answer_later(
            exchange,
            body,
            lambda done: action(body, lambda outcomes: done({"outcomes": outcomes})),
        )

    def _reload(self, exchange: Exchange, body: dict[str, Any]) -> None:
        is_dry = body.get("dry_run") is True
        self._answer_later(exchange, body, lambda done: self._stack.reload(is_dry, done))

    def _answer_later(
        self,
        exchange: Exchange,
        body: dict[str, Any],
        begin: Callable[[Callable[[dict[str, Any]], None]], None],
    ) -> None:
        timer: Timer | None = None
        timeout_s = _timeout_s(body)

        def done(answer: dict[str, Any]) -> None:
            if timer is not None:
                timer.cancel()
            _answer(exchange, 200, answer)

        begin(done)
        if timeout_s is not None and not exchange.is_over:
            text = f"not done in {timeout_s:g} s"
            timer = self._loop.call_later(
                timeout_s, lambda: _answer(exchange, 408, {"error": text})
            )
            exchange.on_gone = timer.cancel

    def _signal(self, exchange: Exchange, body: dict[str, Any]) -> None:
        _require_names(body)
        signum = body.get("signal", int(signal.SIGTERM))
        if type(signum) is not int or signum not in signal.valid_signals():
            raise BadRequest("signal must be the number of a signal")
        for target in _targets(body):
            self._stack.signal(target, signum)
        _answer(exchange, 200, {"outcomes": []})

    def _set_level(self, exchange: Exchange, body: dict[str, Any]) -> None:
        _require_names(body)
        level = body.get("level")
        if level not in LEVELS:
            raise BadRequest(f"level must be one of {', '.join(LEVELS)}")
        for target in _targets(body):
            self._stack.set_level(target, level)
        _answer(exchange, 200, {"outcomes": []})

    def _read_logs(self, exchange: Exchange) -> None:
        query = _query(exchange)
        try:
            tail = int(query.get("tail", ["100"])[-1])
            since = float(query["since"][-1]) if "since" in query else None
        except ValueError as error:
            raise BadRequest(f"tail and since must be numbers: {error}") from error
        if not 0 <= tail <= MOST_LINES:
            raise BadRequest(f"tail must be from 0 to {MOST_LINES}")
        lines = self._logs.read(query.get("name", []), since=since, tail=tail)
        records = [
            {"at": line.at, "instance": line.instance, "stream": line.stream, "text": line.text}
            for line in lines
        ]
        body = "".join(json.dumps(record) + "\n" for record in records)
        exchange.answer(200, _JSON_LINES, body.encode())

    def _events(self, exchange: Exchange) -> None:
        exchange.begin_stream(_JSON_LINES)

        def tell(event: dict[str, Any]) -> None:
            exchange.send_part(json.dumps(event).encode() + b"\n")

        tell({"snapshot": self._stack.snapshot()})
        if not exchange.is_over:
            exchange.on_gone = self._stack.subscribe(tell)


def _answer(exchange: Exchange, status: int, content: Any) -> None:
    exchange.answer(status, _JSON, json.dumps(content).encode())


def _query(exchange: Exchange) -> dict[str, list[str]]:
    from urllib.parse import parse_qs

    return parse_qs(exchange.target.partition("?")[2])


def _body(exchange: Exchange) -> dict[str, Any]:
    try:
        body = json.loads(exchange.body or b"{}")
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body


def _timeout_s(body: dict[str, Any]) -> float | None:
    timeout_s = body.get("timeout_s")
    if timeout_s is None:
        return None
    if type(timeout_s) not in (int, float) or not timeout_s >= 0 or math.isnan(timeout_s):
        raise BadRequest("timeout_s must be a number of seconds, 0 or more")
    return None if timeout_s > LONGEST_TIMEOUT_S else float(timeout_s)


def _require_names(body: dict[str, Any]) -> None:
    if not _targets(body):
        raise BadRequest("names must be a list of at least one string")


def _targets(body: dict[str, Any]) -> list[str]:
    names = body.get("names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadRequest("names must be a list of strings")
    return names


def _profiles(body: dict[str, Any]) -> list[str]:
    profiles = body.get("profiles") or []
    if not isinstance(profiles, list) or not all(isinstance(one, str) for one in profiles):
        raise BadRequest("profiles must be a list of strings")
    return profiles


def _scale(body: dict[str, Any], *, is_needed: bool = False) -> dict[str, int]:
    scale = body.get("scale") or {}
    is_scale = isinstance(scale, dict) and all(
        type(n) is int and 0 <= n <= MOST_REPLICAS for n in scale.values()
    )
    if not is_scale or (is_needed and not scale):
        raise BadRequest(f"scale must be an object of numbers, each from 0 to {MOST_REPLICAS}")
    return scale
