"""Several calls at once over the orchestrator's own Session, and all their answers together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.loop import Loop
from orchestrator.presence import Question
from wampy.messages import Message
from wampy.protocol.received import Reply
from wampy.protocol.session import ClientProtocol

#: Gets the answers in the order of the questions; None: none in time.
Done = Callable[[list[Reply | None]], None]


@dataclass(slots=True, eq=False)
class _Batch:
    requests: list[int]
    answers: dict[int, Reply]
    done: Done


class Asking:
    """What is asked over one Session after the other; in the loop's thread, nothing blocks."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: dict[int, _Batch] = {}

    def ask(
        self,
        protocol: ClientProtocol,
        questions: Sequence[Question],
        timeout_s: float,
        done: Done,
    ) -> list[Message]:
        """Give the messages to be sent; ``done`` is called once, unless ``clear`` comes first."""
        messages: list[Message] = []
        requests: list[int] = []
        for question in questions:
            message = protocol.call(question.procedure, question.args, {}, {})
            messages.append(message)
            assert message.request_id is not None  # the protocol numbers what it makes
            requests.append(message.request_id)
        batch = _Batch(requests, {}, done)
        self._waiting.update(dict.fromkeys(requests, batch))
        if requests:
            self._loop.call_later(timeout_s, lambda: self._overdue(batch))
        else:
            self._loop.call_later(0, lambda: done([]))
        return messages

    def answered(self, reply: Reply) -> bool:
        """Take an answer; False: it answers nothing that was asked here."""
        batch = self._waiting.pop(reply.request_id, None)
        if batch is None:
            return False
        batch.answers[reply.request_id] = reply
        if len(batch.answers) == len(batch.requests):
            self._finish(batch)
        return True

    def clear(self) -> None:
        """The Session has ended: nothing is answered any more."""
        self._waiting.clear()

    def _overdue(self, batch: _Batch) -> None:
        waiting = [request for request in batch.requests if request in self._waiting]
        if not waiting:
            return
        for request in waiting:
            del self._waiting[request]
        self._finish(batch)

    @staticmethod
    def _finish(batch: _Batch) -> None:
        batch.done([batch.answers.get(request) for request in batch.requests])
