"""Pixels → PNG, JPEG or WebP, with the settings inside: the text other programs read, and our own recipe.

PNG: `parameters` (the text AUTOMATIC1111 made customary) and `atelier` (the recipe as JSON). JPEG and WebP: the text as EXIF
UserComment, the recipe as `atelier:{json}` in ImageDescription. Sound and film: `sound.py`, `film.py`.
"""

from __future__ import annotations

import io
import json
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin

from pipelines.media.process import FileType
from pipelines.messages import DiffusionRequest, ImageRequest
from pipelines.words.samplers import written

ImageFormat = Literal["png", "jpeg", "webp"]
IMAGE_FILES = {
    "png": FileType("png", "image/png"),
    "jpeg": FileType("jpg", "image/jpeg"),
    "webp": FileType("webp", "image/webp"),
}
SMALL_SIDE = 256

RECIPE_KEY = "atelier"
PARAMETERS_KEY = "parameters"
JPEG_SEGMENT = 65_000  # EXIF in a JPEG is one segment of at most 64 KiB


def picture_file(
    pixels: np.ndarray,
    request: ImageRequest,
    recipe: dict[str, object] | None,
    model_title: str,
    scheduler: str,
) -> bytes:
    """The file the request asks for, its settings inside; None as the recipe writes nothing of them."""
    if recipe is None:
        return encode_image(pixels, request.format)
    height, width = pixels.shape[:2]
    text = parameters_text(request, width=width, height=height, scheduler=scheduler, model_title=model_title)
    return encode_image(pixels, request.format, text, recipe)


def small_jpeg(picture: Image.Image) -> bytes:
    """What is shown while the rest is being made."""
    small = picture.copy()
    small.thumbnail((SMALL_SIDE, SMALL_SIDE))
    data = io.BytesIO()
    small.save(data, "JPEG", quality=80)
    return data.getvalue()


def encode_image(
    pixels: np.ndarray,
    file_format: ImageFormat,
    parameters: str = "",
    recipe: dict[str, object] | None = None,
) -> bytes:
    """The file of an (H, W, 3) uint8 picture. parameters, recipe: written inside when given; without them nothing is.

    A JPEG whose texts exceed its 64 KiB segment keeps `parameters` and leaves the recipe out, then leaves both out.
    """
    image = Image.fromarray(pixels)
    data = io.BytesIO()
    if file_format == "png":
        texts = PngImagePlugin.PngInfo()
        if parameters:
            _add_text(texts, PARAMETERS_KEY, parameters)
        if recipe is not None:
            texts.add_itxt(RECIPE_KEY, json.dumps(recipe, ensure_ascii=False))
        image.save(data, "PNG", pnginfo=texts, compress_level=4)  # half the time of 6, 1 % larger
    elif file_format == "jpeg":
        exif = _exif(parameters, recipe)
        exif = exif if len(exif) <= JPEG_SEGMENT else _exif(parameters, None)
        exif = exif if len(exif) <= JPEG_SEGMENT else b""
        image.save(data, "JPEG", quality=95, subsampling=0, exif=exif)
    else:
        image.save(data, "WEBP", quality=95, method=4, exif=_exif(parameters, recipe))
    return data.getvalue()


def parameters_text(
    request: DiffusionRequest, *, width: int, height: int, scheduler: str, model_title: str
) -> str:
    """The settings as AUTOMATIC1111 writes them: prompt, negative prompt, then one line of `Key: value` pairs."""
    values: dict[str, object] = {
        "Steps": request.num_inference_steps,
        "Sampler": written(scheduler),
        "CFG scale": f"{request.guidance_scale:g}",
        "Seed": request.seed,
        "Size": f"{width}x{height}",
        "Model": model_title,
    }
    if request.init_image:
        values["Denoising strength"] = f"{request.strength:g}"
    values["Version"] = "Atelier"
    lines = [request.prompt]
    if request.negative_prompt:
        lines.append(f"Negative prompt: {request.negative_prompt}")
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in values.items() if value != ""))
    return "\n".join(lines)


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ',:\n"') else text


def _add_text(texts: PngImagePlugin.PngInfo, key: str, text: str) -> None:
    """As tEXt where Latin-1 can say it (every reader knows that), else as iTXt."""
    try:
        text.encode("latin-1")
        texts.add_text(key, text)
    except UnicodeEncodeError:
        texts.add_itxt(key, text)


def _exif(parameters: str, recipe: dict[str, object] | None) -> bytes:
    exif = Image.Exif()
    if parameters:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"UNICODE\0" + parameters.encode(
            "utf-16-be"
        )
    if recipe is not None:  # EXIF text is ASCII; JSON escapes the rest
        exif[ExifTags.Base.ImageDescription] = f"{RECIPE_KEY}:{json.dumps(recipe)}"
    return exif.tobytes() if parameters or recipe is not None else b""
