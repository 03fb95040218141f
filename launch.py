#!/usr/bin/env python3
"""Start Atelier. Prepares `.venv` on the first run, then hands over to `studio.cli` inside it.

Uses the standard library alone, since it runs before anything is installed. Questions (`--help`, `--version`, `doctor`) are
answered without installing anything. What pip says goes to `.venv/setup.log`. `--skip-install` uses the Python that runs this
file as it is. TORCH_COMMAND replaces the torch installation, e.g. TORCH_COMMAND="pip install torch==2.13.0+cu126
--index-url https://download.pytorch.org/whl/cu126".
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "atelier-ready.json"  # written last, so an interrupted set-up is noticed and finished
LOG = VENV / "setup.log"
REQUIREMENTS = ROOT / "requirements.txt"
TEST_REQUIREMENTS = ROOT / "tests" / "requirements.txt"
WHEELS = "https://download.pytorch.org/whl"
PIP_RELEASES = "https://pypi.org/pypi/pip/json"
MINIMUM = (3, 11)
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)


class SetupError(Exception):
    """Set-up could not go on; the message says what happened and what to do."""


def main(argv: list[str]) -> int:
    if sys.version_info < MINIMUM:
        print(
            f"Atelier needs Python {MINIMUM[0]}.{MINIMUM[1]} or newer; this is {platform.python_version()}.\n"
            "Install a newer Python and run this file with it.",
            file=sys.stderr,
        )
        return 1
    skip_install = "--skip-install" in argv
    arguments = [argument for argument in argv if argument != "--skip-install"]
    testing = arguments[:1] == ["test"]
    if not skip_install and is_question(arguments):
        python = PYTHON if PYTHON.exists() else Path(sys.executable)
        return replace_process([str(python), str(ROOT / "launch.py"), "--skip-install", *arguments])
    try:
        if not skip_install:
            prepare(testing)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nSet-up stopped; the next run goes on from here.", file=sys.stderr)
        return 130
    if skip_install or Path(sys.executable).absolute() == PYTHON:
        return hand_over(arguments)
    return replace_process([str(PYTHON), str(ROOT / "launch.py"), "--skip-install", *arguments])


def is_question(arguments: list[str]) -> bool:
    """Whether this only asks about the studio: answered at once, with what is there."""
    asked = {"-h", "--help", "--version"} & set(arguments)
    return bool(asked) or arguments[:1] in (["help"], ["doctor"])


def hand_over(arguments: list[str]) -> int:
    try:
        from studio.cli.main import main as studio_main

        return studio_main(arguments)
    except ModuleNotFoundError as error:
        print(
            f"The package {error.name!r} is missing in {sys.prefix}.\n"
            "Run python3 launch.py once without --skip-install, or install requirements.txt into this environment.",
            file=sys.stderr,
        )
        return 1


def replace_process(command: list[str]) -> int:
    """Become the command, so that signals and the exit code need no forwarding. Windows has no such call."""
    if os.name != "nt":
        os.execv(command[0], command)
    return subprocess.call(command)


# ---- set-up -----------------------------------------------------------------------------------------------------------


def prepare(testing: bool) -> None:
    """Bring `.venv` to what the requirement files say. Does nothing, at once, when it is there already."""
    wanted = {
        "runtime": fingerprint(REQUIREMENTS, os.environ.get("TORCH_COMMAND", ""), sys.version.split()[0])
    }
    if testing:
        wanted["tests"] = fingerprint(TEST_REQUIREMENTS)
    done = read_stamp()
    missing = {part for part, value in wanted.items() if done.get(part) != value}
    if "runtime" in missing:
        make_venv()
        sweep_half_installed()
        install_runtime()
        done["runtime"] = wanted["runtime"]
        write_stamp(done)
    if "tests" in missing:
        say("Installing what the tests need (about 150 MB)")
        sweep_half_installed()
        pip("install", "-r", str(TEST_REQUIREMENTS))
        done["tests"] = wanted["tests"]
        write_stamp(done)
    if testing and not find_browser():
        install_browser()


def fingerprint(file: Path, *more: str) -> str:
    return hashlib.sha256("\0".join([file.read_text(), *more]).encode()).hexdigest()


def read_stamp() -> dict[str, str]:
    try:
        stamp: dict[str, str] = json.loads(STAMP.read_text()) if PYTHON.exists() else {}
    except (OSError, ValueError):
        return {}
    return stamp


def write_stamp(done: dict[str, str]) -> None:
    temporary = STAMP.with_suffix(".tmp")
    temporary.write_text(json.dumps(done))
    temporary.replace(STAMP)


def make_venv() -> None:
    """A working `.venv` with pip inside, whatever state an earlier try left it in."""
    if works([str(PYTHON), "-m", "pip", "--version"]) and same_version():
        return
    say(f"Making {VENV.relative_to(ROOT)}, so that nothing else on this machine is touched")
    shutil.rmtree(VENV, ignore_errors=True)
    if subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True).returncode == 0:
        return
    # Debian and Ubuntu ship Python without ensurepip: make the environment bare and bring pip into it
    shutil.rmtree(VENV, ignore_errors=True)
    run([sys.executable, "-m", "venv", "--without-pip", str(VENV)], "make a virtual environment")
    if works([sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "pip"]):
        return
    wheel = download_pip()
    run([str(PYTHON), f"{wheel}/pip", "install", str(wheel)], "install pip")
    wheel.unlink()


def same_version() -> bool:
    """A `.venv` made by another Python would not find its packages."""
    code = "import sys; print(sys.version_info[:2])"
    answer = subprocess.run([str(PYTHON), "-c", code], capture_output=True, text=True)
    return answer.stdout.strip() == str(tuple(sys.version_info[:2]))


def download_pip() -> Path:
    """The newest pip wheel from PyPI, its hash checked. Raises SetupError when PyPI cannot be reached."""
    try:
        with urllib.request.urlopen(PIP_RELEASES, timeout=30) as answer:
            files = json.load(answer)["urls"]
        wheel = next(file for file in files if file["packagetype"] == "bdist_wheel")
        with urllib.request.urlopen(urllib.parse.urljoin(PIP_RELEASES, wheel["url"]), timeout=60) as answer:
            data = answer.read()
    except OSError as error:
        raise SetupError(
            f"This Python has no pip, and PyPI could not be reached ({error}).\n"
            "On Debian or Ubuntu: sudo apt install python3-venv; then run this again."
        ) from None
    if hashlib.sha256(data).hexdigest() != wheel["digests"]["sha256"]:
        raise SetupError("The pip download was damaged. Run this again.")
    target = VENV / str(wheel["filename"])
    target.write_bytes(data)
    return target


def install_runtime() -> None:
    torch = torch_command()
    say("Installing PyTorch, the library that runs the models" + (f" ({torch.size})" if torch.size else ""))
    pip(*torch.arguments)
    say(
        "Installing the studio's libraries: Gradio, diffusers, transformers, ffmpeg, eSpeak NG (about 900 MB on disk)"
    )
    pip("install", "-r", str(REQUIREMENTS))
    say("Ready.")


def find_browser() -> str:
    """The path of an installed Chromium or Chrome, or of the one Playwright downloaded; "" when there is neither."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    code = "from playwright.sync_api import sync_playwright as s\nwith s() as p: print(p.chromium.executable_path)"
    python = str(PYTHON) if PYTHON.exists() else sys.executable
    path = subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.strip()
    return path if path and Path(path).is_file() else ""


def install_browser() -> None:
    """Debian's Chromium when this machine lets us, else Playwright's own. Raises SetupError when neither can be had."""
    say("Installing a browser for the tests of the page (about 400 MB)")
    may_install = os.name != "nt" and os.geteuid() == 0 and shutil.which("apt-get")
    if may_install:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", *command], env=environment)
        if find_browser():
            return
    subprocess.run([str(PYTHON), "-m", "playwright", "install", "chromium"])
    if not find_browser():
        raise SetupError(
            "The tests of the page need Chromium or Chrome, and none could be installed.\n"
            "Install one yourself (Debian: sudo apt install chromium), then run this again."
        )


class TorchCommand:
    def __init__(self, arguments: list[str], size: str = "") -> None:
        self.arguments, self.size = arguments, size


def torch_command() -> TorchCommand:
    """pip's arguments for the torch build that fits this machine; TORCH_COMMAND overrides."""
    own = shlex.split(os.environ.get("TORCH_COMMAND", ""))
    if own:
        return TorchCommand(own[1:] if own[0].startswith("pip") else own)
    version = re.search(r"^torch==\S+", REQUIREMENTS.read_text(), re.MULTILINE)
    assert version, "requirements.txt pins torch"
    install = ["install", version.group()]
    system = platform.system()
    if system == "Darwin":
        return TorchCommand(install, "for Apple GPUs, about 300 MB on disk")
    if works(["nvidia-smi"]):
        # PyPI's own Linux build is the CUDA one
        extra = ["--extra-index-url", f"{WHEELS}/cu130"] if system == "Windows" else []
        return TorchCommand(install + extra, "for NVIDIA GPUs, about 6 GB on disk")
    if system == "Linux" and (Path("/dev/kfd").exists() or works(["rocminfo"])):
        return TorchCommand(
            [*install, "--extra-index-url", f"{WHEELS}/rocm7.2"], "for AMD GPUs, about 10 GB on disk"
        )
    if system == "Linux" and reachable(f"{WHEELS}/cpu/torch/"):
        return TorchCommand(
            [*install, "--extra-index-url", f"{WHEELS}/cpu"], "for the CPU, about 800 MB on disk"
        )
    return TorchCommand(install, "no GPU found")


def reachable(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def sweep_half_installed() -> None:
    """Remove what a pip killed while it wrote left behind, which the next pip would take for installed.

    pip writes a package's RECORD last, and sets aside with a `~` what it is about to replace.
    """
    for site in [*VENV.glob("lib/python*/site-packages"), *VENV.glob("Lib/site-packages")]:
        unfinished = [folder for folder in site.glob("*.dist-info") if not is_whole(folder)]
        for folder in [*unfinished, *site.glob("~*")]:
            shutil.rmtree(folder, ignore_errors=True)


def is_whole(dist_info: Path) -> bool:
    try:
        named = re.search(r"^Version: \S", (dist_info / "METADATA").read_text(errors="replace"), re.MULTILINE)
        return bool(named) and (dist_info / "RECORD").stat().st_size > 0
    except OSError:
        return False


def pip(*arguments: str) -> None:
    run([str(PYTHON), "-m", "pip", *arguments, "--disable-pip-version-check"], "install the packages")


def run(command: list[str], purpose: str) -> None:
    """Run with what it says in the log, and its step and the time on the screen. Raises SetupError with the log's last lines."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("ab") as log:
        log.write(f"\n$ {shlex.join(command)}\n".encode())
        log.flush()
        begin = log.tell()
        over = threading.Event()
        teller = threading.Thread(target=tell_progress, args=(begin, over), daemon=True)
        teller.start()
        try:
            code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode
        finally:
            over.set()
            teller.join()
    print(f"  {'done' if code == 0 else 'failed'}", flush=True)
    if code != 0:
        raise SetupError(
            f"Could not {purpose} (exit code {code}). The last lines of {LOG}:\n\n"
            + "\n".join(f"  {line}" for line in said_since(begin)[-12:])
            + "\n\nCheck the network and the free disk space (10 GB is comfortable), then run this again: "
            "it goes on where it stopped."
        )


def tell_progress(begin: int, over: threading.Event) -> None:
    """Keep one line with the time and the step on a terminal; elsewhere say a line when the step changes."""
    started, shown, alive = time.monotonic(), "", sys.stdout.isatty()
    while not over.wait(0.5):
        step = doing(said_since(begin))
        if alive:
            print(f"\r  {clock(started)}  {step[:70]:70}", end="", flush=True)
        elif step != shown:
            print(f"  {clock(started)}  {step}", flush=True)
        shown = step
    print(f"{chr(13) if alive else ''}  {clock(started)}", end="")


def clock(started: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    return f"{minutes}:{seconds:02}"


def said_since(begin: int) -> list[str]:
    with LOG.open("rb") as log:
        log.seek(begin)
        return log.read().decode(errors="replace").splitlines()


def doing(lines: list[str]) -> str:
    """pip's last step in plain words."""
    for line in reversed(lines):
        if found := re.search(
            r"Downloading (?:\S*/)?([A-Za-z0-9_.]+?)-(\S+?)(?:-\S+)?(?: \(([^)]+)\))?$", line
        ):
            name, _, size = found.groups()
            return f"downloading {name}" + (f", {size}" if size else "")
        if line.startswith("Installing collected packages: "):
            return f"unpacking {line.count(',') + 1} packages"
        if found := re.match(r"Collecting ([\w.-]+)", line):
            return f"looking for {found.group(1)}"
    return "starting pip"


def works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def say(text: str) -> None:
    print(f"\n▸ {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
