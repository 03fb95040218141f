"""What a plan says to a person: one sentence for page, API and command line."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.errors import GB, OutOfMemory
from pipelines.messages import AudioRequest, ImageRequest, Planned, TextRequest
from studio.planning import Forecast, rough_seconds
from studio.queue.pace import expected_seconds
from studio.workers.residents import by_model, models_of, parts


def planned(**more: Any) -> Planned:
    return Planned("1", **{"fits": True, "need_bytes": 3 * GB, "free_bytes": 8 * GB, **more})


@pytest.mark.parametrize(
    ("forecast", "text"),
    [
        (Forecast(planned()), "Fits"),
        (Forecast(planned(), budget_bytes=12 * GB, work_seconds=14.2), "Fits · 3.0 GB of 12 GB · about 14 s"),
        (
            Forecast(planned(load_seconds=4.0), leaves=("SDXL",), budget_bytes=12 * GB),
            "Fits after SDXL leaves · 3.0 GB of 12 GB · loads in 4 s",
        ),
        (
            Forecast(planned(load_seconds=4.0), leaves=("SDXL", "Bark"), work_seconds=8.0),
            "Fits after SDXL and Bark leave · about 12 s",
        ),
        (Forecast(planned(), leaves=("SDXL", "Bark", "Qwen")), "Fits after 3 models leave"),
        (Forecast(planned(load_seconds=0.2)), "Fits"),
        (Forecast(planned(how="streamed", streamed=("x:unet",))), "Runs streamed (slower)"),
        (Forecast(planned(way="tiled")), "Fits · decoded in tiles"),
        (Forecast(planned(way="tiled small apart")), "Fits · decoded in small tiles · guidance in two halves"),
        (Forecast(planned(way="in a new way")), "Fits · in a new way"),
        (Forecast(planned(), waits=True), "Fits when the job that runs now is done"),
        (Forecast(planned(need_bytes=0), work_seconds=1.2), "Needs no room on the device · about 1 s"),
    ],
)  # fmt: skip
def test_the_facts_are_one_line(forecast: Forecast, text: str) -> None:
    assert forecast.text == text


def test_a_refusal_keeps_its_three_parts() -> None:
    problem = OutOfMemory(
        "This needs about 61 GB and the device has 44 GB.", detail="50 GB are the model.", hint="Try less."
    )
    refused = Forecast(planned(fits=False, problem=problem.problem()), work_seconds=9.0)
    assert refused.text == "This needs about 61 GB and the device has 44 GB. 50 GB are the model. Try less."
    assert refused.as_json()["problem"]["detail"] == "50 GB are the model."


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.1, "1 s"), (89, "89 s"), (150, "2 min"), (3600, "60 min"), (7800, "2 h 10 min")]
)
def test_a_time_beforehand_is_rough(seconds: float, text: str) -> None:
    assert rough_seconds(seconds) == text


def test_only_what_a_request_tells_is_timed() -> None:
    earlier = [{"work": 64.0 * 64 * 10, "denoise": 2.0}]
    small = ImageRequest(prompt="x", width=64, height=64, num_inference_steps=20)
    assert expected_seconds(small, earlier) == pytest.approx(4.0)
    half = small.model_copy(update={"init_image": "a", "strength": 0.5})
    assert expected_seconds(half, earlier) == pytest.approx(2.0)
    assert expected_seconds(small, []) is None
    assert expected_seconds(TextRequest(prompt="x"), [{"work": 1.0, "generate": 5.0}]) is None
    assert expected_seconds(AudioRequest(prompt="x"), [{"work": 1.0, "generate": 5.0}]) is None


def test_a_snapshot_of_any_age_reads() -> None:
    old = {"components": [{"key": "a:unet:float32", "nbytes": 5, "state": "resident", "leases": 1}]}
    (part,) = parts(old)
    assert (part.models, part.name, part.whole_bytes, part.leases) == (("a",), "unet", 5, 1)
    shared = {"key": "3f9c:vae", "nbytes": 7, "state": "host", "models": ["b", "a"], "restore_seconds": 0.5}
    held = by_model(parts({"components": [*old["components"], shared]}))
    assert {model: [part.key for part in its] for model, its in held.items()} == {
        "a": ["a:unet:float32", "3f9c:vae"],
        "b": ["3f9c:vae"],
    }
    assert models_of({"components": [shared]}, ["3f9c:vae", "gone:unet:float32"]) == ["b", "a", "gone"]
    assert parts({}) == []
