"""Token by token: what a borrowed language model writes after a prompt, told to whoever watches as it comes.

transformers does the writing (`generate`, with all it knows about caches of each family); two things are ours. Tokens are drawn
from a generator of the job's own, because `generate` would draw from one that all threads share, and a seed must give the same
text whatever else runs. And each token is heard at once: for the text stream, for stop texts, and for cancel.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from transformers import GenerationConfig
from transformers.generation import (
    LogitsProcessor,
    LogitsProcessorList,
    MinPLogitsWarper,
    StoppingCriteria,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from pipelines.errors import ModelUnavailable
from pipelines.language.detokenize import StopFilter, TokenDecoder
from pipelines.language.loops import NoThirdTime
from pipelines.language.prompting import Prompt
from pipelines.loading.language import LanguageModel
from pipelines.memory import Lease
from pipelines.messages import SamplingRequest
from pipelines.runtime.context import Context
from pipelines.runtime.ladder import Ladder, Way, way_up_to

PROGRESS_SECONDS = 0.1


@dataclass(frozen=True)
class Answer:
    """What was written. finish_reason: "stop" (the model or a stop text ended it) or "length"."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str
    seconds: float

    def facts(self) -> dict[str, object]:
        rate = self.completion_tokens / self.seconds if self.seconds else 0.0
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "finish_reason": self.finish_reason,
            "tokens_per_second": round(rate, 1),
        }


def writing_ways(model: LanguageModel, prompt: Prompt, most: int) -> list[Way]:
    """How an answer of `most` tokens is written: there is one way, and it may end early."""
    return way_up_to("text", [model.component], model.working_bytes(len(prompt.ids), most))


@torch.no_grad()
def write(
    ctx: Context, ladder: Ladder, model: LanguageModel, prompt: Prompt, request: SamplingRequest, room: int
) -> Answer:
    """What the model writes after the prompt, at most `request.max_tokens` and `room` tokens of it.

    Text goes to `ctx.text` as it becomes certain; when memory runs out on the way, what was written is kept and not told again.
    Raises Cancelled within one token of being asked, and ModelUnavailable when the model's scores are not numbers.
    """
    most = min(request.max_tokens, room)
    started = time.perf_counter()
    chosen: list[int] = []  # tokens, in all attempts
    streamer = _Streamer(ctx, model, prompt, request, most)
    guards = [NoThirdTime(len(prompt.ids))] if request.avoid_loops else []

    def attempt(lease: Lease) -> None:
        ids = torch.tensor([prompt.ids], device=lease.device)  # (1, L)
        streamer.listen_again()
        lease[model.component].generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            generation_config=_settings(model, prompt, request, most),
            logits_processor=LogitsProcessorList([*guards, _Choice(ctx, model, request, chosen)]),
            stopping_criteria=StoppingCriteriaList([streamer]),
        )

    ladder.run(attempt)
    text = streamer.finish()
    seconds = time.perf_counter() - started
    reason = "stop" if streamer.is_over else "length"
    ctx.note(*prompt.notes)
    if reason == "length" and most < request.max_tokens:
        ctx.note(
            f"The answer ends after {most:,} tokens: {model.spec.title} reads {model.context:,} in all, "
            f"and the prompt took {len(prompt.ids):,}."
        )
    if not text:
        ctx.note("The model ended its answer without a word.")
    return Answer(text, len(prompt.ids), streamer.count, reason, seconds)


class _Choice(LogitsProcessor):
    """Draws the next token and leaves only that one, so that `generate` takes it. The draw equals what `generate` itself would
    draw on the CPU after `torch.manual_seed(seed)`. chosen: the tokens so far; those of an attempt before are taken again."""

    def __init__(
        self, ctx: Context, model: LanguageModel, request: SamplingRequest, chosen: list[int]
    ) -> None:
        self._model = model
        self._chosen, self._at = chosen, 0
        self._generator = ctx.generator(request.seed)
        self._temperature = request.temperature
        self._warpers = LogitsProcessorList()  # in the order of `generate`
        if request.temperature > 0:
            self._warpers.append(TemperatureLogitsWarper(float(request.temperature)))
        if request.top_k > 0:
            self._warpers.append(TopKLogitsWarper(request.top_k))
        if request.top_p < 1:
            self._warpers.append(TopPLogitsWarper(float(request.top_p)))
        if request.min_p > 0:
            self._warpers.append(MinPLogitsWarper(float(request.min_p)))

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """input_ids: (1, L); scores: (1, V) float32, returned with one finite entry: the likeliest at temperature 0."""
        if scores.shape[-1] > self._model.vocabulary:  # rows the tokenizer has no words for
            scores = scores.clone()
            scores[:, self._model.vocabulary :] = -math.inf
        if not math.isfinite(scores.max().item()):
            raise ModelUnavailable(
                f"{self._model.spec.id} computes no numbers.",
                detail=f"Its scores for token {input_ids.shape[1] + 1} are not finite, in "
                f"{str(self._model.dtype).removeprefix('torch.')}.",
                hint="Its weights are damaged or were made for another precision; download it again or pick another model.",
            )
        token = self._draw(input_ids, scores)
        if self._at == len(self._chosen):
            self._chosen.append(token)
        # the draw is made, and `generate` must come to the same: it takes the likeliest, and only one is possible. In an attempt
        # that repeats another the token of then is taken, though the device may score a hair's breadth differently now
        only = torch.full_like(scores, -math.inf)
        only[0, self._chosen[self._at]] = 0.0
        self._at += 1
        return only

    def _draw(self, input_ids: torch.Tensor, scores: torch.Tensor) -> int:
        if self._temperature == 0:
            return int(scores.argmax())
        chances = torch.softmax(self._warpers(input_ids, scores), dim=-1).cpu()
        return int(torch.multinomial(chances, 1, generator=self._generator))


class _Streamer(StoppingCriteria):
    """Hears each token: makes text of it, passes that on, notices the end, a stop text, and cancel."""

    def __init__(
        self, ctx: Context, model: LanguageModel, prompt: Prompt, request: SamplingRequest, most: int
    ) -> None:
        self._ctx, self._end_ids, self._most = ctx, prompt.end_ids, most
        self._decoder = TokenDecoder(model.tokenizer, prompt.ids)
        self._filter = StopFilter(request.stop)
        self._pieces: list[str] = []
        self._told = 0.0
        self._heard = self._known = 0
        self.count = 0
        self.is_over = False

    def listen_again(self) -> None:
        """From the first token on; those heard before say nothing new."""
        self._known, self._heard = max(self._known, self._heard), 0

    def __call__(self, input_ids: torch.Tensor, scores: object, **_: object) -> torch.Tensor:
        self._heard += 1
        if self._heard <= self._known:
            self._ctx.check_cancelled()
        elif not self.is_over and self.count < self._most:  # some devices are heard one token late
            self._hear(int(input_ids[0, -1]))
        return torch.full((input_ids.shape[0],), self.is_over, dtype=torch.bool, device=input_ids.device)

    def _hear(self, token: int) -> None:
        self._ctx.check_cancelled()
        if token in self._end_ids:
            self.is_over = True
            return
        self.count += 1
        self._say(self._filter.push(self._decoder.push(token)))
        self.is_over = self._filter.has_stopped
        now = time.monotonic()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            self._ctx.progress("generate", self.count, self._most)

    def _say(self, text: str) -> None:
        if text:
            self._pieces.append(text)
            self._ctx.text(text)

    def finish(self) -> str:
        """The whole text, after saying what was held back."""
        self._say(self._filter.push(self._decoder.finish()))
        self.is_over = self.is_over or self._filter.has_stopped
        self._say(self._filter.finish())
        return "".join(self._pieces)


def _settings(model: LanguageModel, prompt: Prompt, request: SamplingRequest, most: int) -> GenerationConfig:
    """Everything a person can choose, said outright, so that the folder's own generation_config.json chooses none of it."""
    ends = sorted(prompt.end_ids)
    pad = model.tokenizer.pad_token_id
    return GenerationConfig(
        max_new_tokens=most,
        do_sample=False,  # `_Choice` draws
        num_beams=1,
        temperature=1.0,
        top_k=50,
        top_p=1.0,
        min_p=None,
        repetition_penalty=float(request.repetition_penalty),
        eos_token_id=ends or None,
        pad_token_id=pad if pad is not None else (ends[0] if ends else 0),
        use_cache=True,
        return_dict_in_generate=False,
    )
