"""A request class and its controls: what a form shows, what it sends, and how it says what is wrong."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, cast

import gradio as gr
import pytest
from pydantic import ValidationError

from pipelines.catalog import Catalog, ModelSpec, Source
from pipelines.catalog.voices import SEPARATOR
from pipelines.messages import (
    MODALITIES,
    REQUESTS,
    AudioRequest,
    CodeRequest,
    ImageRequest,
    Modality,
    VideoRequest,
)
from studio.page.controls import Control, describe
from studio.page.faults import FieldErrors
from studio.page.filling import Filling
from studio.page.forms import Form
from studio.page.offers import model_label, voices_of

SMALL = ModelSpec(
    id="house/small",
    title="Small",
    modalities=("image", "video"),
    loader="diffusers",
    source=Source(path="/nowhere"),
    licence="CC0-1.0",
    weight_bytes=25_000_000,
    defaults={"width": 256, "height": 256, "num_inference_steps": 8},
    limits={"width": 256, "num_inference_steps": 20},
)
LARGE = dataclasses.replace(
    SMALL, id="house/large", title="Large", defaults={"width": 1024, "height": 1024}, limits={}
)
VOICE = dataclasses.replace(
    SMALL,
    id="house/voice",
    modalities=("audio",),
    loader="espeak",
    defaults={},
    limits={},
    facts={"voices": ["en", "de"]},
)


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> Catalog:
    catalog = Catalog(hub=False)
    specs = {spec.id: spec for spec in (SMALL, LARGE, VOICE)}
    monkeypatch.setattr(catalog, "_load", lambda: specs)
    return catalog


def built(catalog: Catalog, modality: Modality) -> Form:
    form = Form(catalog, modality)
    with gr.Blocks(analytics_enabled=False):
        form.build_rest(simple=True)
        form.build_rest(simple=False)
    return form


def values(form: Form, **typed: Any) -> list[Any]:
    """What the page would send: every control's own value, and what was typed."""
    return [typed.get(name, component.value) for name, component in form.components.items()]


@pytest.mark.parametrize("modality", MODALITIES)
def test_simple_has_at_most_six_controls(modality: Modality) -> None:
    simple = [control.name for control in describe(REQUESTS[modality]) if control.simple]
    assert len(simple) <= 6
    assert "prompt" in simple


@pytest.mark.parametrize("modality", MODALITIES)
def test_every_control_has_a_name_and_a_sentence_of_help(modality: Modality) -> None:
    assert [
        control.name for control in describe(REQUESTS[modality]) if not (control.label and control.hint)
    ] == []


def test_a_control_is_read_from_the_field_alone() -> None:
    by_name = {control.name: control for control in describe(ImageRequest)}
    assert by_name["width"] == Control(
        name="width",
        label="Width",
        hint="Pixels across.",
        simple=True,
        widget="number",
        default=512,
        minimum=64,
        maximum=4096,
        step=8,
        whole=True,
        affects_memory=True,
    )
    assert by_name["num_inference_steps"].widget == "slider"
    assert by_name["format"].choices == ("png", "jpeg", "webp")
    assert by_name["init_image"].widget == "asset"


def test_a_wide_range_is_typed_and_a_narrow_one_slid() -> None:
    by_name = {control.name: control.widget for control in describe(VideoRequest)}
    assert (by_name["seconds"], by_name["strength"]) == ("number", "slider")
    assert {control.name: control.widget for control in describe(AudioRequest)}["pitch"] == "slider"


@pytest.mark.parametrize("modality", ["image", "video", "audio"])
def test_an_untouched_form_sends_the_models_own_defaults(catalog: Catalog, modality: Modality) -> None:
    form = built(catalog, modality)
    spec = catalog.default(modality)
    wanted = catalog.complete(REQUESTS[modality](prompt="a star", model=spec.id))
    assert form.request(values(form, prompt="a star")) == wanted


def test_every_wrong_field_is_named_with_what_would_be_right(catalog: Catalog) -> None:
    form = built(catalog, "image")
    wrong = values(form, prompt="a star", width=100, num_images=40, seed=None, num_inference_steps=2.5)
    with pytest.raises(FieldErrors) as caught:
        form.request(wrong)
    assert caught.value.messages == {
        "width": "100 is not a multiple of 8: use 96 or 104.",
        "num_images": "40 is too large: at most 16.",
        "seed": "A number is missing here.",
        "num_inference_steps": "2.5 is not a whole number.",
    }


@pytest.mark.parametrize(
    "typed", ["abc", "inf", "nan", math.inf, math.nan, pytest.param(10**400, id="400 digits")]
)
def test_what_is_no_number_is_told_beside_its_field(catalog: Catalog, typed: object) -> None:
    """`1e400` is infinite once it is read: OverflowError came out of the form, and the page said nothing of use."""
    form = built(catalog, "image")
    with pytest.raises(FieldErrors) as caught:
        form.request(values(form, prompt="a star", width=typed, guidance_scale=typed))
    told = "This is no number that can be used here."
    assert caught.value.messages == {"width": told, "guidance_scale": told}


def test_a_models_limit_is_told_beside_the_field(catalog: Catalog) -> None:
    form = built(catalog, "image")
    with pytest.raises(FieldErrors) as caught:
        form.request(values(form, prompt="a star", width=512))
    assert caught.value.messages == {
        "width": "width is 512, more than house/small can take. Its largest width is 256. "
        "Use 256 or less, or pick another model."
    }


def test_a_limit_calls_the_field_what_the_form_calls_it(catalog: Catalog) -> None:
    """It said `num_inference_steps`, which stands nowhere on the page."""
    form = built(catalog, "image")
    with pytest.raises(FieldErrors) as caught:
        form.request(values(form, prompt="a star", width=256, height=256, num_inference_steps=30))
    assert caught.value.messages == {
        "num_inference_steps": "steps is 30, more than house/small can take. Its largest steps is 20. "
        "Use 20 or less, or pick another model."
    }


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (9999, "9999 is too large: at most 256."),
        (9992, "9992 is too large: at most 256."),
        (3, "3 is too small: at least 64."),
        (257, "257 is too large: at most 256."),
        (254, "254 is not a multiple of 8: use 248 or 256."),
        (65, "65 is not a multiple of 8: use 64 or 72."),
    ],
)
def test_what_to_write_instead_is_always_something_that_is_taken(
    catalog: Catalog, given: int, told: str
) -> None:
    """Once 9999 was told to be 9992 or 10000."""
    form = built(catalog, "image")
    with pytest.raises(FieldErrors) as caught:
        form.request(values(form, prompt="a star", width=given, model="house/small"))
    assert caught.value.messages == {"width": told}


def test_an_empty_prompt_is_told_beside_the_prompt(catalog: Catalog) -> None:
    form = built(catalog, "image")
    with pytest.raises(FieldErrors) as caught:
        form.request(values(form, prompt="  "))
    assert caught.value.messages == {"prompt": "The prompt is empty. Write what to make."}


def test_a_frame_rate_says_what_can_be_written(catalog: Catalog) -> None:
    form = built(catalog, "video")
    with pytest.raises(FieldErrors) as caught:
        form.request(values(form, prompt="a star", fps="fast"))
    assert caught.value.messages == {"fps": "'fast' is not a frame rate; write 24, 29.97 or 30000/1001."}


def test_a_frame_rate_may_be_a_number_and_a_mark_of_byte_order_is_no_letter() -> None:
    rates = [VideoRequest.model_validate({"fps": rate}).fps for rate in (24, 24.0, 29.97, "30000/1001")]
    assert rates == ["24", "24", "29.97", "30000/1001"]
    for wrong in (True, 0, float("nan"), float("inf"), None):
        with pytest.raises(ValidationError):
            VideoRequest.model_validate({"fps": wrong})
    assert CodeRequest(code="\ufeffprint(1)", prompt="\ufeffwhy?").model_dump(include={"code", "prompt"}) == {
        "code": "print(1)",
        "prompt": "why?",
    }


def test_another_model_changes_only_what_nobody_touched(catalog: Catalog) -> None:
    form = built(catalog, "image")
    typed = values(form, prompt="a star", height=128, model="house/large")
    late = form.switch_model("house/small", "house/large", typed)
    offers = dict(zip(form.names, late.offers, strict=True))
    assert late.values["width"] == 1024
    assert late.values["height"] == 128
    assert late.values["num_inference_steps"] == 30
    assert offers["num_inference_steps"]["maximum"] == 200
    assert "prompt" not in late.values
    assert late.held["width"] == [typed[form.names.index("width")]]


def test_a_choice_told_twice_takes_back_nothing_of_its_first_answer(catalog: Catalog) -> None:
    """Gradio tells of one pick twice; the second answer emptied the first before the page had put it in."""
    form = built(catalog, "image")
    told = Filling(cast(Any, None), form).switch_model("house/large", *values(form, model="house/large"))
    assert told == [gr.skip()] * (len(form.names) + 4)


def test_a_recipe_fills_the_form_that_made_it(catalog: Catalog) -> None:
    form = built(catalog, "image")
    made = ImageRequest(
        prompt="a star", model="house/small", seed=7, width=128, height=64, num_inference_steps=20
    )
    updates = dict(zip(form.names, form.fill(made.model_dump()), strict=True))
    again = form.request([updates[name].get("value", form.components[name].value) for name in form.names])
    assert again == made


def test_a_part_of_a_recipe_leaves_the_rest_alone(catalog: Catalog) -> None:
    form = built(catalog, "image")
    updates = dict(zip(form.names, form.fill({"prompt": "a moon"}), strict=True))
    assert [name for name, update in updates.items() if "value" in update] == ["prompt"]


def laid_out(form: Form, recipe: dict[str, Any], chosen: str = "house/small") -> tuple[dict[str, Any], Any]:
    """field → value on the form after a recipe was laid out in it, and what was not taken over."""
    updates, _, left_out = form.lay_out(recipe, chosen)
    return {name: update["value"] for name, update in zip(form.names, updates, strict=True)}, left_out


def test_laying_out_a_recipe_replaces_all_that_the_form_held(catalog: Catalog) -> None:
    """An old negative prompt, start picture, count or seed stayed, and the picture made was not the file's."""
    form = built(catalog, "image")
    shown, left_out = laid_out(form, {"modality": "image", "prompt": "a moon", "num_inference_steps": 12})
    defaults = catalog.complete(ImageRequest(model="house/small")).model_dump(exclude={"modality"})
    assert shown == defaults | {"prompt": "a moon", "num_inference_steps": 12}
    assert left_out == ()


def test_laying_out_ones_own_recipe_gives_the_request_that_made_it(catalog: Catalog) -> None:
    form = built(catalog, "image")
    made = ImageRequest(
        prompt="a star", model="house/small", seed=7, width=128, height=64, num_inference_steps=9
    )
    shown, left_out = laid_out(form, made.model_dump(), "house/large")
    assert form.request([shown[name] for name in form.names]) == made
    assert left_out == ()


def test_what_a_form_cannot_take_over_is_said_and_the_form_can_still_be_sent(catalog: Catalog) -> None:
    form = built(catalog, "image")
    recipe = {
        "prompt": "a moon", "model": "dreamer", "width": 512, "height": 100, "num_inference_steps": 500, "seed": "many",
        "left_out": ["the LoRA fog at 0.8"], "notes": {"Clip skip": 2},
    }  # fmt: skip
    shown, left_out = laid_out(form, recipe)
    assert left_out == (
        "the model dreamer, which is not on this machine",
        "the LoRA fog at 0.8",
        "Width 512: Small takes at most 256",
        "Height: 100 is not a multiple of 8: use 96 or 104",
        "Steps: 500 is too large: at most 20",
        "Seed: many is not a whole number",
    )
    assert form.request([shown[name] for name in form.names]) == catalog.complete(
        ImageRequest(prompt="a moon", model="house/small")
    )


def test_a_model_is_found_by_the_name_other_programs_give_it(catalog: Catalog) -> None:
    form = built(catalog, "image")
    for name in ("house/large", "Large", "large.safetensors", "SDXL\\large.safetensors"):
        assert form.lay_out({"model": name}, "house/small")[1:] == ("house/large", ())


def test_a_recipe_of_a_model_not_here_keeps_the_chosen_model(catalog: Catalog) -> None:
    form = built(catalog, "image")
    updates = dict(zip(form.names, form.fill({"prompt": "a moon", "model": "house/gone"}), strict=True))
    assert [name for name, update in updates.items() if "value" in update] == ["prompt"]


def test_a_draft_comes_back_without_a_model_that_went_away(catalog: Catalog) -> None:
    form = built(catalog, "image")
    draft = {"prompt": "half a thou", "model": "house/gone", "seed": None, "width": 128}
    late = form.restore(draft)
    assert late.values == {"prompt": "half a thou", "width": 128}
    assert late.held["prompt"] == [""]
    assert not any("value" in offer for offer in late.offers)
    assert form.restore(None).values == {}


def test_the_picker_offers_what_can_run_with_size_and_licence(catalog: Catalog) -> None:
    assert Form(catalog, "image").models() == [
        ("Small · 25 MB · CC0-1.0", "house/small"),
        ("Large · 25 MB · CC0-1.0", "house/large"),
    ]


def test_voices_are_those_the_model_says_it_has(catalog: Catalog) -> None:
    voice = built(catalog, "audio").components["voice"]
    assert voice.choices == [("The model’s own voice", ""), ("En", "en"), ("De", "de")]


def test_a_voice_with_a_title_is_called_by_it() -> None:
    told = dataclasses.replace(VOICE, facts={"voices": [{"id": "en", "title": "English"}]})
    assert voices_of(told) == [("English", "en")]
    assert voices_of(None) == []


def test_voices_are_read_by_name_and_language_and_no_two_look_alike() -> None:
    """Once the list showed `English (America), Max – en-us+max` in a box 180 pixels wide."""
    presets = dataclasses.replace(VOICE, facts={"voices": ["v2/de_speaker_0", "de_speaker_0", "announcer"]})
    assert voices_of(presets) == [
        ("German, speaker 1", "v2/de_speaker_0"),
        ("German, speaker 1, older", "de_speaker_0"),
        ("Announcer", "announcer"),
    ]
    espeak = voices_of(Catalog(hub=False).get("espeak"))
    assert ("English (America), Max", "en-us+max") in espeak
    titles = [title for title, _ in espeak]
    assert len(set(titles)) == len(titles)
    assert not [title for title in titles if SEPARATOR in title or "+" in title]


def test_a_voice_of_an_older_recipe_is_shown_as_the_one_it_is(catalog: Catalog) -> None:
    form = built(catalog, "audio")
    filled = dict(zip(form.names, form.fill({"voice": "German – de"}), strict=True))
    assert filled["voice"]["value"] == "de"


@pytest.mark.parametrize("typed", ["Euler a", "EulerAncestralDiscreteScheduler", "k_euler_a"])
def test_a_sampler_is_picked_or_typed_by_the_name_people_know(catalog: Catalog, typed: str) -> None:
    form = built(catalog, "image")
    assert ("Euler a", "EulerAncestralDiscreteScheduler") in form.components["scheduler"].choices
    made = form.request(values(form, prompt="a star", scheduler=typed))
    assert made.scheduler == "EulerAncestralDiscreteScheduler"


@pytest.mark.parametrize("modality", ["image", "audio", "video"])
def test_the_file_format_is_in_sight(catalog: Catalog, modality: Modality) -> None:
    assert built(catalog, modality).controls["format"].simple


def test_a_picker_tells_no_size_where_there_is_none() -> None:
    assert (
        model_label(dataclasses.replace(SMALL, weight_bytes=0, licence="GPL-3.0 (own process)"))
        == "Small · GPL-3.0"
    )


def test_a_form_leaves_out_what_a_model_does_not_use_and_brings_it_back_for_one_that_does() -> None:
    """The illustrator takes no steps and no start picture; what someone had set stays in sight."""
    catalog = Catalog(hub=False)
    form = Form(catalog, "image")
    with gr.Blocks():
        for name in form.controls:
            form.build(name)
    values = [form._default(form.controls[name], catalog.get("starter/image")) for name in form.names]
    there = dict(
        zip(form.names, form.switch_model("starter/image", "starter/illustrator", values).offers, strict=True)
    )
    assert (there["num_inference_steps"]["visible"], there["width"]["visible"]) == (False, True)
    values[form.names.index("init_image")] = "some-picture"
    there = dict(
        zip(form.names, form.switch_model("starter/image", "starter/illustrator", values).offers, strict=True)
    )
    assert there["init_image"]["visible"]
    back = dict(
        zip(form.names, form.switch_model("starter/illustrator", "starter/image", values).offers, strict=True)
    )
    assert back["num_inference_steps"]["visible"]


def test_a_picture_sent_to_a_tab_comes_with_a_model_that_can_look_at_it() -> None:
    form = Form(Catalog(hub=False), "image")
    sent = {"init_image": "some-picture"}
    suited = form.suited(sent, "starter/illustrator")
    assert (suited["model"], suited["width"], suited["init_image"]) == ("starter/image", 256, "some-picture")
    assert form.suited(sent, "starter/image") == sent
    assert form.suited({"prompt": "a boat"}, "starter/illustrator") == {"prompt": "a boat"}
