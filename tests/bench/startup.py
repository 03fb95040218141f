"""How soon the page answers and what an idle studio costs, beside a bare Gradio app of the same run.

`python3 launch.py bench startup [--runs N] [--idle-seconds S] [--events N]`

Start: until the page answers, in seconds and in computing (which a busy machine changes less), and until the worker is ready.
Idle: the share of one core that a server takes nobody looks at, or several pages that do nothing, from its processor time. Event:
one click on the bare app, from sending it to its answer, with Gradio's queue and with the studio's. Fails when a bar is missed.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from tests.bench.report import Report, in_turn, parser

ROOT = Path(__file__).resolve().parents[2]
MOST_TIMES_BARE = 1.15
MOST_IDLE_PERCENT = 1.0
MOST_ADDED_MS = 10.0
OPEN_PAGES = 10
SETTLE_SECONDS = 3.0
"""What a first request loads, and what a start leaves to do, is over by then."""
BARE_APP = """
import os, sys
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
import gradio as gr, uvicorn
from fastapi import FastAPI
if sys.argv[2] == "waiting":
    from studio.page.waiting import Page as Blocks
else:
    from gradio import Blocks
with Blocks() as page:
    box = gr.Textbox(); button = gr.Button(); button.click(lambda text: text, box, box)
app = gr.mount_gradio_app(FastAPI(), page, path="/")
uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""

Figures = defaultdict[str, list[float]]


def main(argv: list[str]) -> int:
    arguments = parser(__doc__ or "")
    arguments.add_argument(
        "--idle-seconds", type=float, default=20, help="how long an idle server is watched"
    )
    arguments.add_argument("--events", type=int, default=50, help="clicks a run")
    told = arguments.parse_args(argv)
    figures: Figures = defaultdict(list)
    in_turn(
        told.runs,
        lambda: figures["torch"].append(import_seconds("import torch, diffusers")),
        lambda: bare_app("gradio", figures, told.idle_seconds, told.events),
        lambda: studio(figures, told.idle_seconds),
        lambda: bare_app("waiting", figures, 0, told.events),
    )
    report = Report(f"{told.runs} runs each, in turn")
    tell(report, figures)
    judge(report, figures)
    return report.end()


def tell(report: Report, figures: Figures) -> None:
    bare = {what: figures[f"gradio{what}"] for what in ("", " computing", " MiB", " idle", " event")}
    share = "% of a core"
    report.figure("bare Gradio app answered (baseline)", bare[""])
    report.figure("page answered", figures["page"], bare[""])
    report.figure("bare Gradio app answered, computing (baseline)", bare[" computing"])
    report.figure("page answered, computing", figures["page computing"], bare[" computing"])
    report.figure("import torch, diffusers (baseline)", figures["torch"])
    report.figure("worker ready", figures["ready"], figures["torch"])
    report.figure("bare Gradio app, resident (baseline)", bare[" MiB"], unit="MiB")
    report.figure("server, resident", figures["server MiB"], bare[" MiB"], unit="MiB")
    report.figure("worker, resident", figures["worker MiB"], unit="MiB")
    report.figure("bare Gradio app, idle (baseline)", bare[" idle"], unit=share)
    report.figure("server, idle", figures["server idle"], bare[" idle"], unit=share)
    report.figure(f"server, idle, {OPEN_PAGES} pages open", figures["open idle"], bare[" idle"], unit=share)
    report.figure("worker, idle", figures["worker idle"], unit=share)
    report.figure("event, Gradio's queue (baseline)", bare[" event"], unit="ms")
    report.figure("event, the studio's queue", figures["waiting event"], bare[" event"], unit="ms")


def judge(report: Report, figures: Figures) -> None:
    """Of each run the studio beside the bare app started just before it, and of these the middle one."""
    start = middle([ours / bare for ours, bare in pairs(figures, "page", "gradio")])
    idle = middle([server + worker for server, worker in pairs(figures, "server idle", "worker idle")])
    seen = middle([server + worker for server, worker in pairs(figures, "open idle", "worker idle")])
    added = middle([ours - bare for ours, bare in pairs(figures, "waiting event", "gradio event")])
    most, share, wait = MOST_TIMES_BARE, MOST_IDLE_PERCENT, MOST_ADDED_MS
    report.bar("page answered, times bare Gradio", f"≤ {most}×", f"{start:.2f}×", start <= most)
    report.bar("server and worker, idle", f"≤ {share:g} % of a core", f"{idle:.2f} %", idle <= share)
    report.bar(f"the same with {OPEN_PAGES} pages open", f"≤ {share:g} %", f"{seen:.2f} %", seen <= share)
    report.bar("added to an event", f"≤ {wait:g} ms", f"{added:+.1f} ms", added <= wait)


def pairs(figures: Figures, one: str, other: str) -> Iterator[tuple[float, float]]:
    return zip(figures[one], figures[other], strict=True)


def middle(values: list[float]) -> float:
    return statistics.median(values)


# ---- what is measured -----------------------------------------------------------------------------------------------------


def import_seconds(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True)
    return time.perf_counter() - started


def bare_app(queue: str, figures: Figures, idle_seconds: float, events: int) -> None:
    """queue: `gradio` or `waiting`."""
    port = free_port()
    with answering([sys.executable, "-c", BARE_APP, str(port), queue], port) as (process, seconds, computing):
        if queue == "gradio":
            figures["gradio"].append(seconds)
            figures["gradio computing"].append(computing)
            time.sleep(SETTLE_SECONDS)
            figures["gradio MiB"].append(process.memory_info().rss / 2**20)
            figures["gradio idle"] += idle([process], idle_seconds)
        clicks = [click_ms(port, str(number)) for number in range(events)]
        figures[f"{queue} event"].append(statistics.median(clicks))


def studio(figures: Figures, idle_seconds: float) -> None:
    port = free_port()
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "launch.py", "--skip-install", "--port", str(port), "--data-dir", data]
        started = time.perf_counter()
        with answering(command, port) as (server, seconds, computing):
            figures["page"].append(seconds)
            figures["page computing"].append(computing)
            while json.loads(fetch(f"http://127.0.0.1:{port}/api/memory"))["worker"] != "ready":
                time.sleep(0.02)
            figures["ready"].append(time.perf_counter() - started)
            time.sleep(SETTLE_SECONDS)
            workers = server.children(recursive=True)
            figures["server MiB"].append(server.memory_info().rss / 2**20)
            figures["worker MiB"].append(sum(child.memory_info().rss for child in workers) / 2**20)
            shares = idle([server, *workers], idle_seconds)
            figures["server idle"].append(shares[0])
            figures["worker idle"].append(sum(shares[1:]))
            with open_pages(port):
                figures["open idle"] += idle([server], idle_seconds)


@contextmanager
def answering(command: list[str], port: int) -> Iterator[tuple[psutil.Process, float, float]]:
    """That server until the end, how long it took to answer, and how much computing that was."""
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as running:
        try:
            fetch(f"http://127.0.0.1:{port}/")
            seconds, process = time.perf_counter() - started, psutil.Process(running.pid)
            yield process, seconds, computed(process)
        finally:
            running.terminate()


def idle(processes: list[psutil.Process], seconds: float) -> list[float]:
    """The share of a core, in percent, that each takes while nobody asks anything."""
    before, started = [computed(process) for process in processes], time.perf_counter()
    time.sleep(seconds)
    passed = time.perf_counter() - started
    return [
        100 * (computed(process) - then) / passed for process, then in zip(processes, before, strict=True)
    ]


@contextmanager
def open_pages(port: int) -> Iterator[None]:
    """The two lines that each open page holds, of so many pages that look and do nothing."""
    with ExitStack() as lines:
        for number in range(OPEN_PAGES):
            for path in ("page/events", f"gradio_api/heartbeat/page{number}"):
                lines.enter_context(urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=60))
        time.sleep(SETTLE_SECONDS)
        yield


def computed(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def click_ms(port: int, session: str) -> float:
    """Milliseconds from sending a click to its answer, asked as a browser asks."""
    address, headers = f"http://127.0.0.1:{port}/gradio_api/queue", {"content-type": "application/json"}
    body = json.dumps({"data": ["x"], "fn_index": 0, "session_hash": session}).encode()
    started = time.perf_counter()
    urllib.request.urlopen(urllib.request.Request(f"{address}/join", body, headers), timeout=60).read()
    with urllib.request.urlopen(f"{address}/data?session_hash={session}", timeout=60) as told:
        for line in told:
            if b'"process_completed"' in line:
                return (time.perf_counter() - started) * 1000
    raise RuntimeError("the event was not answered")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetch(url: str, timeout: float = 120) -> bytes:
    """The body once the address answers 200."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            with urllib.request.urlopen(url, timeout=timeout) as answer:
                body: bytes = answer.read()
                return body
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
