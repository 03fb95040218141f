"""How soon the page answers and the worker is ready, and what both weigh, beside importing Gradio and torch alone.

`python3 launch.py bench startup [--runs N]`
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from pathlib import Path

import psutil

from tests.bench.report import HEADER, in_turn, machine, parser, row

ROOT = Path(__file__).resolve().parents[2]
BARE_APP = """
import sys, os
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
import gradio as gr, uvicorn
from fastapi import FastAPI
with gr.Blocks() as page:
    box = gr.Textbox(); button = gr.Button(); button.click(lambda text: text, box, box)
app = gr.mount_gradio_app(FastAPI(), page, path="/")
uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""


def main(argv: list[str]) -> int:
    runs = parser(__doc__ or "").parse_args(argv).runs
    figures: dict[str, list[float]] = defaultdict(list)
    in_turn(
        runs,
        lambda: figures["gradio"].append(import_seconds("import gradio")),
        lambda: figures["torch"].append(import_seconds("import torch, diffusers")),
        lambda: bare_app(figures),
        lambda: studio(figures),
    )
    print(machine(), f"; {runs} runs each, in turn\n")
    print(HEADER)
    print(row("import gradio (baseline)", figures["gradio"]))
    print(row("page answered", figures["page"], figures["gradio"]))
    print(row("bare Gradio app answered", figures["bare page"], figures["gradio"]))
    print(row("import torch, diffusers (baseline)", figures["torch"]))
    print(row("worker ready", figures["ready"], figures["torch"]))
    print(row("bare Gradio app, resident (baseline)", figures["bare MiB"], unit="MiB"))
    print(row("server, resident", figures["server MiB"], figures["bare MiB"], unit="MiB"))
    print(row("worker, resident", figures["worker MiB"], unit="MiB"))
    return 0


def import_seconds(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True)
    return time.perf_counter() - started


def bare_app(figures: dict[str, list[float]]) -> None:
    port = free_port()
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", BARE_APP, str(port)], cwd=ROOT) as process:
        fetch(f"http://127.0.0.1:{port}/")
        figures["bare page"].append(time.perf_counter() - started)
        time.sleep(2)  # let what a first request loads settle
        figures["bare MiB"].append(psutil.Process(process.pid).memory_info().rss / 2**20)
        process.terminate()


def studio(figures: dict[str, list[float]]) -> None:
    port = free_port()
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "launch.py", "--skip-install", "--port", str(port), "--data-dir", data]
        started = time.perf_counter()
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            fetch(f"http://127.0.0.1:{port}/")
            figures["page"].append(time.perf_counter() - started)
            while json.loads(fetch(f"http://127.0.0.1:{port}/api/memory"))["worker"] != "ready":
                time.sleep(0.02)
            figures["ready"].append(time.perf_counter() - started)
            time.sleep(2)
            server = psutil.Process(process.pid)
            figures["server MiB"].append(server.memory_info().rss / 2**20)
            workers = sum(child.memory_info().rss for child in server.children(recursive=True))
            figures["worker MiB"].append(workers / 2**20)
            process.terminate()


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
