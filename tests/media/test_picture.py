"""Pictures carry their settings the way other programs read them, and nothing when nobody wants that."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from pipelines.media.picture import IMAGE_FILES, encode_image, parameters_text
from pipelines.messages import ImageRequest

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
REQUEST = ImageRequest(
    prompt="a red fox, “sharp”\nsecond line",
    negative_prompt="blur",
    model="local/x",
    seed=7,
    width=64,
    height=64,
)


def text_of(request: ImageRequest = REQUEST, **changes: object) -> str:
    values = {
        "width": 32,
        "height": 24,
        "scheduler": "EulerAncestralDiscreteScheduler",
        "model_title": "My model",
    }
    return parameters_text(request, **{**values, **changes})


def comment(data: bytes) -> str:
    raw = Image.open(io.BytesIO(data)).getexif().get_ifd(0x8769)[0x9286]
    assert raw[:8] == b"UNICODE\0"
    return raw[8:].decode("utf-16-be")


def test_the_text_is_spelled_as_other_programs_read_it() -> None:
    assert text_of() == (
        "a red fox, “sharp”\nsecond line\n"
        "Negative prompt: blur\n"
        "Steps: 30, Sampler: Euler a, CFG scale: 5, Seed: 7, Size: 32x24, Model: My model, Version: Atelier"
    )


def test_values_with_commas_are_quoted_and_img2img_tells_its_strength() -> None:
    request = REQUEST.model_copy(update={"init_image": "abc", "strength": 0.45})
    text = text_of(request, model_title="v1, pruned: fp16")
    assert 'Model: "v1, pruned: fp16"' in text
    assert "Denoising strength: 0.45" in text


def test_a_png_has_the_text_and_the_recipe_and_the_very_pixels() -> None:
    data = encode_image(PIXELS, "png", text_of(), REQUEST.model_dump(mode="json"))
    image = Image.open(io.BytesIO(data))
    assert np.array_equal(np.asarray(image), PIXELS)
    assert image.text["parameters"] == text_of()
    assert ImageRequest(**json.loads(image.text["atelier"])) == REQUEST


@pytest.mark.parametrize("file_format", ["jpeg", "webp"])
def test_jpeg_and_webp_have_both_in_exif(file_format) -> None:
    data = encode_image(PIXELS, file_format, text_of(), REQUEST.model_dump(mode="json"))
    assert comment(data) == text_of()
    description = Image.open(io.BytesIO(data)).getexif()[0x010E]
    assert description.startswith("atelier:")
    assert ImageRequest(**json.loads(description.removeprefix("atelier:"))) == REQUEST


def test_a_recipe_too_long_for_jpeg_leaves_the_text() -> None:
    long = REQUEST.model_copy(update={"prompt": "ü" * 15_000})
    data = encode_image(PIXELS, "jpeg", text_of(long), long.model_dump(mode="json"))
    assert comment(data) == text_of(long)
    assert 0x010E not in Image.open(io.BytesIO(data)).getexif()


@pytest.mark.parametrize("file_format", list(IMAGE_FILES))
def test_without_texts_nothing_is_written_inside(file_format) -> None:
    image = Image.open(io.BytesIO(encode_image(PIXELS, file_format)))
    assert image.format.lower() == file_format
    assert dict(image.getexif()) == {}
    assert not getattr(image, "text", {})
