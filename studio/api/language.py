"""OpenAI's text routes: chat, and completions with a suffix for fill-in-the-middle."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from pipelines.errors import InvalidRequest, Problem
from studio.api.errors import ErrorRoute, problem_body, unsupported
from studio.api.running import assets_of, event, event_stream, finish, knobs, submit_built, text_deltas
from studio.library import Asset
from studio.queue.jobs import Job

if TYPE_CHECKING:
    from studio.studio import Studio


class Part(BaseModel):
    model_config = ConfigDict(extra="allow")
    type: str
    text: str = ""


class Message(BaseModel):
    model_config = ConfigDict(extra="allow")
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    def words(self) -> str:
        """Its text; raises InvalidRequest for parts that are not text."""
        if not isinstance(self.content, list):
            return self.content or ""
        other = sorted({part.type for part in self.content} - {"text", "input_text"})
        if other:
            raise unsupported("messages", f"Content of type {', '.join(other)}", "Send text only.")
        return "\n".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="allow")
    include_usage: bool = False


class Sampled(BaseModel):
    """What chat and completions share. Fields that would change the answer and that we cannot honour are refused."""

    model_config = ConfigDict(extra="allow")
    model: str = ""
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | int | None = None

    def sampling(self) -> dict[str, object]:
        """Our knobs; raises InvalidRequest for what we cannot do."""
        if self.n not in (None, 1):
            raise unsupported(
                "n", "More than one answer at a time", "Use n = 1 and ask again with another seed."
            )
        for name in ("presence_penalty", "frequency_penalty", "logit_bias", "logprobs"):
            if getattr(self, name):
                raise unsupported(name, name, "Leave it out; `repetition_penalty` is what these models know.")
        stop = [self.stop] if isinstance(self.stop, str) else self.stop
        return {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "stop": None if stop is None else tuple(word for word in stop if word),
        }

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


class Chat(Sampled):
    messages: list[Message] = Field(min_length=1)
    max_completion_tokens: int | None = None
    tools: list[object] | None = None
    functions: list[object] | None = None
    response_format: dict[str, object] | None = None

    def values(self) -> dict[str, object]:
        """Fields of a TextRequest."""
        if self.tools or self.functions:
            raise unsupported("tools", "Tool calling")
        if self.response_format and self.response_format.get("type") != "text":
            raise unsupported("response_format", f"response_format {self.response_format.get('type')!r}")
        system = [message.words() for message in self.messages if message.role in ("system", "developer")]
        turns = [message for message in self.messages if message.role not in ("system", "developer")]
        for turn in turns:
            if turn.role not in ("user", "assistant"):
                raise unsupported("messages", f"A message with the role {turn.role!r}")
        if not turns or turns[-1].role != "user":
            raise InvalidRequest(
                "The last message is not from the user.",
                field="messages",
                hint="End with a message of role user.",
            )
        sampling = self.sampling()
        if self.max_completion_tokens is not None:
            sampling["max_tokens"] = self.max_completion_tokens
        history = [{"role": turn.role, "content": turn.words()} for turn in turns[:-1]]
        return {
            **knobs("text", self.model_extra),
            **sampling,
            "prompt": turns[-1].words(),
            "system": "\n\n".join(system) or None,
            "history": tuple(history) or None,
        }


class Completion(Sampled):
    prompt: str | list[str]
    suffix: str | None = None
    echo: bool = False
    best_of: int | None = None

    def values(self) -> dict[str, object]:
        """Fields of a CodeRequest that completes."""
        if self.echo:
            raise unsupported("echo", "echo")
        if self.best_of not in (None, 1):
            raise unsupported("best_of", "best_of")
        if isinstance(self.prompt, list) and len(self.prompt) != 1:
            raise unsupported("prompt", "More than one prompt at a time", "Send one prompt.")
        code = self.prompt if isinstance(self.prompt, str) else self.prompt[0]
        return {
            **knobs("code", self.model_extra),
            **self.sampling(),
            "task": "complete",
            "code": code,
            "suffix": self.suffix,
            "prompt": None,
        }


def router(studio: Studio) -> APIRouter:
    routes = APIRouter(route_class=ErrorRoute)

    @routes.post("/v1/chat/completions")
    async def chat(body: Chat, http: Request) -> object:
        job = await submit_built(studio, http, "text", body.model, body.values())
        reply = _Reply(job, "chatcmpl", "chat.completion")
        if body.stream:
            return event_stream(_stream(studio, reply, body.wants_usage, is_chat=True))
        done, assets = await finish(studio, job, http)
        message = {"role": "assistant", "content": done.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(assets)}
        return reply.body([choice], _usage(assets))

    @routes.post("/v1/completions")
    async def complete(body: Completion, http: Request) -> object:
        values = await run_in_threadpool(_plain_text_for_others, studio, body)
        job = await submit_built(studio, http, "code", body.model, values)
        reply = _Reply(job, "cmpl", "text_completion")
        if body.stream:
            return event_stream(_stream(studio, reply, body.wants_usage, is_chat=False))
        done, assets = await finish(studio, job, http)
        return reply.body([_text_choice(done.text, _reason(assets))], _usage(assets))

    return routes


def _plain_text_for_others(studio: Studio, body: Completion) -> dict[str, object]:
    """Values of the request; what a model not made for code goes on from is filed as text, unless a language is given."""
    values = body.values()
    spec = next((spec for spec in studio.catalog.all() if spec.id == body.model), None)
    return values if spec is None or "code" in spec.modalities else {"language": "text", **values}


class _Reply:
    """What every body of one answer begins with."""

    def __init__(self, job: Job, prefix: str, kind: str) -> None:
        self.job, self.kind = job, kind
        self._start = {"id": f"{prefix}-{job.id}", "created": int(job.created_at), "model": job.request.model}

    def body(
        self, choices: list[dict[str, object]], usage: dict[str, int] | None, kind: str = ""
    ) -> dict[str, object]:
        return {**self._start, "object": kind or self.kind, "choices": choices, "usage": usage}


async def _stream(studio: Studio, reply: _Reply, wants_usage: bool, *, is_chat: bool) -> AsyncIterator[str]:
    kind = "chat.completion.chunk" if is_chat else reply.kind

    def chunk(text: str, reason: str | None = None) -> str:
        if is_chat:
            delta = {"content": text} if text else {}
            return event(reply.body([{"index": 0, "delta": delta, "finish_reason": reason}], None, kind))
        return event(reply.body([_text_choice(text, reason)], None, kind))

    if is_chat:
        first = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        yield event(reply.body([first], None, kind))
    async for piece in text_deltas(studio, reply.job):
        if isinstance(piece, str):
            yield chunk(piece)
        elif piece.status == "completed":
            assets = await run_in_threadpool(assets_of, studio, piece)
            yield chunk("", _reason(assets))
            if wants_usage:
                yield event(reply.body([], _usage(assets), kind))
        else:
            yield event(problem_body(piece.problem or Problem("cancelled", "The job was cancelled.")))
    yield event("[DONE]")


def _text_choice(text: str, reason: str | None) -> dict[str, object]:
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": reason}


def _reason(assets: list[Asset]) -> str:
    return str(assets[0].facts.get("finish_reason", "stop")) if assets else "stop"


def _usage(assets: list[Asset]) -> dict[str, int]:
    prompt, completion = (
        assets[0].count(fact) if assets else 0 for fact in ("prompt_tokens", "completion_tokens")
    )
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
