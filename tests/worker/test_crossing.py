"""What a worker made crosses as bytes: nobody is told a path on its disk."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pipelines.catalog import Catalog
from pipelines.messages import Artifact, Event, Finished, Piece, Produced, Run, VideoRequest, WorkerConfig
from pipelines.worker.crossing import PIECE_BYTES, crossing
from pipelines.worker.worker import Worker


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A file of two pieces and a half."""
    path = tmp_path / "job.mp4"
    path.write_bytes(bytes(range(256)) * (PIECE_BYTES // 256 * 5 // 2))
    return path


def made(path: Path) -> Artifact:
    return Artifact("video", "video/mp4", "mp4", path=str(path), facts={"frames": 3})


def test_a_file_crosses_in_pieces_and_its_path_stays_here(film: Path) -> None:
    data = film.read_bytes()
    *pieces, last = crossing("job", made(film))
    assert [len(piece.data) for piece in pieces if isinstance(piece, Piece)] == [
        PIECE_BYTES,
        PIECE_BYTES,
        PIECE_BYTES // 2,
    ]
    assert b"".join(piece.data for piece in pieces if isinstance(piece, Piece)) == data
    assert isinstance(last, Produced)
    assert last.artifact == Artifact("video", "video/mp4", "mp4", facts={"frames": 3})
    assert {event.file for event in (*pieces, last)} == {last.file} != {""}
    assert not film.exists()


def test_a_file_whose_rest_nobody_wants_goes(film: Path) -> None:
    pieces = crossing("job", made(film))
    next(pieces)
    pieces.close()
    assert not film.exists()


def test_bytes_cross_as_they_are() -> None:
    artifact = Artifact("image", "image/png", "png", b"picture")
    assert list(crossing("job", artifact)) == [Produced("job", artifact)]


def test_a_film_leaves_a_worker_in_pieces(tmp_path: Path) -> None:
    said: list[Event] = []
    is_over = threading.Event()

    def hear(event: Event) -> None:
        said.append(event)
        if isinstance(event, Finished):
            is_over.set()

    worker = Worker(WorkerConfig(spool=str(tmp_path), device="cpu", warm_up=False), hear)
    spec = Catalog(hub=False).get("starter/illustrator")
    request = VideoRequest(prompt="a lake", model=spec.id, seed=1, seconds=0.2, width=64, height=64)
    worker.handle(Run("job", request, spec))
    assert is_over.wait(120)
    worker.stop()
    data = b"".join(event.data for event in said if isinstance(event, Piece))
    (produced,) = [event for event in said if isinstance(event, Produced)]
    assert (data[4:8], produced.artifact.data, produced.artifact.path) == (b"ftyp", None, None)
    assert list(tmp_path.iterdir()) == []
