"""What every benchmark prints has one form, and a missed bar is the exit code."""

from __future__ import annotations

import pytest

from tests.bench import starter
from tests.bench.report import Report, machine


def test_figures_and_bars_are_tables_and_a_missed_bar_is_the_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = Report("three runs")
    report.figure("theirs (baseline)", [2.0, 1.0, 3.0])
    report.figure("ours", [3.0, 4.0, 5.0], [2.0, 1.0, 3.0])
    report.bar("crashes", "0", "0", True)
    assert report.end() == 0
    report.bar("ours over theirs", "1.5×", "2.00×", False)
    report.say("That was it.")
    assert report.end() == 1
    assert report.missed == ["ours over theirs"]
    assert capsys.readouterr().out == report.text() + "\n"
    assert report.text().splitlines() == [
        f"{machine()}; three runs.",
        "",
        "| what | median | from–to | ratio |",
        "|---|---|---|---|",
        "| theirs (baseline) | 2 s | 1–3 |  |",
        "| ours | 4 s | 3–5 | 2.00× |",
        "",
        "| bar | allowed | measured | |",
        "|---|---|---|---|",
        "| crashes | 0 | 0 | held |",
        "| ours over theirs | 1.5× | 2.00× | MISSED |",
        "",
        "That was it.",
    ]


def test_large_figures_are_numbers_one_can_read(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("one run")
    report.figure("bytes", [1234567.0], [0.0], unit="B")
    assert "| bytes | 1,234,567 B | 1,234,567–1,234,567 |  |" in report.text()


def test_scores_of_the_starter_models_are_held_against_the_bars_of_their_tables() -> None:
    language = (
        "| what | measured | bar |\n| --- | --- | --- |\n"
        "| facts | 96 % | ≥ 90 % |\n| loops | 1 % | 0 % |\n| — email | 5 % |  |\n"
    )
    code = "| what | measured | bar |\n| --- | --- | --- |\n| next token | 38 % (n-gram 28 %) | above |\n"
    image = "| asked for | bar | seen combinations | held-out combinations |\n|---|---|---|---|\n| kind | 90 % | 91 % | 89 % |\n"
    assert list(starter.bars(language + code + image)) == [
        ("facts", "≥ 90 %", "96 %", True),
        ("loops", "0 %", "1 %", False),
        ("next token", "above", "38 % (n-gram 28 %)", True),
        ("kind, seen combinations", "90 %", "91 %", True),
        ("kind, held-out combinations", "90 %", "89 %", False),
    ]
