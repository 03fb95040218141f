"""The Models tab's view of memory: what holds what, in words and bars, from a snapshot of any age."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from pipelines.errors import GB
from studio.page import memory
from studio.workers.residents import parts

TITLES = {"org/sdxl": "SDXL", "org/sd15": "SD 1.5", "bark": "Bark"}


def component(key: str, state: str = "resident", **more: Any) -> dict[str, Any]:
    return {"key": key, "state": state, "nbytes": GB, "whole_bytes": GB, "leases": 0, "pinned": False, **more}


def told(*components: dict[str, Any], **more: Any) -> dict[str, Any]:
    snapshot = {"device": "cuda:0", "budget_bytes": 12 * GB, "committed_bytes": 3 * GB, **more}
    return {"worker": "ready", "device": "A card", "memory": snapshot | {"components": list(components)}}


def text(html: str) -> str:
    """What a person reads."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html))).strip()


@pytest.mark.parametrize(
    ("parts_", "words"),
    [
        ([component("a:unet")], "Resident"),
        ([component("a:unet"), component("a:tokenizer", "host", nbytes=0, whole_bytes=0)], "Resident"),
        ([component("a:unet"), component("a:vae", "loading")], "Loading…"),
        ([component("a:unet", "host")], "In main memory, quick to bring back"),
        ([component("a:unet", whole_bytes=4 * GB, streamed=True)], "Streamed, 25% on the device"),
        ([component("a:unet", "partial", whole_bytes=2 * GB)], "Partly resident, 50% on the device"),
        ([component("a:unet"), component("a:te", "host")], "Partly resident, 50% on the device"),
        ([component("a:unet", "leaving")], "Leaving…"),
    ],
)
def test_where_a_model_is_is_said_in_words(parts_: list[dict[str, Any]], words: str) -> None:
    assert memory.standing(parts({"components": parts_})) == words


def test_a_shared_component_stands_with_each_model_and_is_drawn_once() -> None:
    shared = component("3f9c:vae", models=["org/sdxl", "org/sd15"])
    unets = [
        component("1:unet", models=["org/sdxl"], leases=1),
        component("2:unet", models=["org/sd15"], pinned=True),
    ]
    html = memory.card(told(shared, *unets), TITLES, 0.0)
    assert "VAE (1.0 GB, shared with SD 1.5)" in text(html)
    assert "VAE (1.0 GB, shared with SDXL)" in text(html)
    assert len(re.findall('<i class="model"', html)) == 3
    assert 'title="SDXL and SD 1.5: 1.0 GB"' in html


def test_what_can_be_done_depends_on_how_things_are() -> None:
    lent = memory.card(told(component("bark:gpt", leases=1)), TITLES, 0.0)
    assert 'data-do="pin" data-model="bark"' in lent
    assert 'data-do="unload" data-model="bark"' not in lent
    assert "Bark In use" in text(lent)
    pinned = memory.card(told(component("bark:gpt", pinned=True)), TITLES, 0.0)
    assert 'data-do="unpin" data-model="bark"' in pinned
    assert 'data-do="unload" data-model="bark"' in pinned


def test_main_memory_has_a_bar_only_where_it_is_another() -> None:
    assert "Main memory" not in memory.card(told(host_bytes=0), TITLES, 0.0)
    both = memory.card(told(host_bytes=2 * GB, host_budget_bytes=8 * GB, working_bytes=GB), TITLES, 0.0)
    assert "Main memory 2.0 GB of 8.0 GB" in text(both)
    assert "Device memory 3.0 GB of 12 GB · 2.0 GB models · 1.0 GB running work" in text(both)


def test_decisions_are_told_newest_first_by_the_names_people_know() -> None:
    why = "bark:gpt:fp16, org/sdxl:vae:fp16, org/sdxl:unet:fp16 left: not used for 600 s"
    events = [
        {"at": 100.0, "what": "load", "keys": ["bark:gpt:fp16"], "why": "bark:gpt:fp16 was asked for", "bytes": 1},
        {"at": 190.0, "what": "rest", "keys": ["bark:gpt:fp16", "org/sdxl:vae:fp16", "org/sdxl:unet:fp16"], "why": why},
    ]  # fmt: skip
    shown = text(memory.card(told(events=events), TITLES, 200.0))
    assert "Let go Bark (gpt), SDXL (VAE, UNet) left: not used for 600 s just now" in shown
    assert shown.index("Let go") < shown.index("Loaded Bark (gpt) was asked for 1 min ago")


def test_a_reason_that_names_models_is_told_by_their_titles() -> None:
    why = "org/sdxl (text_encoder, vae) left, quickest to bring back: org/sd15 (unet) was 2.1 GB short"
    assert memory.in_words(why, ["CLIPTextModel:text_encoder:float16@1"], {}, TITLES) == (
        "SDXL (text encoder, VAE) left, quickest to bring back: SD 1.5 (UNet) was 2.1 GB short"
    )
    assert memory.in_words("org/sd15-turbo left", [], {}, {"org/sd15": r"a\\1"}) == "Org/sd15-turbo left"
    assert memory.in_words("org/sd15 left", [], {}, {"org/sd15": r"a\\1"}) == r"A\\1 left"


def test_an_older_worker_and_one_that_starts_are_shown_too() -> None:
    old = {"key": "bark:gpt:fp16", "nbytes": GB, "state": "resident", "leases": 0, "pinned": False}
    shown = text(memory.card(told(old, last_decision="bark:gpt:fp16 left"), {}, 0.0))
    assert "bark Resident · 1.0 GB" in shown
    assert "Decided Bark (gpt) left" in shown
    assert "Starting the engine" in memory.card({"worker": "starting"}, {}, 0.0)
    assert "No model is in memory" in memory.card({"worker": "ready", "memory": {}}, {}, 0.0)


def test_names_from_a_folder_cannot_become_markup() -> None:
    html = memory.card(
        told(component("<b>x</b>:unet"), events=[{"what": "load", "why": "<i>", "keys": []}]), {}, 0.0
    )
    assert "<b>x" not in html
    assert "&lt;i&gt;" in html
