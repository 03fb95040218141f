"""OpenAI's image route: /v1/images/generations."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from pipelines.errors import InvalidRequest
from pipelines.messages import ImageRequest
from studio.api.errors import ErrorRoute, unsupported
from studio.api.running import finish, knobs, submit_built
from studio.library import Asset

if TYPE_CHECKING:
    from studio.studio import Studio

ALIASES = {"steps": "num_inference_steps", "cfg_scale": "guidance_scale", "sampler": "scheduler"}


class Images(BaseModel):
    """OpenAI's fields; every knob of an image request may be added by its own name."""

    model_config = ConfigDict(extra="allow")
    prompt: str
    model: str = ""
    n: int | None = Field(None, ge=1, le=10)
    size: str | None = None
    quality: str | None = None
    response_format: Literal["b64_json", "url"] | None = None
    output_format: Literal["png", "jpeg", "webp"] | None = None
    output_compression: int | None = None
    background: str | None = None
    stream: bool = False

    def values(self) -> dict[str, object]:
        """Fields of an ImageRequest; raises InvalidRequest for what would change the picture and cannot be honoured."""
        if self.stream:
            raise unsupported("stream", "Streaming pictures", "Watch /api/jobs/{id}/events for previews.")
        if self.background == "transparent":
            raise unsupported("background", "A transparent background")
        if self.quality not in (None, "auto", "standard", "medium"):
            raise unsupported(
                "quality", f"quality {self.quality!r}", "Set `num_inference_steps` for more or less care."
            )
        if self.output_compression not in (None, 100):
            raise unsupported("output_compression", "output_compression")
        extra = {ALIASES.get(name, name): value for name, value in (self.model_extra or {}).items()}
        return {
            **knobs("image", extra),
            **_size(self.size),
            "prompt": self.prompt,
            "num_images": self.n,
            "format": self.output_format,
        }


def router(studio: Studio) -> APIRouter:
    routes = APIRouter(route_class=ErrorRoute)

    @routes.post("/v1/images/generations")
    async def generate(body: Images, http: Request) -> object:
        job = await submit_built(studio, http, "image", body.model, body.values())
        done, assets = await finish(studio, job, http)
        base_url = str(http.base_url)
        data = await run_in_threadpool(
            lambda: [entry(asset, body.response_format, base_url) for asset in assets]
        )
        request = done.request
        assert isinstance(request, ImageRequest)
        size = f"{request.width}x{request.height}"
        return {"created": int(done.created_at), "data": data, "output_format": request.format, "size": size}

    def entry(asset: Asset, response_format: str | None, base_url: str) -> dict[str, object]:
        told: dict[str, object] = {"asset_id": asset.id, "seed": asset.seed, "revised_prompt": asset.prompt}
        if response_format != "url":  # without a word about it, both: clients differ in what they expect
            told["b64_json"] = base64.b64encode(studio.library.read(asset)).decode()
        if response_format != "b64_json":
            told["url"] = f"{base_url}api/assets/{asset.id}/file"
        return told

    return routes


def _size(size: str | None) -> dict[str, int]:
    if size in (None, "", "auto"):
        return {}
    match = re.fullmatch(r"(\d{2,5})x(\d{2,5})", str(size))
    if not match:
        raise InvalidRequest(
            f"{size!r} is not a size.", field="size", hint="Write width x height, such as 512x512, or auto."
        )
    return {"width": int(match[1]), "height": int(match[2])}
