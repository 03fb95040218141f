"""How what was made leaves the worker: as one message, or, where it is a file, in pieces.

A path says nothing on another machine, and a film need not fit into memory. Between two pieces everybody else's events go out.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from pathlib import Path

from pipelines.messages import Artifact, Piece, Produced

PIECE_BYTES = 1 << 20


def crossing(job_id: str, artifact: Artifact) -> Iterator[Piece | Produced]:
    """What is sent of an artifact, in order. Its file goes with the last piece, or when nobody wants the rest."""
    if artifact.path is None:
        yield Produced(job_id, artifact)
        return
    path, name = Path(artifact.path), uuid.uuid4().hex
    try:
        with path.open("rb") as file:
            while data := file.read(PIECE_BYTES):
                yield Piece(job_id, name, data)
        yield Produced(job_id, dataclasses.replace(artifact, path=None), name)
    finally:
        path.unlink(missing_ok=True)
