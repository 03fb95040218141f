"""`launch.py doctor`: what this machine has, which models fit, what is wrong and how to mend it.

Asks no network. torch is asked in a process of its own, since the server's side never imports it. Before anything is installed
it tells what the standard library can see. Exit code 1 when something needs mending.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from pipelines.errors import GB, StudioError, readable_bytes
from pipelines.words.programs import ffmpeg
from studio import __version__
from studio.flags import ROOT
from studio.folder.inspection import inspect_database

if TYPE_CHECKING:
    from studio.settings import Settings

ROOM = 10 * GB  # what an installation with its caches takes
SET_UP = "python3 launch.py installs what is missing; or: pip install -r requirements.txt"
ASK_TORCH = """
import json, sys
from pipelines.runtime.device import TorchDevice
device = TorchDevice(*json.loads(sys.argv[1]))
import torch
print(json.dumps({"torch": torch.__version__, "name": device.name, "title": device.describe(),
    "total": device.total_bytes(), "budget": device.budget_bytes(), "most": device.most_bytes(),
    "dtype": str(device.dtype()).removeprefix("torch.")}))
"""


class Device(TypedDict, total=False):
    """What torch says of the device, or only the error."""

    error: str
    torch: str
    name: str
    title: str
    total: int
    budget: int
    most: int
    dtype: str


@dataclass(frozen=True)
class Finding:
    """One line of the report. mend: what to do about it; "" when all is well."""

    name: str
    text: str
    mend: str = ""


def main(told: argparse.Namespace) -> int:
    findings = [*machine(), *packages(), *(installed(told) if is_installed() else before_set_up())]
    if told.json:
        rows = [asdict(finding) for finding in findings]
        print(json.dumps({"version": __version__, "findings": rows}, indent=1, ensure_ascii=False))
    else:
        show(findings)
    return 1 if any(finding.mend for finding in findings) else 0


def show(findings: list[Finding]) -> None:
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f"{'!' if finding.mend else '✓'} {finding.name:{width}}  {finding.text}")
        if finding.mend:
            print(f"  {'':{width}}  → {finding.mend}")
    wrong = sum(bool(finding.mend) for finding in findings)
    print("\nAll is well." if not wrong else f"\n{wrong} to mend.")


def is_installed() -> bool:
    """Whether the full report can be made here: its own libraries are there."""
    return all(util.find_spec(name) for name in ("pydantic", "huggingface_hub", "imageio_ffmpeg", "yaml"))


def installed(told: argparse.Namespace) -> Iterator[Finding]:
    """What can be told once the packages are there."""
    from studio.settings import Settings

    settings = Settings.from_args(told)
    yield from folders(settings)
    yield from tools()
    yield reading()
    yield port(settings.port)
    device = ask_torch(settings)
    yield describe_device(device)
    yield from models(settings, device)


def before_set_up() -> Iterator[Finding]:
    """What a fresh copy of the project can tell with the standard library."""
    free = shutil.disk_usage(ROOT).free
    mend = "" if free > ROOM else f"Free some space: an installation takes up to {readable_bytes(ROOM)}."
    yield Finding("Disk", f"{readable_bytes(free)} free in {ROOT}", mend)
    yield Finding("GPU", card() or "none seen; models will run on the CPU")
    for program, package in (("ffmpeg", "imageio-ffmpeg"), ("espeak-ng", "espeakng-loader")):
        where = shutil.which(program)
        yield Finding(program, f"comes with {package}" + (f"; there is also {where}" if where else ""))


def card() -> str:
    """The name of a graphics card its own tools tell of; "" when there is none."""
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return "Apple's own"
    for command in (["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"], ["rocminfo"]):
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if answer.returncode == 0:
            return answer.stdout.splitlines()[0].strip() if command[0] == "nvidia-smi" else "AMD (ROCm)"
    return ""


def machine() -> Iterator[Finding]:
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Finding("Python", text, "" if sys.version_info >= (3, 11) else "Install Python 3.11 or newer.")
    try:
        import psutil

        memory = psutil.virtual_memory()
        room = f", {readable_bytes(memory.total)} of memory, {readable_bytes(memory.available)} free"
    except ModuleNotFoundError:
        room = ""
    yield Finding("Machine", f"{os.cpu_count()} cores{room}")


def packages() -> Iterator[Finding]:
    """Installed versions against requirements.txt."""
    lines = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    wanted = [line for line in lines if line]
    wrong = [problem for line in wanted if (problem := wrong_package(line))]
    if len(wrong) == len(wanted):
        yield Finding("Packages", f"none of {len(wanted)} is installed yet", SET_UP)
    else:
        yield Finding("Packages", "; ".join(wrong) or f"{len(wanted)} as required", SET_UP if wrong else "")


def wrong_package(line: str) -> str:
    """What is wrong with the package a line of requirements.txt names; "" when it is there as required."""
    name = re.match(r"[\w.-]+", line)
    assert name, f"requirements.txt has a line without a name: {line}"
    try:
        version: str | None = metadata.version(name.group())
    except metadata.PackageNotFoundError:
        return f"{name.group()} is missing"
    except KeyError:  # Python 3.14's word for what older ones call None
        version = None
    if version is None:  # a set-up killed while pip wrote
        return f"{name.group()} is half installed"
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:
        return ""
    specifier = Requirement(line).specifier
    fits = specifier.contains(version.split("+")[0], prereleases=True)
    return "" if fits else f"{name.group()} is {version}, not {specifier}"


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
    yield Finding("Data", f"{data}, {readable_bytes(free)} free", mend)
    try:
        step = inspect_database(data / "studio.db")
        yield Finding("Database", f"at step {step}" if step else "none yet; the first start makes it")
    except StudioError as error:
        yield Finding("Database", f"{error.message} {error.detail}", error.hint)
    from huggingface_hub import constants

    hub = Path(constants.HF_HUB_CACHE)
    word = "offline" if settings.offline or constants.HF_HUB_OFFLINE else "online when you download"
    yield Finding("Hub", f"{hub}{'' if hub.exists() else ' (nothing there yet)'}; {word}")


def tools() -> Iterator[Finding]:
    try:
        answer = subprocess.run([ffmpeg() or "ffmpeg", "-version"], capture_output=True, text=True)
        found = re.search(r"ffmpeg version (\S+)", answer.stdout)
        yield Finding(
            "ffmpeg",
            found.group(1) if found else "does not answer",
            "" if found else "Reinstall imageio-ffmpeg.",
        )
    except OSError as error:
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


def reading() -> Finding:
    """What keeps in the process that reads the files people bring. A fence that this system lacks is told, and no fault."""
    from studio.library.errors import LibraryError
    from studio.library.reader import Reader

    reader = Reader()
    try:
        fences = reader.fences()
    except LibraryError as error:
        return Finding(
            "File reader", f"{error.message} {error.detail}", "Install the packages again: delete .venv."
        )
    finally:
        reader.close()
    without = f"; this system offers nothing for: {', '.join(fences.missing)}" if fences.missing else ""
    return Finding("File reader", f"in a process of its own, {', '.join(fences.held)}{without}")


def port(number: int) -> Finding:
    with socket.socket() as probe:
        probe.settimeout(1)
        taken = probe.connect_ex(("127.0.0.1", number)) == 0
    return Finding("Port", f"{number} is {'in use (by this studio, if it is running)' if taken else 'free'}")


def ask_torch(settings: Settings) -> Device:
    told = [settings.device, settings.vram_budget_bytes, settings.reserve_vram_bytes]
    command = [sys.executable, "-c", ASK_TORCH, json.dumps(told)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if answer.returncode:
        return {"error": (answer.stderr.strip().splitlines() or ["torch could not be imported"])[-1]}
    found: Device = json.loads(answer.stdout.splitlines()[-1])
    return found


def describe_device(device: Device) -> Finding:
    if "error" in device:
        return Finding(
            "Device", device["error"], "Choose another with --device, or install the torch build for it."
        )
    budget, total = readable_bytes(device["budget"]), readable_bytes(device["total"])
    text = f"{device['title']} ({device['name']}), {budget} of {total} for models"
    mend = ""
    if device["name"] == "cpu" and shutil.which("nvidia-smi"):
        mend = "There is an NVIDIA card, but this torch cannot use it: delete .venv and start again, or set TORCH_COMMAND."
    return Finding("Device", f"{text}, {device['dtype']}, torch {device['torch']}", mend)


def models(settings: Settings, device: Device) -> Iterator[Finding]:
    """The models that are here and whether they fit; what could be downloaded and would fit."""
    budget = device.get("most", 0)
    catalog = settings.catalog()
    specs = catalog.all()
    yield from (Finding("Models", note, "python3 launch.py models list") for note in catalog.notes())
    for spec in specs:
        if spec.state == "ready":
            fits = spec.memory_bytes <= budget or "error" in device
            text = (
                f"{spec.id} needs {readable_bytes(spec.memory_bytes)}{'' if fits else ', more than there is'}"
            )
            yield Finding("Model", text)
        elif spec.state == "broken":
            yield Finding(
                "Model",
                f"{spec.id}: {spec.problem}",
                spec.remedy or f"Mend or remove it: {spec.place}",
            )
    fitting = [spec.title for spec in specs if spec.state == "remote" and spec.memory_bytes <= budget]
    if fitting:
        yield Finding("Would fit", ", ".join(fitting))
