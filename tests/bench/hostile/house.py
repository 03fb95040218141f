"""A real server in a process of its own with two users, one who owns things and one who tries; every answer is judged.

Alice's things are marked: words, a colour and a length that nobody else uses. They must never appear in an answer to Mallory.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from PIL import Image

from tests.bench.hostile import films, pictures
from tests.bench.startup import fetch, free_port

ROOT = Path(__file__).resolve().parents[3]
ALICE, MALLORY = ("alice", "wonderland-7291"), ("mallory", "let-me-in-4408")
WORDS = "the-white-rabbit-is-late-5d1c"
COLOUR = (231, 17, 203)
FILM_SIZE, FILM_SECONDS = (222, 118), 1.76
MOST_BODY = 64 << 20  # of an answer; more is counted, not kept


@dataclass(frozen=True)
class Answer:
    """status: 0 when the connection ended without one. seconds: until the whole answer was here."""

    status: int
    seconds: float
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    trouble: str = ""
    is_open: bool = False

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return {}


class House:
    """The server and both users. patience: seconds within which every answer must come."""

    def __init__(self, folder: Path, patience: float) -> None:
        self.folder, self.patience, self.answers = folder, patience, list[tuple[str, Answer]]()
        self.data = folder / "data"
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "launch.py", "--skip-install", "--port", str(self.port), "--cpu"]
        command += [
            "--data-dir",
            str(self.data),
            "--auth",
            ",".join(":".join(who) for who in (ALICE, MALLORY)),
        ]
        self._log = (folder / "server.log").open("wb")
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=self._log, stderr=self._log, env={**os.environ, "HF_HUB_OFFLINE": "1"}
        )
        self._wait_for_page()
        self.alice, self.mallory = self._client(*ALICE), self._client(*MALLORY)
        self.stranger = httpx.Client(base_url=self.address)
        self._wait_for_worker()

    def close(self) -> None:
        self.alice.close()
        self.mallory.close()
        self.stranger.close()
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()

    # ---- asking -------------------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, *, who: str = "mallory", note: str = "", **options: Any) -> Answer:
        """One request, answered or given up after a while beyond the patience; kept to be judged unless Alice asked.

        The time begins when the last byte was sent, and ends with the answer; of a stream of events, with its head.
        """
        client: httpx.Client = getattr(self, who)
        clock = Clock()
        if isinstance(options.get("content"), Iterator):
            options["content"] = clock.during(options["content"])
        status, body, headers, trouble, is_stream = 0, bytearray(), {}, "", False
        try:
            with client.stream(method, path, timeout=self.patience * 2, **options) as reply:
                status, headers = reply.status_code, dict(reply.headers)
                is_stream = headers.get("content-type", "").startswith("text/event-stream")
                seconds = clock.seconds()
                for block in reply.iter_raw():
                    body += block[: max(0, MOST_BODY - len(body))]
                    if is_stream or clock.seconds() > self.patience * 2:
                        break
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            trouble = "" if is_stream else f"{type(error).__name__}: {error}"[:120]
        seconds = seconds if is_stream else clock.seconds()
        answer = Answer(status, seconds, bytes(body), headers, trouble)
        self.keep(f"{method} {path[:80]} {note}".strip(), answer, who)
        return answer

    def raw(self, data: bytes, note: str, *, login: bool = False, wait: float = 0) -> Answer:
        """These bytes to the port, as no library would send them; what came back until it closed or said nothing more.

        wait: seconds to listen; the patience when 0.
        """
        data = data.replace(b"$LOGIN", self.login_line()) if login else data
        started, got, is_open = time.perf_counter(), bytearray(), False
        try:
            with socket.create_connection(("127.0.0.1", self.port), self.patience) as line:
                line.sendall(data)
                line.settimeout(wait or self.patience)
                while len(got) < MOST_BODY and (block := line.recv(1 << 16)):
                    got += block
                    if b"\r\n\r\n" in got:  # a kept-alive connection has nothing more to say after the answer
                        line.settimeout(0.3)
        except TimeoutError:
            is_open = True
        except OSError as error:
            return self.keep(
                note, Answer(0, time.perf_counter() - started, bytes(got), trouble=str(error)[:80])
            )
        head = got.split(b" ", 2)
        status = int(head[1]) if got.startswith(b"HTTP/1.") and len(head) > 1 and head[1].isdigit() else 0
        return self.keep(
            note, Answer(status, time.perf_counter() - started, bytes(got), is_open=is_open and not status)
        )

    def upload(self, name: str, data: bytes, *, who: str = "mallory") -> Answer:
        return self.ask("POST", "/api/uploads", who=who, note=name, files={"file": (name, data)})

    def keep(self, note: str, answer: Answer, who: str = "mallory") -> Answer:
        if who != "alice":
            self.answers.append((note, answer))
        return answer

    def login_line(self) -> bytes:
        """The header that says who Mallory is."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.mallory.cookies.items())
        return f"Cookie: {cookies}".encode() if cookies else f"Authorization: {basic(*MALLORY)}".encode()

    def is_alive(self) -> bool:
        """Whether somebody else's ordinary request is answered in time."""
        answer = self.ask("GET", "/page/status", who="alice")
        return answer.status == 200 and answer.seconds <= self.patience

    # ---- what is in it --------------------------------------------------------------------------------------------------

    def furnish(self) -> Things:
        """Alice's things, marked; a job of hers and a file in Gradio's own store among them."""
        colour = "".join(f"{part:02x}" for part in COLOUR)
        film = films.canary_film(f"0x{colour}", f"{FILM_SIZE[0]}x{FILM_SIZE[1]}", FILM_SECONDS)
        out = io.BytesIO()
        Image.new("RGB", (90, 90), COLOUR).save(out, "PNG")
        words = {"parameters": f"{WORDS}\nSteps: 4, Seed: 7"}
        picture = pictures.png(pictures.text("parameters", words["parameters"]))
        ids = []
        for name, data in (
            ("secret.txt", WORDS.encode()), ("film.mp4", film),
            ("plain.png", out.getvalue()), ("told.png", picture),
        ):  # fmt: skip
            answer = self.upload(name, data, who="alice")
            assert answer.status == 201, (name, answer.status, answer.body[:300], answer.trouble)
            ids.append(str(answer.json()["id"]))
        body = {"modality": "audio", "model": "espeak", "prompt": WORDS}
        job = self.ask("POST", "/api/jobs", who="alice", json=body)
        assert job.status == 202, job.body[:300]
        stored = self.ask(
            "POST", "/gradio_api/upload", who="alice", files={"files": ("s.txt", WORDS.encode())}
        )
        found = stored.json()
        gradio = str(found[0]) if isinstance(found, list) and found else ""
        library = self.data / "library"
        (place,) = (library / "video" if library.exists() else self.data).rglob("*.mp4")
        return Things(ids, str(job.json()["id"]), gradio, place)

    # ---- what it weighs -----------------------------------------------------------------------------------------------

    def forget_peak(self) -> None:
        """Let the peak of the server's memory begin anew."""
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def resident(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def peak(self) -> int:
        """Most bytes resident since `forget_peak`; where the system does not tell, what is resident now."""
        try:
            lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
            return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
        except (OSError, StopIteration):
            return self.resident()

    def children_peak(self) -> int:
        """Most bytes one process beside the server ever had: the worker, readers, ffmpeg while it lives."""
        most = 0
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(OSError, psutil.Error, StopIteration):
                lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
                most = max(most, next(int(x.split()[1]) << 10 for x in lines if x.startswith("VmHWM:")))
        return most

    def _client(self, user: str, password: str) -> httpx.Client:
        """Signed in as the page does it, or by Basic where that is refused."""
        client = httpx.Client(base_url=self.address, follow_redirects=False)
        answer = client.post("/login", data={"username": user, "password": password}, timeout=60)
        if not client.cookies or answer.status_code >= 400:
            client.headers["Authorization"] = basic(user, password)
        return client

    def _wait_for_page(self) -> None:
        while True:
            try:
                fetch(f"{self.address}/login", timeout=2)
                return
            except OSError:
                said = (self.folder / "server.log").read_text(errors="replace")
                assert self.process.poll() is None, f"the server did not start:\n{said[-2000:]}"

    def _wait_for_worker(self) -> None:
        deadline = time.monotonic() + 300
        while json.loads(self.alice.get("/api/memory", timeout=60).content)["worker"] != "ready":
            assert time.monotonic() < deadline, "the worker did not become ready"
            time.sleep(0.2)


@dataclass(frozen=True)
class Things:
    """What Alice has. assets: text, film, picture, picture with a recipe. gradio: a path in Gradio's own store."""

    assets: list[str]
    job: str
    gradio: str
    film: Path


def leaked(answer: Answer) -> str:
    """What of Alice's an answer holds; "" when nothing."""
    if WORDS.encode() in answer.body:
        return "her words"
    facts = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else {}
    facts = facts.get("facts", {}) if isinstance(facts, dict) else {}
    if isinstance(facts, dict) and (
        (facts.get("width"), facts.get("height")) == FILM_SIZE or facts.get("seconds") == FILM_SECONDS
    ):
        return "the size or length of her film"
    if answer.headers.get("content-type", "").startswith("image/") and shows_colour(answer.body):
        return "her film's or picture's colour"
    return ""


def shows_colour(picture: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(picture)) as opened:
            if opened.width * opened.height > 1_000_000:  # her own bomb coming back; thumbnails are small
                return False
            small = opened.convert("RGB").resize((16, 16))
    except (OSError, ValueError, Image.DecompressionBombError):
        return False
    near = [all(abs(a - b) < 24 for a, b in zip(pixel, COLOUR, strict=True)) for pixel in small.getdata()]
    return sum(near) > len(near) // 10


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Clock:
    """Seconds since the start, or since the last block of a long body was taken."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def during(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            yield block
            self._since = time.perf_counter()

    def seconds(self) -> float:
        return time.perf_counter() - self._since


@contextlib.contextmanager
def opened(folder: Path, patience: float) -> Iterator[House]:
    house = House(folder, patience)
    try:
        yield house
    finally:
        house.close()
