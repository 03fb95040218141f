"""What it costs to read strangers' files in a process of their own, and what a huge picture does to the server.

`python3 launch.py bench reader [--runs N] [--side PIXELS] [--write]`. A photograph of about 1 MB is examined and drawn small,
through the reader and in this process, in turn. Then four threads of a fresh process hand in one PNG of 149 megapixels each; that
process stands for the server, and may grow by 50 MiB. Exit code 1 when it grows by more.
"""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from studio.library import media, thumbnails
from studio.library.reader import Reader
from tests.bench.hostile.pictures import bomb
from tests.bench.report import Report, in_turn, parser, write_between

MARK = "figures: written by `launch.py bench reader --write`"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reader.md"
GROWTH_MIB = 50
SERVER = """
import sys, threading, psutil
from studio.library import LibraryError
from studio.library.reader import Reader
data = sys.stdin.buffer.read()
reader, told = Reader(), []
reader.fences()
before = psutil.Process().memory_info().rss
def read():
    for ask in (lambda: reader.examine(data, "huge.png"), lambda: reader.thumbnail(data, "image")):
        try:
            ask(), told.append("read")
        except LibraryError as error:
            told.append(str(error))
threads = [threading.Thread(target=read) for _ in range(4)]
peaks = [thread.start() for thread in threads] and []
while any(thread.is_alive() for thread in threads):
    peaks.append(psutil.Process().memory_info().rss)
    threads[0].join(0.02) or [thread.join(0.02) for thread in threads]
print((max(peaks) - before) / 2**20, told.count("read"), len(told))
reader.close()
"""


def main(argv: list[str]) -> int:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--side", type=int, default=12_200, help="pixels a side of the huge picture")
    arguments.add_argument("--write", action="store_true", help="put the figures into docs/reader.md")
    told = arguments.parse_args(argv)
    grown, whole, answered = huge(told.side)
    report = Report(f"{told.runs} runs of each, in turn")
    costs(told.runs, report)
    four = f"four PNGs of {told.side**2 / 1e6:.0f} megapixels at once"
    report.bar(f"the server grows, {four}", f"{GROWTH_MIB} MiB", f"{grown:.0f} MiB", grown <= GROWTH_MIB)
    report.bar("questions about them answered, whole or with a reason", "8", str(answered), answered == 8)
    report.say(f"{whole} of 8 were answered whole.")
    if told.write:
        write_between(DOCUMENT, MARK, report.text())
    return report.end()


def costs(runs: int, report: Report) -> None:
    """Rows: one picture here and through the reader, and starting it."""
    data = photograph()
    reader = Reader(at_once=1)
    started: list[float] = []
    asked: list[float] = []
    here: list[float] = []
    there: list[float] = []
    try:
        in_turn(runs, reader.close, lambda: started.append(seconds(lambda: reader.recipe(b"x"))))
        in_turn(
            runs,
            lambda: here.append(seconds(lambda: read_here(data))),
            lambda: there.append(seconds(lambda: read_there(reader, data))),
            lambda: asked.append(seconds(lambda: reader.recipe(b"x"))),
        )
    finally:
        reader.close()
    name = f"examine and thumbnail of a PNG of {len(data) / 1e6:.1f} MB"
    report.figure(f"{name}, in this process (baseline)", here)
    report.figure(f"{name}, through the reader", there, here)
    report.figure("a question with nothing to read", asked)
    report.figure("the first question, which starts the process", started)


def photograph() -> bytes:
    """A PNG of about 1 MB that packs as badly as a photograph."""
    noise = np.random.default_rng(0).integers(0, 64, (640, 640, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(noise).save(data, "PNG")
    return data.getvalue()


def read_here(data: bytes) -> None:
    media.examine(io.BytesIO(data), "a.png")
    thumbnails.draw(io.BytesIO(data), "image")


def read_there(reader: Reader, data: bytes) -> None:
    reader.examine(data, "a.png")
    reader.thumbnail(data, "image")


def seconds(task: Callable[[], object]) -> float:
    begun = time.perf_counter()
    task()
    return time.perf_counter() - begun


def huge(side: int) -> tuple[float, int, int]:
    """MiB a process that only asks grows by, and of its eight questions how many were answered whole, and at all."""
    command = [sys.executable, "-c", SERVER]
    done = subprocess.run(command, input=bomb(side, side), capture_output=True, check=True)
    grown, whole, answered = done.stdout.split()
    return float(grown), int(whole), int(answered)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
