"""One exchange from its request to its last byte: prompt check, upstream, answer check.

Owns: the order of things, and what a failure means at each point. Knows no sockets: a request comes
in as a `Call`, bytes go out. `record` (in `trace`) writes down what happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from charter.guard import conversation
from charter.guard.call import Call, Parts
from charter.guard.checking import AnswerChecks, TextCheck
from charter.guard.conversation import Conversation, leaves
from charter.guard.decision import Decision, Stage, Stream
from charter.guard.dialect import Event, Refusal, Writer, decode, encode
from charter.guard.faults import Fault
from charter.guard.reading import ReplyReader, in_time
from charter.guard.scoring import ScoringError
from charter.guard.streaming import HoldBack
from charter.guard.trace import Trace
from charter.guard.upstream import Reply, returned

log = logging.getLogger("charter.guard")
_ERROR_BYTES = 64 << 10


class Exchange:
    """One request and its answer.

    Args:
        parts: what the server has.
        call: the request.
    """

    def __init__(self, parts: Parts, call: Call) -> None:
        self.parts, self.call = parts, call
        self.settings = parts.settings
        self.trace = Trace(call.request, call.dialect.name, call.data, self.settings)
        self.headers: dict[str, str] = {"x-charter-request": call.request}
        """Headers of the answer; complete once `run` has given its first bytes."""
        self._writer: Writer = call.dialect.writer(call.data, call.request)
        self._checks = AnswerChecks(self._new_check)
        self.trace.checks = self._checks
        self._messages: Conversation = Conversation((), 0)
        self._first: Stream | None = None
        loop = asyncio.get_running_loop()
        self._deadline = loop.time() + self.settings.limits.answer_seconds

    async def run(self) -> AsyncGenerator[bytes, None]:
        """The answer's bytes.

        Raises:
            Fault: the exchange failed before anything left. Later failures are said in the stream.
        """
        try:
            async with aclosing(self._answer()) as answer:
                async for out in answer:
                    self.trace.left()
                    yield out
        except (GeneratorExit, asyncio.CancelledError):
            self.trace.outcome = "client_gone"
            raise
        except Exception as error:
            fault = self._attributed(error)
            self.trace.failed(fault)
            if not self.trace.has_left:
                raise fault from error
            yield self._writer.error(fault)
        finally:
            self._write_down()

    async def _answer(self) -> AsyncGenerator[bytes, None]:
        body = self._read_request()
        blocked = await self._check_prompt()
        if blocked is not None:
            yield self._refuse_prompt(blocked)
            return
        reply = await in_time(self._ask(body), self._deadline)
        try:
            self.headers.update(returned(reply.headers))
            if reply.status != 200:
                raise await self._refused_by_upstream(reply)
            reader = ReplyReader(reply, self.settings.limits, self._deadline)
            answer = self._stream(reader) if self.call.streamed else self._whole(reader)
            async with aclosing(answer):
                async for out in answer:
                    yield out
        finally:
            await reply.close()

    async def _ask(self, body: bytes) -> Reply:
        dialect = self.call.dialect
        upstream = self.parts.upstream
        return await upstream.ask(dialect.name, dialect.path, body, self.call.headers)

    def _read_request(self) -> bytes:
        """Read the conversation; the body for upstream."""
        call = self.call
        if not isinstance(call.data.get("stream", False), bool | None):
            raise Fault("invalid_request", "'stream' must be true or false")
        call.dialect.choices(call.data)
        data, body = call.data, call.body
        if self.settings.enforce:
            shorter = conversation.without_blocked_turns(data, self.settings.refusal)
            if shorter is not None:
                data, body, self.trace.withheld = shorter, encode(shorter), True
        self._messages = call.dialect.conversation(data)
        self.trace.prompt = self._messages
        return body

    async def _check_prompt(self) -> Decision | None:
        """The decision, if it is to block."""
        if self._messages.unreadable:
            self._fail("unreadable content (images, sound or files)", "invalid_request")
        try:
            decision = await self.parts.scorer.run(self._score_prompt)
        except ScoringError as error:
            self._fail(error.reason, "guard_failed")
            return None
        self.trace.prompt_decided(decision)
        return decision if decision.action == "block" and self.settings.enforce else None

    def _score_prompt(self) -> Decision:
        self._first = stream = self.parts.classifier.start(self._messages.messages)
        score = stream.conversation_score
        return self.settings.thresholds.decide("prompt", score, stream.clauses)

    def _refuse_prompt(self, decision: Decision) -> bytes:
        refusal, call = self._refusal("prompt", decision), self.call
        if not call.streamed:
            return call.dialect.refused(call.data, refusal)
        choices = range(call.dialect.choices(call.data))
        ends = [self._writer.refuse(choice, refusal) for choice in choices]
        return b"".join([*ends, self._writer.end()])

    async def _whole(self, reader: ReplyReader) -> AsyncGenerator[bytes, None]:
        event = self.call.dialect.read_whole(await reader.whole())
        if self.trace.scoring:
            try:
                await self.parts.scorer.run(lambda: self._checks.score([event]))
            except ScoringError as error:
                self._fail(error.reason, "guard_failed")
        if not self.trace.scoring:
            self.trace.unchecked_run = sum(len(piece.text) for piece in event.pieces)
        blocked = self._checks.blocked
        refusals = {c: self._refusal("answer", blocked[c]) for c in blocked}
        yield self.call.dialect.refuse_whole(event, refusals) if refusals else event.payload

    async def _stream(self, reader: ReplyReader) -> AsyncGenerator[bytes, None]:
        hold = HoldBack(self._writer, self._checks, lambda d: self._refusal("answer", d))
        self.trace.hold = hold
        if not self.trace.scoring:
            hold.fail_open()
        wanted, ended = self.call.dialect.choices(self.call.data), set[int]()
        async with aclosing(reader.events(self.call.dialect)) as batches:
            async for events in batches:
                out = await self._released(hold, events)
                ended.update(choice for event in events for choice in event.finished)
                if len(hold.closed) == wanted:
                    yield out + self._writer.end()
                    return
                if out:
                    yield out
                if events[-1].last:
                    return
        if len(ended | hold.closed) < wanted:
            raise Fault("upstream_closed", "upstream broke the answer off")
        if hold.closed:
            yield self._writer.end()

    async def _released(self, hold: HoldBack, events: list[Event]) -> bytes:
        if self.trace.scoring:
            try:
                spans = await self.parts.scorer.run(lambda: self._checks.score(events))
            except ScoringError as error:
                self._fail(error.reason, "guard_failed")
            else:
                pairs = zip(events, spans, strict=True)
                return b"".join([hold.release(event, found) for event, found in pairs])
        return b"".join([hold.release_unchecked(event) for event in events])

    async def _refused_by_upstream(self, reply: Reply) -> Fault:
        """Upstream's refusal as a fault. Its words are passed on only if they pass the check."""
        headers = returned(reply.headers)
        if not 400 <= reply.status < 500:
            said = f"upstream answered with status {reply.status}"
            return Fault("upstream_error", said, headers=headers)
        said = ""
        reader = ReplyReader(reply, self.settings.limits, self._deadline)
        with contextlib.suppress(Fault):
            said = _message(decode(await reader.whole(_ERROR_BYTES)))
        if not said or not await self._harmless(said):
            said = f"upstream answered with status {reply.status}"
        return Fault("upstream_refused", said, status=reply.status, headers=headers)

    async def _harmless(self, text: str) -> bool:
        def score() -> bool:
            check = self._new_check()
            check.enforce = True
            check.push(text)
            check.settle()
            return not check.blocked

        try:
            return self.trace.scoring and await self.parts.scorer.run(score)
        except ScoringError:
            return False

    def _new_check(self) -> TextCheck:
        """A check with a stream of its own; the first one goes on with the prompt's."""
        stream, self._first = self._first, None
        return TextCheck(
            stream or self.parts.classifier.start(self._messages.messages),
            self.settings.window,
            self.settings.thresholds,
            enforce=self.settings.enforce,
            keep_text=self.trace.keep_text,
        )

    def _refusal(self, stage: Stage, decision: Decision) -> Refusal:
        clauses = decision.clauses or ("unspecified",)
        self.headers["x-charter-clause"] = ",".join(map(_header_safe, clauses))
        return Refusal(self.settings.refusal, stage, decision.clauses, self.call.request)

    def _fail(self, reason: str, kind: Any) -> None:
        """The classifier cannot do its work: go on without it, or not at all, as configured."""
        self.trace.not_scored(reason)
        if not self.settings.open_on_error:
            raise Fault(kind, f"the guard could not check this exchange: {reason}")
        if self.trace.hold is not None:
            self.trace.hold.fail_open()

    def _attributed(self, error: Exception) -> Fault:
        if isinstance(error, Fault):
            return error
        # Its message might quote what people wrote; the kind is enough to find it.
        log.error("exchange %s failed: %s", self.call.request, type(error).__name__)
        return Fault("internal", "the guard failed on this exchange")

    def _write_down(self) -> None:
        record = self.trace.record(self.parts.classifier.identity)
        self.parts.audit.append(record)
        self.parts.metrics.count(record, written=self.parts.audit.healthy)


def _message(data: dict[str, Any]) -> str:
    return " ".join(leaves(data.get("error") or data.get("message") or data.get("detail") or ""))


def _header_safe(clause: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_./:") else "_" for c in clause)
