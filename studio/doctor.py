"""`launch.py doctor`: what this machine has, which models fit, what is wrong and how to mend it.

Asks no network. torch is asked in a process of its own, since the server's side never imports it. Exit code 1 when something
needs mending.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from studio.settings import ROOT, Settings

GB = 1e9
ASK_TORCH = """
import json, sys
from pipelines.device import TorchDevice
device = TorchDevice(*json.loads(sys.argv[1]))
import torch
print(json.dumps({"torch": torch.__version__, "name": device.name, "title": device.describe(),
    "total": device.total_bytes(), "budget": device.budget_bytes(), "most": device.most_bytes(),
    "dtype": str(device.dtype()).removeprefix("torch.")}))
"""


@dataclass(frozen=True)
class Finding:
    """One line of the report. mend: what to do about it; "" when all is well."""

    name: str
    text: str
    mend: str = ""


def main(settings: Settings) -> int:
    findings = [*machine(), *packages(), *folders(settings), *tools(), *port(settings)]
    device = ask_torch(settings)
    findings += [describe_device(device), *models(settings, device)]
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f"{'!' if finding.mend else '✓'} {finding.name:{width}}  {finding.text}")
        if finding.mend:
            print(f"  {'':{width}}  → {finding.mend}")
    wrong = sum(bool(finding.mend) for finding in findings)
    print("\nAll is well." if not wrong else f"\n{wrong} to mend.")
    return 1 if wrong else 0


def machine() -> Iterator[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    yield Finding("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield Finding(
        "Machine",
        f"{os.cpu_count()} cores, {memory.total / GB:.0f} GB of memory, {memory.available / GB:.0f} GB free",
    )


def packages() -> Iterator[Finding]:
    """Installed versions against requirements.txt."""
    from packaging.requirements import Requirement

    lines = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    wanted = [Requirement(line) for line in lines if line]
    wrong = []
    for requirement in wanted:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version.split("+")[0], prereleases=True):
            wrong.append(f"{requirement.name} is {version}, not {requirement.specifier}")
    mend = "python3 launch.py installs what is missing; or: pip install -r requirements.txt" if wrong else ""
    yield Finding("Packages", "; ".join(wrong) or f"{len(wanted)} as required", mend)


def folders(settings: Settings) -> Iterator[Finding]:
    data = settings.data_dir
    try:
        data.mkdir(parents=True, exist_ok=True)
        probe = data / ".doctor"
        probe.write_bytes(b"x")
        probe.unlink()
        mend = ""
    except OSError as error:
        yield Finding(
            "Data", f"{data} cannot be written: {error.strerror}", "Choose another place with --data-dir."
        )
        return
    free = shutil.disk_usage(data).free
    if free < 2 * GB:
        mend = "Free some space, or move the data with --data-dir: a long video needs room."
    yield Finding("Data", f"{data}, {free / GB:.0f} GB free", mend)
    from huggingface_hub import constants

    hub = Path(constants.HF_HUB_CACHE)
    word = "offline" if settings.offline or constants.HF_HUB_OFFLINE else "online when you download"
    yield Finding("Hub", f"{hub}{'' if hub.exists() else ' (nothing there yet)'}; {word}")


def tools() -> Iterator[Finding]:
    import imageio_ffmpeg

    try:
        answer = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-version"], capture_output=True, text=True)
        found = re.search(r"ffmpeg version (\S+)", answer.stdout)
        yield Finding(
            "ffmpeg",
            found.group(1) if found else "does not answer",
            "" if found else "Reinstall imageio-ffmpeg.",
        )
    except (OSError, RuntimeError) as error:
        yield Finding("ffmpeg", str(error).splitlines()[0], "pip install --force-reinstall imageio-ffmpeg")
    try:
        import espeakng_loader

        present = (
            Path(espeakng_loader.get_library_path()).exists()
            and Path(espeakng_loader.get_data_path()).exists()
        )
    except (ImportError, OSError):
        present = False
    mend = "" if present else "pip install --force-reinstall espeakng-loader"
    yield Finding("eSpeak NG", "present" if present else "is missing", mend)


def port(settings: Settings) -> Iterator[Finding]:
    with socket.socket() as probe:
        probe.settimeout(1)
        taken = probe.connect_ex(("127.0.0.1", settings.port)) == 0
    text = (
        f"{settings.port} is in use (by this studio, if it is running)"
        if taken
        else f"{settings.port} is free"
    )
    yield Finding("Port", text)


def ask_torch(settings: Settings) -> dict[str, Any]:
    """What torch says of the device, or {"error": …}."""
    told = [settings.device, settings.vram_budget_bytes, settings.reserve_vram_bytes]
    command = [sys.executable, "-c", ASK_TORCH, json.dumps(told)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if answer.returncode:
        return {"error": (answer.stderr.strip().splitlines() or ["torch could not be imported"])[-1]}
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def describe_device(device: dict[str, Any]) -> Finding:
    if "error" in device:
        return Finding(
            "Device", device["error"], "Choose another with --device, or install the torch build for it."
        )
    text = f"{device['title']} ({device['name']}), {device['budget'] / GB:.1f} of {device['total'] / GB:.1f} GB for models"
    mend = ""
    if device["name"] == "cpu" and shutil.which("nvidia-smi"):
        mend = "There is an NVIDIA card, but this torch cannot use it: delete .venv and start again, or set TORCH_COMMAND."
    return Finding("Device", f"{text}, {device['dtype']}, torch {device['torch']}", mend)


def models(settings: Settings, device: dict[str, Any]) -> Iterator[Finding]:
    """The models that are here and whether they fit; what could be downloaded and would fit."""
    budget = device.get("most", 0)
    specs = settings.catalog().all()
    for spec in specs:
        if spec.state == "ready":
            fits = spec.memory_bytes <= budget or "error" in device
            text = f"{spec.id} needs {spec.memory_bytes / GB:.1f} GB{'' if fits else ', more than there is'}"
            yield Finding("Model", text)
        elif spec.state == "broken":
            yield Finding(
                "Model",
                f"{spec.id}: {spec.problem}",
                "Mend or remove its folder: python3 launch.py models list",
            )
    fitting = [spec.title for spec in specs if spec.state == "remote" and spec.memory_bytes <= budget]
    if fitting:
        yield Finding("Would fit", ", ".join(fitting))
