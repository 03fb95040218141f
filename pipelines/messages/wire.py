"""How messages cross a pipe: a length, then a pickle.

Pickle, because both ends are this program: a worker is a child process on a pipe nobody else holds.
"""

from __future__ import annotations

import pickle
from typing import IO, Any


def write_message(stream: IO[bytes], message: object) -> None:
    """Send one message. Raises OSError when the other side is gone."""
    data = pickle.dumps(message, protocol=5)
    stream.write(len(data).to_bytes(8, "big"))
    stream.write(data)
    stream.flush()


def read_message(stream: IO[bytes]) -> Any:
    """The next message; raises EOFError (or OSError) when the other side is gone."""
    head = stream.read(8)
    data = stream.read(int.from_bytes(head, "big")) if len(head) == 8 else b""
    if len(head) < 8 or len(data) < int.from_bytes(head, "big"):
        raise EOFError("the other side is gone")
    return pickle.loads(data)
