"""The painted world: pictures are reproducible, captions say what the picture shows."""

import dataclasses

import numpy as np
import pytest
from PIL import ImageChops

from pipelines.training.starter.flat_picture import COLOURS, paint
from pipelines.training.starter.world import (
    COLOURED,
    EXAMPLES,
    OBJECT_PLACES,
    SHAPES,
    WORDS,
    Scene,
    Thing,
    caption,
    held_out,
    random_scene,
    vocabulary,
)

SEA = Scene("landscape", 4, "sea", "sunset", "clear", "", (Thing("sailboat", "red", "left"),))
STAR = Scene("emblem", 9, shape="star", colour="yellow", background="blue", frame="ring")


def test_a_scene_is_always_painted_the_same() -> None:
    for scene in (SEA, STAR):
        assert paint(scene).size == (256, 256)
        assert ImageChops.difference(paint(scene), paint(scene)).getbbox() is None
        assert (
            ImageChops.difference(paint(scene), paint(dataclasses.replace(scene, seed=5))).getbbox()
            is not None
        )


def test_an_emblem_has_its_colours() -> None:
    picture = np.asarray(paint(STAR)).astype(int)
    assert np.abs(picture[128, 128] - COLOURS["yellow"]).max() <= 8
    assert np.abs(picture[4, 4] - COLOURS["blue"]).max() <= 8


def test_night_is_darker_than_day_everywhere_in_the_world() -> None:
    for place in WORDS["place"]:
        day, night = (
            paint(Scene("landscape", 3, place, time, "clear")).convert("L") for time in ("day", "night")
        )
        assert np.mean(night) < 0.6 * np.mean(day)


def test_every_scene_the_world_can_draw_can_be_painted_and_told() -> None:
    rng = np.random.default_rng(0)
    seen = {name: set() for name in ("place", "shape", "thing")}
    for _ in range(400):
        scene = random_scene(rng, held=None)
        paint(scene, 32, 1)
        seen["place"].add(scene.place)
        seen["shape"].add(scene.shape)
        seen["thing"] |= {thing.name for thing in scene.things}
        assert all(scene.place in OBJECT_PLACES[thing.name] for thing in scene.things)
        assert all(bool(thing.colour) == (thing.name in COLOURED) for thing in scene.things)
    assert seen["place"] == {*WORDS["place"], ""}
    assert seen["shape"] == {*SHAPES, ""}
    assert seen["thing"] == set(WORDS["object"])


def test_a_complete_caption_asks_for_everything_with_words_from_the_list() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        text, said = caption(SEA, rng, complete=True)
        assert {
            "place": "sea",
            "time": "sunset",
            "thing0": "sailboat",
            "thing0_colour": "red",
        }.items() <= said.items()
        text, said = caption(STAR, rng, complete=True)
        assert {
            "shape": "star",
            "colour": "yellow",
            "background": "blue",
            "frame": "ring",
        }.items() <= said.items()
        assert any(word in text for word in WORDS["shape"]["star"])


def test_captions_vary_more_than_pictures() -> None:
    rng = np.random.default_rng(2)
    assert len({caption(SEA, rng)[0] for _ in range(100)}) > 90


@pytest.mark.parametrize("held", [False, True])
def test_training_never_sees_a_held_out_combination(held: bool) -> None:
    rng = np.random.default_rng(3)
    assert all(held_out(random_scene(rng, held=held)) == held for _ in range(200))


def test_the_vocabulary_covers_its_own_examples() -> None:
    words = {
        w for values in WORDS.values() for said in values.values() for phrase in said for w in phrase.split()
    }
    words |= {"a", "on", "in", "the", "at", "logo", "background", "over", "with", "white"}
    for example in vocabulary()["examples"]:
        assert {w.strip(",") for w in example.split()} - words == set(), example
    assert len(EXAMPLES) == 8
