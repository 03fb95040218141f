"""Worker, server and file reader killed at random moments while people work: what is lost, stuck, orphaned or left lying about?

`python3 launch.py bench faults [--kills N] [--seed N] [--write]`. Clients submit speech, texts, pictures and films by the starter
models and bring files; a process is ended with SIGKILL again and again, at moments drawn from the seed. Then the work runs out,
some of what kills ended is put back, the server stops, and everything is counted: what was acknowledged must be there, byte for
byte. What must be gone an hour later is looked for with the clock put on. Fails when a bar is missed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psutil
from PIL import Image

from pipelines.errors import WorkerLost
from studio.settings import Settings
from studio.studio import Studio
from tests.bench.report import Report, parser, write_between
from tests.bench.startup import fetch, free_port

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "queue.md"
VICTIMS = {
    "worker": ("pipelines", 5),
    "reader": ("studio.library.reader_process", 3),
    "server": ("launch.py", 2),
}
"""A word of the command of each process that is killed, and how often it is chosen."""
BACK = {
    "first start": "first start, until the page answers (baseline)",
    "server": "server killed, until the page answers",
    "worker": "worker killed, until another begins",
}
HOUR = 3600.0
AT_MOST_WAITING = 12  # jobs; who has that many waiting sends no more for now
RUN_OUT_SECONDS = 600.0  # for all jobs to end after the last kill
PUT_BACK = 5  # jobs that a kill ended, put back at the end


def main(argv: list[str]) -> int:
    arguments = parser(__doc__ or "", runs=0)
    arguments.add_argument("--kills", type=int, default=100, metavar="N")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--write", action="store_true", help=f"write the figures to {DOCUMENT.name}")
    told = arguments.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        house = House(Path(folder))
        try:
            work = kill_while_working(house, told.kills, told.seed)
        except BaseException:
            house.give_up()
            raise
        found = count(house, work)
    report = told_of(work, found)
    for words in found.words:
        print(f"! {words}")
    if told.write:
        write_between(DOCUMENT, "figures: written by `launch.py bench faults --write`", report.text())
    return report.end()


# ---- the studio that is killed ----------------------------------------------------------------------------------------


class House:
    """A server process on its own data folder, started again after each kill."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data, self.temporary = folder, folder / "data", folder / "tmp"
        self.temporary.mkdir()
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.seen: set[tuple[int, float]] = set()  # (pid, when it began) of every process there ever was
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Seconds until the page answers."""
        began = time.perf_counter()
        command = [sys.executable, "launch.py", "--skip-install", "--port", str(self.port), "--cpu"]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--data-dir", str(self.data)],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env={**os.environ, "TMPDIR": str(self.temporary), "HF_HUB_OFFLINE": "1"},
            )
        fetch(f"{self.address}/page/status")
        return time.perf_counter() - began

    def processes(self) -> list[psutil.Process]:
        """The server and all it started, noted for later."""
        assert self.process is not None
        with contextlib.suppress(psutil.Error):
            server = psutil.Process(self.process.pid)
            found = [server, *server.children(recursive=True)]
            self.seen |= {(each.pid, each.create_time()) for each in found}
            return found
        return []

    def find(self, kind: str) -> psutil.Process | None:
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if VICTIMS[kind][0] in process.cmdline():
                    return process
        return None

    def orphans(self) -> list[str]:
        """Processes of servers that are gone, as they stand now."""
        mine, found = {each.pid for each in self.processes()}, []
        for pid, began in self.seen:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                if (
                    process.create_time() == began
                    and pid not in mine
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(f"{pid} {' '.join(process.cmdline())[:100]}")
        return found

    def give_up(self) -> None:
        """End all of it and show what the server said last."""
        for process in reversed(self.processes()):
            with contextlib.suppress(psutil.Error):
                process.kill()
        print((self.folder / "server.log").read_text(errors="replace")[-4000:], file=sys.stderr)

    def stop(self) -> bool:
        """Ask the server to end; whether it did."""
        assert self.process is not None
        self.processes()
        self.process.terminate()
        try:
            self.process.wait(60)
            return True
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False


# ---- people at work ---------------------------------------------------------------------------------------------------


@dataclass
class Work:
    """What was acknowledged, and what was killed."""

    jobs: set[str] = field(default_factory=set)
    uploads: dict[str, str] = field(default_factory=dict)  # asset id → sha256
    killed: Counter[str] = field(default_factory=Counter)
    back: dict[str, list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )  # seconds until it works again
    ended: Counter[str] = field(default_factory=Counter)
    stuck: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # for another reason than a kill
    not_back: list[str] = field(default_factory=list)  # put back and not made
    assets: set[str] = field(default_factory=set)  # of jobs that told of them
    orphans: list[str] = field(default_factory=list)
    has_stopped: bool = True


def kill_while_working(house: House, kills: int, seed: int) -> Work:
    work, over, draw = Work(), threading.Event(), Random(seed)
    work.back["first start"].append(house.start())
    people = [threading.Thread(target=person, args=(house, work, seed * 100 + n, over)) for n in range(3)]
    for one in people:
        one.start()
    try:
        for number in range(kills):
            print(f"\r{number + 1} of {kills}", end="", file=sys.stderr, flush=True)
            kill_one(house, work, draw)
        print(file=sys.stderr)
    finally:
        over.set()
        for one in people:
            one.join()
    run_out(house, work)
    work.has_stopped = house.stop()
    work.orphans += settled(house)
    return work


def kill_one(house: House, work: Work, draw: Random) -> None:
    """End one of them at a moment of its own, and see that what must come back does."""
    kind = draw.choices(list(VICTIMS), [often for _, often in VICTIMS.values()])[0]
    moment = draw.uniform(0.0, 1.5)
    threading.Event().wait(moment)
    victim = wait_for(lambda: house.find(kind), 30)
    if victim is None:  # no file was brought just now: the server is always there
        kind, victim = "server", house.find("server")
    assert victim is not None, "the server is gone by itself"
    with contextlib.suppress(psutil.NoSuchProcess):
        victim.send_signal(signal.SIGKILL)
    work.killed[kind] += 1
    if kind == "server":
        assert house.process is not None
        house.process.wait()
        work.orphans += settled(house)
        work.back["server"].append(house.start())
    elif kind == "worker":
        began = time.perf_counter()
        if wait_for(lambda: (found := house.find("worker")) and found.pid != victim.pid, 60):
            work.back["worker"].append(time.perf_counter() - began)


def settled(house: House) -> list[str]:
    """Orphans that are still there after ten seconds."""
    wait_for(lambda: not house.orphans(), 10)
    return house.orphans()


def wait_for(look: Any, seconds: float) -> Any:
    """What `look` finds, as soon as it finds something; None after that long."""
    until = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < until:
        threading.Event().wait(0.05)
    return found or None


def person(house: House, work: Work, seed: int, over: threading.Event) -> None:
    """Submits and brings things until told to stop; a server that is away is tried again."""
    draw = Random(seed)
    with httpx.Client(base_url=house.address, timeout=60) as client:
        while not over.wait(draw.uniform(0.02, 0.3)):
            with contextlib.suppress(httpx.HTTPError, ValueError, KeyError):
                if draw.random() < 0.5:
                    bring(client, work, draw)
                elif len(client.get("/api/jobs?active=true&limit=50").json()["jobs"]) < AT_MOST_WAITING:
                    answer = client.post("/api/jobs", json=request(draw))
                    if answer.status_code == 202:
                        work.jobs.add(answer.json()["id"])


def request(draw: Random) -> dict[str, Any]:
    seed = draw.randrange(1 << 30)
    size: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 2}
    kinds: list[dict[str, Any]] = [
        {"modality": "audio", "model": "espeak", "prompt": f"Number {seed}.", "format": draw.choice(["wav", "mp3"])},
        {"modality": "text", "model": "starter/text", "prompt": f"Write a note about {seed}", "max_tokens": 24},
        {"modality": "image", "model": "starter/image", "prompt": "a red house", "num_images": 2, **size},
        {"modality": "image", "model": "starter/illustrator", "prompt": "a green hill", "width": 128, "height": 128},
        {"modality": "video", "model": "starter/illustrator", "prompt": "a lake", "seconds": 0.5, "width": 128, "height": 96},
    ]  # fmt: skip
    return {**draw.choice(kinds), "seed": seed}


def bring(client: httpx.Client, work: Work, draw: Random) -> None:
    """A file nobody else has."""
    kind, out = draw.choice(["png", "wav", "txt", "jpg"]), io.BytesIO()
    if kind == "wav":
        with wave.open(out, "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(draw.randbytes(8000))
    elif kind == "txt":
        out.write(f"note {draw.random()}\n".encode() * draw.randrange(1, 3000))
    else:
        Image.frombytes("RGB", (60, 60), draw.randbytes(60 * 60 * 3)).save(
            out, {"png": "PNG", "jpg": "JPEG"}[kind]
        )
    data = out.getvalue()
    answer = client.post("/api/uploads", files={"file": (f"brought.{kind}", data)})
    if answer.status_code == 201:
        work.uploads[answer.json()["id"]] = hashlib.sha256(data).hexdigest()


def run_out(house: House, work: Work) -> None:
    """Wait until no job is waiting or running, then ask how each that was acknowledged ended."""
    with httpx.Client(base_url=house.address, timeout=60) as client:

        def active() -> list[Any]:
            found: list[Any] = client.get("/api/jobs?active=true&limit=500").json()["jobs"]
            return found

        wait_for(lambda: not active(), RUN_OUT_SECONDS)
        lost = [job["id"] for job in client.get("/api/queue").json()["interrupted"]][:PUT_BACK]
        for job_id in lost:
            client.post(f"/api/jobs/{job_id}/put-back").raise_for_status()
        wait_for(lambda: not active(), RUN_OUT_SECONDS)
        work.stuck = [job["id"] for job in active()]
        for job_id in sorted(work.jobs):
            note_end(client.get(f"/api/jobs/{job_id}"), job_id, work, is_back=job_id in lost)


def note_end(answer: httpx.Response, job_id: str, work: Work, *, is_back: bool) -> None:
    if answer.status_code != 200:
        work.unknown.append(job_id)
        return
    job = answer.json()
    work.ended[job["status"]] += 1
    work.assets.update(job["assets"])
    if is_back and job["status"] != "completed":
        told = job["problem"] or {}
        work.not_back.append(f"{job_id}: {job['status']} {told.get('message', '')} {told.get('detail', '')}")
    elif job["problem"] and job["problem"]["kind"] != WorkerLost.kind:
        work.failed.append(f"{job_id}: {job['problem']['message']}")


# ---- counting ---------------------------------------------------------------------------------------------------------


@dataclass
class Found:
    """What is wrong, each in words."""

    lost: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    rows: int = 0

    @property
    def words(self) -> list[str]:
        return [*(f"lost: {each}" for each in self.lost), *(f"left: {each}" for each in self.left)]


def count(house: House, work: Work) -> Found:
    """Hold rows against files against what was acknowledged, and look for what nobody needs an hour later."""
    found = Found()
    studio = Studio(Settings(data_dir=house.data, device="cpu"), clock=lambda: time.time() + HOUR + 60)
    try:
        studio.housekeeping.sweep()
        studio.housekeeping.adopt()
        assets = {asset.id: asset for asset in everything(studio)}
    finally:
        studio.close()
    found.rows = len(assets)
    for asset in assets.values():
        if asset.missing:
            found.lost.append(f"the file of {asset.id}: {asset.file}")
        elif hashlib.sha256(studio.library.read(asset)).hexdigest() != asset.sha256:
            found.lost.append(f"bytes of {asset.id}: {asset.file}")
    for asset_id, digest in work.uploads.items():
        if asset_id not in assets or assets[asset_id].sha256 != digest:
            found.lost.append(f"what was brought as {asset_id}")
    found.lost += [f"what a job made: {each}" for each in sorted(work.assets - assets.keys())]
    found.lost += [f"the job {each}" for each in work.unknown]
    found.left = leftovers(house, {asset.file for asset in assets.values()}, assets.keys())
    return found


def everything(studio: Studio) -> list[Any]:
    found: list[Any] = []
    while page := studio.library.search(limit=500, offset=len(found)):
        found += page
    return found


def leftovers(house: House, files: set[str], ids: Any) -> list[str]:
    """Files and folders that belong to nothing: in the library beside what is listed, and wherever temporary things go."""
    library = house.data / "library"
    left = [str(path.relative_to(house.folder)) for path in house.temporary.iterdir()]
    for pattern in ("tmp/*", "spool/*"):
        left += [str(path.relative_to(house.folder)) for path in house.data.glob(pattern)]
    for path in library.rglob("*"):
        if path.is_dir():
            if path.name.startswith("upload-"):
                left.append(str(path.relative_to(house.folder)))
            continue
        inside = path.relative_to(library).as_posix()
        owned = inside in files or any(each in path.name for each in ids) or is_note(path, library, files)
        if not owned:
            left.append(str(path.relative_to(house.folder)))
    for path in house.data.glob(".*"):
        if path.name != ".lock":
            left.append(path.name)
    return left


def is_note(path: Path, library: Path, files: set[str]) -> bool:
    """Whether it is a companion of a listed file: its name with something before or behind."""
    folder = path.parent.relative_to(library).as_posix()
    return any(file.startswith(f"{folder}/") and Path(file).name in path.name for file in files)


def told_of(work: Work, found: Found) -> Report:
    kills = ", ".join(f"{kind} {n}×" for kind, n in sorted(work.killed.items()))
    report = Report(f"{sum(work.killed.values())} kills ({kills})")
    first = work.back["first start"]
    for kind, words in BACK.items():
        if work.back[kind]:
            report.figure(words, work.back[kind], None if kind == "first start" else first)
    for name, wrong in {
        "assets, files or jobs lost": found.lost,
        "jobs stuck": work.stuck,
        "jobs failed for another reason than a kill": work.failed,
        "jobs put back and not made then": work.not_back,
        "orphan processes": work.orphans,
        "left lying about an hour later": found.left,
    }.items():
        report.bar(name, "0", str(len(wrong)), not wrong)
    report.bar("the server stops when asked", "yes", "yes" if work.has_stopped else "no", work.has_stopped)
    ends = ", ".join(f"{n} {status}" for status, n in sorted(work.ended.items()))
    report.say(
        f"Meanwhile {len(work.jobs)} jobs were acknowledged ({ends}) and {len(work.uploads)} files brought; "
        f"{found.rows} assets."
    )
    for name, wrong in {"orphan": work.orphans, "failed": work.failed, "not made": work.not_back}.items():
        for each in wrong:
            report.say(f"{name}: {each}")
    return report


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
