"""Settings come back from files, whoever wrote them, and a hostile file is only a file without settings."""

from __future__ import annotations

import io
import json
import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from pipelines.media import VideoWriter, encode_audio, recipe_tags
from pipelines.media.picture import encode_image, parameters_text
from pipelines.messages import AudioRequest, ImageRequest, VideoRequest, parse_request
from studio.library.metadata import Reading, from_parameters, read
from tests.library.conftest import png

PROMPT = 'a "red" fox, 100 % süß\nsecond line: 狐'
IMAGE = ImageRequest(
    prompt=PROMPT, negative_prompt="blur, text", model="starter/image", seed=4_294_967_295, width=64
)


def with_text(**texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_itxt(key, text)
    return png(pnginfo=info)


@pytest.mark.parametrize("file_format", ["png", "jpeg", "webp"])
def test_our_own_pictures_give_back_the_whole_recipe(file_format: Any) -> None:
    text = parameters_text(IMAGE, width=64, height=512, scheduler="DDIMScheduler", model_title="Starter")
    pixels = np.zeros((8, 8, 3), np.uint8)
    data = encode_image(pixels, file_format, text, IMAGE.model_dump(mode="json"))
    found = read(data)
    assert found.source == "Atelier"
    assert parse_request(found.recipe or {}) == IMAGE


@pytest.mark.parametrize("file_format", ["png", "jpeg", "webp"])
def test_the_text_for_other_programs_reads_back_alike(file_format: Any) -> None:
    text = parameters_text(
        IMAGE, width=64, height=512, scheduler="DDIMScheduler", model_title="Starter, first"
    )
    found = read(encode_image(np.zeros((8, 8, 3), np.uint8), file_format, text)).recipe
    assert found == {
        "modality": "image",
        "prompt": PROMPT,
        "negative_prompt": "blur, text",
        "num_inference_steps": 30,
        "scheduler": "DDIMScheduler",
        "guidance_scale": 5.0,
        "seed": 4_294_967_295,
        "width": 64,
        "height": 512,
        "model": "Starter, first",
        "notes": {"Version": "Atelier"},
    }


@pytest.mark.parametrize("file_format", ["wav", "mp3", "flac", "opus", "aac"])
def test_our_own_sounds_give_back_the_whole_recipe(file_format: Any) -> None:
    request = AudioRequest(prompt=PROMPT + "; a=b # c \\ d", model="espeak", seed=3, format=file_format)
    samples = np.sin(np.linspace(0, 500, 8000, dtype=np.float32))[None]
    tags = recipe_tags(request.model_dump(mode="json"))
    found = read(encode_audio(samples, 16000, file_format, tags))
    assert parse_request(found.recipe or {}) == request


@pytest.mark.parametrize("file_format", ["mp4", "webm", "gif"])
def test_our_own_clips_give_back_the_whole_recipe(tmp_path: Path, file_format: Any) -> None:
    request = VideoRequest(prompt=PROMPT, model="starter/image", seed=3, format=file_format)
    path = tmp_path / f"clip.{file_format}"
    tags = recipe_tags(request.model_dump(mode="json"))
    with VideoWriter(path, 16, 16, Fraction(10), format=file_format, tags=tags) as writer:
        for shade in (0, 90, 180):
            writer.write(np.full((16, 16, 3), shade, np.uint8))
    assert parse_request(read(path.read_bytes()).recipe or {}) == request


def test_a1111_text_is_read_as_its_own_parser_reads_it() -> None:
    text = (
        "a (lighthouse:1.2), <lora:fog:0.8>\nat night\nNegative prompt: people\nboats\n"
        "Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 965400086, Size: 512x768, "
        'Model hash: 45dee52b, Model: dreamer, Denoising strength: 0.4, Lora hashes: "fog: 1a2b", Version: v1.9'
    )
    assert from_parameters(text) == {
        "prompt": "a lighthouse\nat night",
        "negative_prompt": "people\nboats",
        "num_inference_steps": 20,
        "scheduler": "DPMSolverMultistepScheduler",
        "guidance_scale": 7.5,
        "seed": 965400086,
        "width": 512,
        "height": 768,
        "model": "dreamer",
        "strength": 0.4,
        "left_out": [
            "the schedule karras",
            "the LoRA fog at 0.8",
            "the weight 1.2 of “lighthouse”",
            "the picture it started from",
        ],
        "notes": {
            "Schedule type": "Karras",
            "Model hash": "45dee52b",
            "Lora hashes": "fog: 1a2b",
            "Version": "v1.9",
        },
    }


def test_a_value_we_cannot_take_is_kept_as_a_note() -> None:
    found = from_parameters(
        "x\nSteps: many, Sampler: Restart, CFG scale: 7, Seed: 18446744073709551615, Size: big"
    )
    assert found == {
        "prompt": "x",
        "guidance_scale": 7.0,
        "left_out": [
            "steps many",
            "the sampler Restart: there is none like it here, so the model's own is used",
            "the seed 18446744073709551615: 4,294,967,295 is the largest here",
        ],
        "notes": {"Steps": "many", "Sampler": "Restart", "Seed": "18446744073709551615", "Size": "big"},
    }


def test_swarm_fooocus_invoke_wan_and_novelai_are_understood() -> None:
    swarm = {"sui_image_params": {"prompt": "p", "negativeprompt": "n", "steps": 20, "cfgscale": 6.5, "seed": 9,
                                  "width": 64, "height": 32, "model": "m", "swarm_version": "0.9"}}  # fmt: skip
    fooocus = {"prompt": "p", "negative_prompt": "n", "steps": 30, "guidance_scale": 4, "resolution": "(64, 32)",
               "seed": "9", "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras", "base_model": "m"}  # fmt: skip
    invoke = {"positive_prompt": "p", "negative_prompt": "n", "steps": 30, "cfg_scale": 7, "seed": 9, "width": 64,
              "height": 32, "scheduler": "euler_a", "model": {"name": "m", "hash": "x"}}  # fmt: skip
    novel = {
        "prompt": "p",
        "uc": "n",
        "steps": 28,
        "scale": 5.0,
        "seed": 9,
        "sampler": "k_euler",
        "width": 64,
    }
    found = [
        read(with_text(parameters=json.dumps(swarm))).recipe,
        read(with_text(parameters=json.dumps(fooocus))).recipe,
        read(with_text(invokeai_metadata=json.dumps(invoke))).recipe,
        read(with_text(Comment=json.dumps(novel), Software="NovelAI")).recipe,
    ]
    for recipe in found:
        assert recipe is not None
        assert (recipe["prompt"], recipe["negative_prompt"], recipe["seed"], recipe["width"]) == (
            "p",
            "n",
            9,
            64,
        )
    steps = [recipe["num_inference_steps"] for recipe in found if recipe]
    scales = [recipe["guidance_scale"] for recipe in found if recipe]
    assert (steps, scales) == ([20, 30, 30, 28], [6.5, 4.0, 7.0, 5.0])
    assert [recipe.get("scheduler") for recipe in found if recipe] == [
        None,
        "DPMSolverMultistepScheduler",
        "EulerAncestralDiscreteScheduler",
        "EulerDiscreteScheduler",
    ]


def test_a_comfy_graph_is_followed_from_its_sampler() -> None:
    graph = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "m.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": ["9", 0], "clip": ["1", 1]}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "blur", "clip": ["1", 1]}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 640, "height": 448, "batch_size": 1}},
        "5": {"class_type": "KSampler", "inputs": {
            "seed": 11, "steps": 12, "cfg": 3.5, "sampler_name": "euler_ancestral", "scheduler": "normal",
            "denoise": 1.0, "model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0]}},
        "9": {"class_type": "PrimitiveString", "inputs": {"value": "a fox"}},
    }  # fmt: skip
    assert read(with_text(prompt=json.dumps(graph))) == Reading(
        {
            "modality": "image",
            "prompt": "a fox",
            "negative_prompt": "blur",
            "seed": 11,
            "num_inference_steps": 12,
            "guidance_scale": 3.5,
            "scheduler": "EulerAncestralDiscreteScheduler",
            "width": 640,
            "height": 448,
            "model": "m.safetensors",
            "notes": {"schedule": "normal"},
        },
        "ComfyUI",
    )


def test_a_graph_wired_in_a_circle_ends() -> None:
    graph = {
        "1": {"inputs": {"steps": 1, "cfg": 1, "positive": ["2", 0]}},
        "2": {"inputs": {"a": ["2", 0], "b": ["2", 0]}},
    }
    assert read(with_text(prompt=json.dumps(graph))).recipe is not None


def test_a_sidecar_is_read(tmp_path: Path) -> None:
    note = {"id": "x", "recipe": IMAGE.model_dump(mode="json")}
    assert read(json.dumps(note).encode(), "00001-7.png.json").recipe == note["recipe"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (png(), "no settings"),
        (with_text(atelier="{not json"), "cannot be read"),
        (with_text(atelier="[" * 100_000), "cannot be read"),
        (with_text(parameters="{" + '"a":' * 3), "cannot be read"),
        (with_text(invokeai_metadata="[1, 2]"), "not a JSON object"),
        (b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 2**32 - 1, b"tEXt") + b"a\0b", "damaged"),
        (b"not a file at all", "no settings"),
        (b"RIFF\0\0\0\0WEBP" + b"\0" * 30, "damaged"),
        (b"", "no settings"),
    ],
)
def test_a_hostile_file_is_a_file_without_settings(data: bytes, why: str) -> None:
    found = read(data, "file.png")
    assert found.recipe is None
    assert why in found.reason


def test_a_text_that_unpacks_to_gigabytes_is_refused() -> None:
    packed = b"parameters\0\0" + zlib.compress(b"a" * (64 << 20), 9)
    chunk = (
        struct.pack(">I", len(packed)) + b"zTXt" + packed + struct.pack(">I", zlib.crc32(b"zTXt" + packed))
    )
    found = read(png()[:33] + chunk + png()[33:])
    assert found.recipe is None
    assert "grows beyond" in found.reason


@given(
    st.binary(max_size=400),
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe1", b"RIFF\x80\0\0\0WAVE", b"GIF89a", b"{"]),
)
def test_no_bytes_make_reading_raise(tail: bytes, head: bytes) -> None:
    if head.startswith(b"RIFF"):
        tail = (
            b"atlr" + struct.pack("<I", len(tail)) + tail
        )  # keep it to our own reader: ffmpeg costs a process
    read(head + tail, "file.json")


def test_a_picture_saved_by_pillow_with_a_plain_comment_is_understood() -> None:
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "JPEG", comment=b"a tree\nSteps: 4, CFG scale: 2, Seed: 1")
    assert (read(data.getvalue()).recipe or {})["num_inference_steps"] == 4
