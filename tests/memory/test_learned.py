"""What work takes is measured, remembered and promised: never less than it took, not much more, and never from a bad file."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path

import pytest

from pipelines.memory import Component
from pipelines.memory.learned import LAST, MOST_LABELS, WorkingSets, work_label

PARTS = [Component("unet:a", lambda: None, 10), Component("vae:b", lambda: None, 5)]
WORK = work_label("image", PARTS, "512x512")


def sets(path: Path | None = None, **more: object) -> WorkingSets:
    return WorkingSets(path, "NVIDIA GeForce RTX 4090", **more)  # type: ignore[arg-type]


def test_a_label_is_for_these_weights_at_this_size() -> None:
    assert work_label("image", list(reversed(PARTS)), "512x512") == WORK
    others = [
        work_label("image", PARTS, "512x768"),
        work_label("image", PARTS[:1], "512x512"),
        work_label("image", PARTS, "512x512", "tiled"),
    ]
    assert len({WORK, *others}) == 4
    assert work_label("text", PARTS, up_to=1000) == work_label("text", PARTS, up_to=600)
    assert work_label("text", PARTS, up_to=1000) != work_label("text", PARTS, up_to=1025)


def test_the_guess_is_promised_until_something_is_measured() -> None:
    learned = sets()
    assert learned.estimate(WORK, 1000) == 1000
    learned.observe(WORK, 100, alone=True)
    assert learned.estimate(WORK, 1000) == 110
    assert learned.estimate(work_label("image", PARTS, "512x768"), 1000) == 1000


@pytest.mark.parametrize("guess", [100_000, 1_000_000, 10_000_000])
def test_after_three_runs_no_less_than_it_takes_is_promised_and_at_most_15_percent_more(guess: int) -> None:
    learned, dice = sets(), random.Random(7)
    over = []
    for run in range(200):
        took = round(dice.gauss(1_000_000, 10_000))
        promised = learned.estimate(WORK, guess)
        if run >= 3:
            assert promised >= took
            over.append(promised / took - 1)
        learned.observe(WORK, took, alone=True)
    assert sorted(over)[len(over) // 2] <= 0.15


def test_one_large_run_is_forgotten_after_a_while() -> None:
    learned = sets()
    learned.observe(WORK, 900, alone=True)
    for _ in range(LAST):
        assert learned.estimate(WORK, 0) == 990
        learned.observe(WORK, 100, alone=True)
    assert learned.estimate(WORK, 0) == 110


def test_a_run_beside_others_can_raise_a_guess_but_lowers_nothing() -> None:
    learned = sets()
    learned.observe(WORK, 50, alone=False)
    assert learned.estimate(WORK, 100) == 100
    learned.observe(WORK, 300, alone=False)
    assert learned.estimate(WORK, 100) == 300
    learned.observe(WORK, 100, alone=True)
    assert learned.estimate(WORK, 100) == 110  # now it is known
    learned.observe(WORK, 40, alone=False)
    assert learned.estimate(WORK, 100) == 110


def test_a_short_answer_does_not_lower_the_promise_for_a_long_one() -> None:
    learned, answer = sets(), work_label("text", PARTS, up_to=1000)
    learned.observe(answer, 10, alone=True)
    assert learned.estimate(answer, 1000) == 1000
    learned.observe(answer, 2000, alone=True)
    assert learned.estimate(answer, 1000) == 2200


def test_running_out_of_memory_raises_the_promise_by_a_quarter_and_not_without_end() -> None:
    learned = sets()
    assert learned.estimate(WORK, 1000) == 1000
    learned.overrun(WORK)
    assert learned.estimate(WORK, 1000) == 1250
    for _ in range(20):
        learned.overrun(WORK)
    assert learned.estimate(WORK, 1000) == 2000
    for _ in range(LAST + 1):  # it went well since
        learned.observe(WORK, 500, alone=True)
    assert learned.estimate(WORK, 1000) == 550


def test_it_is_remembered_for_the_device_it_was_measured_on(tmp_path: Path) -> None:
    learned = sets(tmp_path)
    learned.observe(WORK, 1000, alone=True)
    learned.save()
    assert [file.name for file in tmp_path.iterdir()] == ["working-sets-nvidia-geforce-rtx-4090.json"]
    assert sets(tmp_path).estimate(WORK, 5000) == 1100
    assert WorkingSets(tmp_path, "CPU, 8 threads").estimate(WORK, 5000) == 5000


def test_it_is_written_seldom_and_only_when_there_is_something_new(tmp_path: Path) -> None:
    now = [0.0]
    learned = sets(tmp_path, clock=lambda: now[0])
    learned.save()
    assert not list(tmp_path.iterdir())
    learned.observe(WORK, 1000, alone=True)
    learned.save(at_most_every=5)
    assert not list(tmp_path.iterdir())
    now[0] = 6.0
    learned.save(at_most_every=5)
    (file,) = tmp_path.iterdir()
    file.unlink()
    now[0] = 20.0
    learned.save()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"works": 3}',
        '{"works": {"a": {}}}',
        '{"works": {"a": {"peaks": [-1], "beside": 0}}}',
        '{"works": {"a": {"peaks": ["1"], "beside": 0}}}',
    ],
)
def test_a_file_that_cannot_be_read_counts_as_none(tmp_path: Path, text: str) -> None:
    first = sets(tmp_path)
    assert first.file is not None
    first.file.write_text(text)
    learned = sets(tmp_path)
    assert learned.estimate("a", 7) == 7
    learned.observe(WORK, 100, alone=True)
    learned.save()
    assert json.loads(first.file.read_text())["works"][WORK] == {"peaks": [100], "beside": 0}


def test_a_full_disk_costs_the_memory_of_it_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    learned = sets(tmp_path / "cache")
    learned.observe(WORK, 100, alone=True)
    learned.save()
    assert learned.estimate(WORK, 1000) == 110


def test_what_was_not_done_for_longest_is_forgotten_first() -> None:
    learned = sets()
    learned.observe(WORK, 100, alone=True)
    for number in range(MOST_LABELS):
        learned.observe(f"work {number}", 100, alone=True)
        learned.estimate(WORK, 0)
    assert learned.estimate(WORK, 0) == 110
    assert learned.estimate("work 0", 0) == 0


def test_many_threads_may_ask_and_tell_at_once(tmp_path: Path) -> None:
    learned, failures = sets(tmp_path), []

    def use(number: int) -> None:
        try:
            for step in range(200):
                learned.observe(f"{number} {step % 7}", 100 + step, alone=step % 2 == 0)
                assert learned.estimate(f"{number} {step % 7}", 1) >= 100
                learned.save()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    learned.save()
    assert len(json.loads(learned.file.read_text())["works"]) == 28  # type: ignore[union-attr]
