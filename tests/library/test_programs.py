"""Files of other programs, read value by value: what is taken, what is told, and in which corner of the file it may stand."""

from __future__ import annotations

import io
import json
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from studio.library.a1111 import plain_prompt
from studio.library.metadata import from_parameters, read
from tests.library.conftest import png, png_with

A1111 = "a fox in snow\nNegative prompt: blur\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x640, Model: m"
TAKEN = {
    "modality": "image", "prompt": "a fox in snow", "negative_prompt": "blur", "num_inference_steps": 20,
    "scheduler": "EulerAncestralDiscreteScheduler", "guidance_scale": 7.0, "seed": 5, "width": 512, "height": 640, "model": "m",
}  # fmt: skip


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body), name) + body + struct.pack(">I", zlib.crc32(name + body))


def png_chunk(name: bytes, body: bytes) -> bytes:
    """A PNG with that chunk behind its header."""
    return png()[:33] + chunk(name, body) + png()[33:]


def jpeg(exif: Image.Exif | None = None, **options: Any) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "JPEG", **({"exif": exif} if exif else {}), **options)
    return data.getvalue()


def commented(comment: Any, *, first: bool = False, kind: str = "JPEG", little: bool = False) -> bytes:
    """A picture with that UserComment. first: in the first directory, where Fooocus puts it."""
    exif = Image.Exif()
    exif.endian = "<" if little else ">"
    exif[0x0131] = "a program"
    if first:
        exif[0x9286] = comment
    else:
        exif.get_ifd(0x8769)[0x9286] = comment
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, kind, exif=exif)
    return data.getvalue()


# ---- where it stands ----


@pytest.mark.parametrize(
    "data",
    [
        png_with(parameters=A1111),
        png_chunk(b"tEXt", b"parameters\0" + A1111.encode()),
        png_chunk(b"zTXt", b"parameters\0\0" + zlib.compress(A1111.encode())),
        commented(b"UNICODE\0" + A1111.encode("utf-16-be")),
        commented(b"UNICODE\0" + A1111.encode("utf-16-le")),
        commented(b"UNICODE\0" + A1111.encode("utf-16")),
        commented(b"UNICODE\0" + A1111.encode("utf-16-be"), kind="WEBP"),
        commented(b"UNICODE\0" + A1111.encode("utf-8")),
        commented(b"ASCII\0\0\0" + A1111.encode()),
        commented(b"JIS\0\0\0\0\0" + A1111.encode()),
        commented(b"\0" * 8 + A1111.encode()),
        commented(A1111.encode()),
        commented(A1111, first=True),
        commented(A1111, first=True, kind="WEBP"),
        commented(A1111, first=True, little=True),
        commented(b"UNICODE\0" + A1111.encode("utf-16-be"), first=True),
        commented(b"UNICODE\0" + A1111.encode("utf-16-be"), kind="PNG"),
        jpeg(comment=A1111.encode()),
    ],
    ids=[
        "iTXt", "tEXt", "zTXt", "utf-16 big", "utf-16 little", "utf-16 marked", "webp", "unicode as utf-8", "ascii", "jis",
        "unnamed", "no prefix", "first directory", "first directory webp", "first directory little", "first directory unicode",
        "png eXIf", "jpeg comment",
    ],
)  # fmt: skip
def test_settings_are_found_wherever_a_program_puts_them(data: bytes) -> None:
    assert read(data).recipe == TAKEN


@pytest.mark.parametrize("words", ["süße Füchse", "狐の絵", "лиса, ночь"])
def test_letters_of_any_script_come_through(words: str) -> None:
    text = A1111.replace("a fox in snow", words)
    files = [
        png_chunk(b"tEXt", b"parameters\0" + text.encode()),
        commented(b"UNICODE\0" + text.encode("utf-16-be")),
        commented(b"UNICODE\0" + text.encode("utf-16-le")),
        commented(b"ASCII\0\0\0" + text.encode()),
        commented(text.encode(), first=True),
    ]
    assert [(read(data).recipe or {})["prompt"] for data in files] == [words] * len(files)


def test_latin_1_by_the_book_is_still_read() -> None:
    text = A1111.replace("a fox", "süße Füchse")
    found = read(png_chunk(b"tEXt", b"parameters\0" + text.encode("latin-1"))).recipe or {}
    assert found["prompt"] == "süße Füchse in snow"


def test_japanese_letters_by_their_own_table_are_read() -> None:
    data = commented(b"JIS\0\0\0\0\0" + A1111.replace("a fox", "狐").encode("shift_jis"))
    assert (read(data).recipe or {})["prompt"] == "狐 in snow"


def test_a_mark_of_byte_order_is_no_letter() -> None:
    assert read(b"\xef\xbb\xbf" + A1111.encode(), "settings.txt").recipe == {
        key: value for key, value in TAKEN.items() if key != "modality"
    }
    ours = b"\xef\xbb\xbf" + json.dumps({"modality": "image", "prompt": "x"}).encode()
    assert read(ours, "x.json").recipe == {"modality": "image", "prompt": "x"}


# ---- A1111's grammar ----


def test_a_line_break_inside_a_quoted_setting_stays_inside() -> None:
    """It pushed the settings into the negative prompt."""
    text = A1111 + ', Template: "one, Steps\ntwo", Version: v1'
    found = from_parameters(text)
    assert found["negative_prompt"] == "blur"
    assert found["notes"] == {"Template": "one, Steps\ntwo", "Version": "v1"}
    unusual = 'a fox\nSeed: 5, Size: 8x8, Template: "one\ntwo", Model: m'
    assert from_parameters(unusual) == {"prompt": "a fox", "seed": 5, "width": 8, "height": 8, "model": "m",
                                        "notes": {"Template": "one\ntwo"}}  # fmt: skip


def test_a_prompt_of_words_and_colons_is_a_prompt() -> None:
    text = "a street\na sign: open, a door: red, a cat: blue"
    assert from_parameters(text) == {"prompt": text}
    assert read(text.encode(), "prompt.txt").recipe is None


def test_values_of_json_and_of_quotes_are_one_value() -> None:
    text = (
        'x\nSteps: 9, Seed: 1, CFG scale: 2, Lora hashes: "fog: 1a, sea: 2b", '
        'Civitai resources: [{"type": "checkpoint", "id": 3}, {"type": "lora"}], Version: v1'
    )
    assert from_parameters(text)["notes"] == {
        "Lora hashes": "fog: 1a, sea: 2b",
        "Civitai resources": [{"type": "checkpoint", "id": 3}, {"type": "lora"}],
        "Version": "v1",
    }


def test_the_strength_of_a_second_pass_is_not_that_of_a_start_picture() -> None:
    found = from_parameters(A1111 + ", Denoising strength: 0.5, Hires upscale: 2, Hires upscaler: Latent")
    assert "strength" not in found
    assert found["left_out"] == [
        "the second pass (Hires upscale 2, Hires upscaler Latent, Denoising strength 0.5)"
    ]


@pytest.mark.parametrize(
    ("prompt", "words", "told"),
    [
        ("a fox", "a fox", []),
        ("a fox, <lora:fog:0.8>, snow", "a fox, snow", ["the LoRA fog at 0.8"]),
        ("<lora:a:1><lora:b:0.5:0.7> a fox", "a fox", ["the LoRA a at 1", "the LoRA b at 0.5"]),
        ("a (red:1.2) fox", "a red fox", ["the weight 1.2 of “red”"]),
        ("((red:1.1) fox:0.9)", "red fox", ["the weight 1.1 of “red”", "the weight 0.9 of “red fox”"]),
        ("a fox (vulpes), 16:9", "a fox (vulpes), 16:9", []),
        (r"marge \(simpsons\)", "marge (simpsons)", []),
        ("a fox\n<lora:fog:1>", "a fox", ["the LoRA fog at 1"]),
        ("x < 3 and y > 2: <html:b>", "x < 3 and y > 2: <html:b>", []),
    ],
)  # fmt: skip
def test_marks_in_a_prompt_are_taken_out_and_told(prompt: str, words: str, told: list[str]) -> None:
    assert plain_prompt(prompt) == (words, told)


@pytest.mark.parametrize(
    ("sampler", "scheduler", "told"),
    [
        ("DPM++ 2M", "DPMSolverMultistepScheduler", []),
        ("DPM++ 2M Karras", "DPMSolverMultistepScheduler", ["the schedule karras"]),
        ("dpmpp_2m_k", "DPMSolverMultistepScheduler", ["the schedule karras"]),
        ("DPM++ 2M SDE", "DPMSolverMultistepScheduler", ["the sampler DPM++ 2M SDE: DPM++ 2M comes nearest"]),
        ("uni_pc_bh2", "UniPCMultistepScheduler", []),
        ("FlowMatchEulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler", []),
        ("Restart", None, ["the sampler Restart: there is none like it here, so the model's own is used"]),
    ],
)
def test_a_sampler_is_told_by_any_of_its_names(sampler: str, scheduler: str | None, told: list[str]) -> None:
    found = from_parameters(A1111.replace("Euler a", sampler))
    assert (found.get("scheduler"), found.get("left_out", [])) == (scheduler, told)


# ---- who wrote it ----

FOOOCUS = {
    "adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "juggernaut", "base_model_hash": "aeb7e9e689", "clip_skip": 2,
    "full_negative_prompt": ["x"], "full_prompt": ["y"], "guidance_scale": 4, "loras": [["offset.safetensors", 0.1, "48"]],
    "metadata_scheme": "fooocus", "negative_prompt": "blur", "performance": "Speed", "prompt": "a fox in snow",
    "refiner_model": "None", "refiner_switch": 0.5, "resolution": "(1152, 896)", "sampler": "dpmpp_2m_sde_gpu",
    "scheduler": "karras", "seed": "1234", "sharpness": 2, "steps": 30, "styles": "['Fooocus V2']", "vae": "Default (model)",
    "version": "Fooocus v2.5.5",
}  # fmt: skip
FOOOCUS_TAKEN = {
    "modality": "image", "model": "juggernaut", "guidance_scale": 4.0, "negative_prompt": "blur", "prompt": "a fox in snow",
    "scheduler": "DPMSolverMultistepScheduler", "seed": 1234, "num_inference_steps": 30, "width": 1152, "height": 896,
}  # fmt: skip
FOOOCUS_TOLD = [
    "clip skip 2", "the sampler dpmpp_2m_sde_gpu: DPM++ 2M comes nearest", "the schedule karras", "the sharpness 2",
    "the styles ['Fooocus V2']", "the LoRA offset.safetensors at 0.1",
]  # fmt: skip
SWARM = {
    "sui_image_params": {
        "prompt": "a fox", "negativeprompt": "blur", "model": "m.safetensors", "seed": 9, "steps": 20, "cfgscale": 6.5,
        "sampler": "dpmpp_2m", "scheduler": "karras", "width": 832, "height": 1216, "aspectratio": "2:3", "loras": ["fog", "sea"],
        "loraweights": ["0.8", "1"], "swarm_version": "0.9.7",
    },
    "sui_extra_data": {"date": "2026-01-01"}, "sui_models": [{"name": "m", "param": "model", "hash": "0x12"}],
}  # fmt: skip
INVOKE = {
    "generation_mode": "txt2img", "positive_prompt": "a fox", "negative_prompt": "blur", "width": 512, "height": 768, "seed": 9,
    "cfg_scale": 7.5, "cfg_rescale_multiplier": 0, "steps": 30, "scheduler": "dpmpp_2m_k", "clip_skip": 0,
    "model": {"key": "k", "hash": "h", "name": "dream", "base": "sd-1", "type": "main"},
    "loras": [{"model": {"key": "k", "name": "fog", "base": "sd-1", "type": "lora"}, "weight": 0.75}], "app_version": "5.0",
}  # fmt: skip
INVOKE_2 = {
    "model": "stable diffusion", "model_weights": "sd-1.5", "app_id": "invoke-ai/InvokeAI",
    "image": {"prompt": [{"prompt": "a fox", "weight": 1}], "steps": 30, "cfg_scale": 7.5, "width": 512, "height": 768,
              "seed": 9, "sampler": "k_lms", "type": "txt2img"},
}  # fmt: skip
NOVELAI = {
    "prompt": "a fox", "steps": 28, "height": 1216, "width": 832, "scale": 5.0, "uncond_scale": 0.0, "cfg_rescale": 0.0,
    "seed": 9, "n_samples": 1, "noise_schedule": "karras", "sampler": "k_euler_ancestral", "uc": "blur",
}  # fmt: skip
DRAW_THINGS = {
    "c": "a fox", "model": "sd.ckpt", "sampler": "DPM++ 2M Karras", "scale": 7, "seed": 9, "seed_mode": "Scale Alike",
    "size": "512x768", "steps": 30, "strength": 1, "uc": "blur", "lora": [{"model": "fog.ckpt", "weight": 0.6}],
}  # fmt: skip
PACKET = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    'xmlns:exif="http://ns.adobe.com/exif/1.0/"><exif:UserComment><rdf:Alt><rdf:li xml:lang="x-default">'
    + json.dumps(DRAW_THINGS).replace('"', "&quot;")
    + "</rdf:li></rdf:Alt></exif:UserComment></rdf:Description></rdf:RDF></x:xmpmeta>"
)
WAN = {
    "prompt": "a fox runs", "negative_prompt": "blur", "resolution": "832x480", "video_length": 81, "seed": 9,
    "num_inference_steps": 30, "guidance_scale": 5.0, "model_type": "t2v", "activated_loras": ["fog.safetensors"],
    "loras_multipliers": "0.8", "type": "WanGP v8.1", "force_fps": "",
}  # fmt: skip
MIDJOURNEY = "a fox in snow --ar 16:9 --no blur --seed 9 --v 6.1 Job ID: 0a1b2c3d-0000-0000-0000-000000000000"


def fox(**values: Any) -> dict[str, Any]:
    return {"modality": "image", "prompt": "a fox", "negative_prompt": "blur", "seed": 9, **values}


@pytest.mark.parametrize(
    ("data", "source", "taken", "told"),
    [
        (png_with(parameters=json.dumps(FOOOCUS), fooocus_scheme="fooocus"), "A1111 text", FOOOCUS_TAKEN, FOOOCUS_TOLD),
        (commented(json.dumps(FOOOCUS), first=True), "comment", FOOOCUS_TAKEN, FOOOCUS_TOLD),
        (commented(json.dumps(FOOOCUS), first=True, kind="WEBP"), "comment", FOOOCUS_TAKEN, FOOOCUS_TOLD),
        (
            png_with(parameters=json.dumps(SWARM)),
            "A1111 text",
            fox(model="m.safetensors", num_inference_steps=20, guidance_scale=6.5, width=832, height=1216,
                scheduler="DPMSolverMultistepScheduler"),
            ["the schedule karras", "the LoRA fog at 0.8", "the LoRA sea at 1"],
        ),
        (
            png_with(invokeai_metadata=json.dumps(INVOKE)),
            "InvokeAI",
            fox(model="dream", num_inference_steps=30, guidance_scale=7.5, width=512, height=768,
                scheduler="DPMSolverMultistepScheduler"),
            ["the schedule karras", "the LoRA fog at 0.75"],
        ),
        (
            png_with(**{"sd-metadata": json.dumps(INVOKE_2)}),
            "InvokeAI",
            {key: value for key, value in fox(model="sd-1.5", num_inference_steps=30, guidance_scale=7.5, width=512,
             height=768, scheduler="LMSDiscreteScheduler").items() if key != "negative_prompt"},
            [],
        ),
        (
            png_with(Software="NovelAI", Comment=json.dumps(NOVELAI)),
            "NovelAI",
            fox(num_inference_steps=28, guidance_scale=5.0, width=832, height=1216,
                scheduler="EulerAncestralDiscreteScheduler"),
            ["the schedule karras"],
        ),
        (
            png_with(**{"XML:com.adobe.xmp": PACKET}),
            "Draw Things",
            fox(model="sd.ckpt", num_inference_steps=30, guidance_scale=7.0, width=512, height=768,
                scheduler="DPMSolverMultistepScheduler"),
            ["the schedule karras", "the LoRA fog.ckpt at 0.6"],
        ),
        (
            png_with(comment=json.dumps(WAN)),
            "comment",
            fox(modality="video", prompt="a fox runs", num_inference_steps=30, guidance_scale=5.0, width=832, height=480,
                seconds=5.0, fps="16"),
            ["the LoRA fog.safetensors at 0.8"],
        ),
        (
            png_with(Description=MIDJOURNEY),
            "Midjourney",
            fox(prompt="a fox in snow"),
            ["--ar 16:9", "--v 6.1"],
        ),
    ],
    ids=["fooocus", "fooocus jpeg", "fooocus webp", "swarm", "invoke", "invoke 2", "novelai", "draw things", "wan2gp",
         "midjourney"],
)  # fmt: skip
def test_the_settings_of_a_program_are_read_value_by_value(
    data: bytes, source: str, taken: dict[str, Any], told: list[str]
) -> None:
    found = read(data)
    recipe = dict(found.recipe or {})
    recipe.pop("notes", None)
    assert (found.source, recipe.pop("left_out", [])) == (source, told)
    assert recipe == taken


def test_frames_of_an_unknown_rate_are_told_and_not_guessed() -> None:
    found = read(png_with(comment=json.dumps(WAN | {"model_type": "sora", "force_fps": "auto"}))).recipe or {}
    assert "seconds" not in found
    assert "its length of 81 frames" in found["left_out"]


def test_a_graph_in_a_films_comment_is_a_graph() -> None:
    graph = {"1": {"class_type": "KSampler", "inputs": {"steps": 9, "cfg": 2, "positive": ["2", 0], "seed": 4}},
             "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox"}}}  # fmt: skip
    for prompt in (graph, json.dumps(graph)):
        found = read(png_with(comment=json.dumps({"prompt": prompt, "workflow": {}}))).recipe or {}
        assert (found["prompt"], found["num_inference_steps"], found["seed"]) == ("a fox", 9, 4)


def test_a_second_description_helps_where_the_first_is_broken() -> None:
    data = png_with(invokeai_metadata="{broken", parameters=A1111)
    assert read(data).recipe == TAKEN


# ---- strangers' words are kept only as they can be kept ----


def test_half_characters_and_numbers_that_are_none_do_not_come_through() -> None:
    """One half character in a recipe broke lists and switched off the recovery of files."""
    text = '{"modality": "image", "prompt": "a \\ud800 fox", "guidance_scale": 1e999, "x": {"\\udfff": NaN}}'
    recipe = read(png_with(atelier=text)).recipe or {}
    assert recipe == {"modality": "image", "prompt": "a ? fox", "guidance_scale": "inf", "x": {"?": "nan"}}
    json.dumps(recipe, allow_nan=False).encode()


@pytest.mark.parametrize("modality", [[], {}, 5, None])
def test_a_modality_that_is_no_word_is_not_kept(modality: Any) -> None:
    """The library's page looked it up, and one such upload would have emptied it."""
    recipe = read(png_with(atelier=json.dumps({"modality": modality, "model": [1], "prompt": "x"}))).recipe
    assert recipe == {"modality": "image", "prompt": "x"}


def test_what_is_nested_for_ever_is_cut() -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = [deep]
    recipe = read(png_with(parameters=json.dumps({"prompt": "a fox", "steps": 3, "deep": deep}))).recipe or {}
    assert json.dumps(recipe["notes"]).count("[") <= 12


# ---- nothing raises, nothing takes for ever ----

MARKS = [
    "Steps: 1, ",
    "Negative prompt: ",
    "\n",
    '"',
    ",",
    ":",
    "(",
    ")",
    "<lora:",
    ">",
    "[",
    "{",
    "\\",
    "a",
    "\ud800",
    "1e999",
    " ",
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    "prompt", "uc", "seed", "steps", "size", "resolution", "sampler", "scheduler", "loras", "lora", "loraweights", "model",
    "image", "sui_image_params", "video_length", "force_fps", "strength", "modality", "class_type", "inputs", "styles", "width",
]  # fmt: skip


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(MARKS), max_size=40))
def test_no_text_of_settings_raises(pieces: list[str]) -> None:
    from_parameters("".join(pieces))
    json.dumps(read("".join(pieces).encode("utf-8", "replace"), "x.txt").recipe, allow_nan=False)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    st.sampled_from(
        ["parameters", "comment", "prompt", "invokeai_metadata", "sd-metadata", "atelier", "Comment"]
    ),
    st.dictionaries(
        st.sampled_from(KEYS), VALUES | st.dictionaries(st.sampled_from(KEYS), VALUES), max_size=8
    ),
)
def test_no_object_of_settings_raises_and_all_that_is_read_can_be_kept(
    key: str, values: dict[str, Any]
) -> None:
    text = json.dumps(values)
    body = key.encode() + b"\0\0\0\0\0" + text.encode()
    json.dumps(read(png_chunk(b"iTXt", body)).recipe, allow_nan=False).encode()


MILLION = 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "a" * 4 * MILLION,
        " " * 4 * MILLION + "x",
        "a\n" * 2 * MILLION,
        '"' * 4 * MILLION,
        "Steps: 1, " + "a" * 4 * MILLION,
        "Steps: 1, " + "ab:" * MILLION,
        "Steps: 1, " + 'ab:"' * MILLION,
        "Steps: 1, " + 'ab:"\\",' * 20_000,
        "Steps: 1, " + "ab:[" * MILLION,
        "Steps: 1, " + 'aa:["x,' * 20_000,
        "Steps: 1, Seed: 1, Size: 1x1, ab:" + "[" * 190_000,
        "(" * 4 * MILLION,
        "(a:1" * MILLION,
        "<lora:" * 600_000,
        "<lora:a:1>, " * 300_000 + "\nSteps: 1, Seed: 1, Size: 8x8",
        "(a:1.1) " * 12_000 + "\nSteps: 1, Seed: 1, Size: 8x8",
    ],
    ids=lambda text: f"{text[10:22]!r} of {len(text)}",
)
@pytest.mark.timeout(60)
def test_a_text_of_four_million_letters_is_read_in_one_pass(text: str) -> None:
    """Patterns that begin again at every letter would take hours for these."""
    from_parameters(text)
    read(text.encode()[: 4 * MILLION], "x.txt")


def test_many_small_blocks_of_exif_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them had the whole file read again."""
    from studio.library import containers

    seen = 0

    def counted(data: bytes) -> dict[str, str]:
        nonlocal seen
        seen += 1
        return {}

    monkeypatch.setattr(containers, "_exif", counted)
    read(png()[:33] + chunk(b"eXIf", b"II*\0") * 2_000 + png()[33:])
    assert seen == 1
