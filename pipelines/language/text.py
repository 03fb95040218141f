"""Words to words: chat and writing with any causal language model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.catalog import ModelSpec
from pipelines.language.prompting import Turn, chat, check_fits
from pipelines.language.writing import write, writing_ways
from pipelines.loading.language import causal_lm
from pipelines.media import FileType
from pipelines.memory import Component
from pipelines.messages import Artifact, TextRequest
from pipelines.runtime.context import Context
from pipelines.runtime.ladder import Ladder, Way
from pipelines.runtime.pipeline import Pipeline

if TYPE_CHECKING:
    import torch

PLAIN_TEXT, MARKDOWN = FileType("txt", "text/plain"), FileType("md", "text/markdown")
LOOKS_LIKE_MARKDOWN = re.compile(r"^(#{1,6} |```|[-*] |\d+\. |\|.*\|$)|\*\*\S", re.MULTILINE)


class TextPipeline(Pipeline[TextRequest]):
    """Answers the last turn of a conversation, or continues a text when the model knows no chat."""

    def plan(
        self, request: TextRequest, spec: ModelSpec, dtype: torch.dtype | None = None
    ) -> tuple[list[Component], list[Way]]:
        """What to lease for this request, and the one way to do it. dtype: what the device computes in, if known."""
        from pipelines.runtime.device import TorchDevice

        model = causal_lm(spec, dtype or TorchDevice().dtype())
        prompt = chat(model, turns(request), request.system)
        most = min(request.max_tokens, check_fits(model, prompt))
        return [model.component], writing_ways(model, prompt, most)

    def generate(self, request: TextRequest, ctx: Context) -> Iterator[Artifact]:
        # 1. Check the inputs before asking for the device: words there are, and they fit the model's context
        request.check_has_something_to_do()
        model = causal_lm(ctx.spec, ctx.dtype)
        prompt = chat(model, turns(request), request.system)
        room = check_fits(model, prompt)

        # 2. Borrow the model, and room for the keys and values of every token
        most = min(request.max_tokens, room)
        with Ladder(ctx, [model.component], writing_ways(model, prompt, most)) as ladder:
            # 3. Write, token by token, each told as it comes
            ctx.progress("generate", 0, most)
            answer = write(ctx, ladder, model, prompt, request, room)

        # 4. Hand over the text as a file
        ctx.progress("save")
        file = MARKDOWN if LOOKS_LIKE_MARKDOWN.search(answer.text) else PLAIN_TEXT
        yield ctx.artifact(request, file, answer.text.encode(), answer.facts())


def turns(request: TextRequest) -> list[Turn]:
    """The conversation so far and the new prompt."""
    past = [{"role": message.role, "content": message.content} for message in request.history]
    return [*past, {"role": "user", "content": request.prompt}]
