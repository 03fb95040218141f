"""One record of each modality, which everything takes its words from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.messages import KINDS, MODALITIES, REQUESTS, Modality

ROOT = Path(__file__).resolve().parents[2]


def test_every_modality_has_a_record_and_a_task_of_its_own() -> None:
    assert tuple(KINDS) == MODALITIES
    assert [REQUESTS[modality].task_name for modality in MODALITIES] == list(MODALITIES)


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_pane_of_a_modality_is_there(modality: Modality) -> None:
    assert (ROOT / "studio" / "page" / f"{KINDS[modality].pane}.py").is_file()


def test_the_words_alone_load_neither_pydantic_nor_a_database() -> None:
    """The process that reads strangers' files knows the kinds, and starts in milliseconds."""
    code = (
        "import sys\n"
        "from studio.library import metadata\n"
        "print(sorted({'pydantic', 'sqlalchemy'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
