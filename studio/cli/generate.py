"""`launch.py generate`: make something without the page, through the same queue.

Paths of what was made go to standard output (or one JSON object with --json), everything else to standard error.

Jobs of a data folder are run by one process. When a studio is serving this folder, the job waits in its queue and its worker
makes it, so that two never fight for one device. Otherwise this command takes the folder, runs its own job with a worker of its
own and leaves other waiting jobs where they are; a second such command waits for the first.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import difflib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO, TextIO, get_origin

from pydantic import ValidationError

from pipelines.errors import InvalidRequest, StudioError
from pipelines.messages import MODALITIES, REQUESTS, BaseRequest, knobs_of
from studio.folder.scratch import Scratch
from studio.library import Asset, Library, LibraryError
from studio.queue.checks import problem_of
from studio.queue.jobs import Job
from studio.queue.updates import Update
from studio.settings import Settings, add_arguments
from studio.studio import Studio

INTERRUPTED = 130
PLAN_SECONDS = 180.0
"""A worker that has just been started loads its libraries first."""


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 done, 1 an explained error, 130 stopped with Ctrl-C."""
    told = _parser().parse_args(argv)
    try:
        settings = Settings.from_args(told)
        os.environ.update(settings.environment())
        studio = Studio(settings, only_own=True, warm_up=False)  # torch is loaded when the job needs it
        scratch = Scratch(settings.data_dir)
        try:
            scratch.enter()
            return _make(studio, told)
        finally:
            studio.close()
            scratch.leave()
    except (StudioError, LibraryError) as error:
        _report_problem(error, told.json)
        return 1
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _make(studio: Studio, told: argparse.Namespace) -> int:
    if told.out is not None and told.out.exists() and not told.out.is_dir():
        raise InvalidRequest(f"{told.out} is a file, not a folder.", hint="Give a folder with --out.")
    request = build_request(told.task, told.prompt, told.model, told.seed, told.set, studio.library)
    if told.plan:
        return _foretell(studio, request, as_json=told.json)
    job = studio.submit(request)
    screen = Screen(sys.stderr)
    interrupted = False
    try:
        asyncio.run(_follow(studio, job.id, screen))
    except KeyboardInterrupt:
        interrupted = True
        screen.say("Stopping …")
        studio.cancel(job.id)
        with contextlib.suppress(KeyboardInterrupt):  # pressed again: do not wait
            asyncio.run(_follow(studio, job.id, screen))
    screen.end()
    job = studio.job(job.id)
    files = [_hand_over(studio.library, asset_id, told.out) for asset_id in job.asset_ids]
    if told.json:
        print(json.dumps(_as_json(job, files), ensure_ascii=False))
    else:
        for path, _ in files:
            print(path)
        if job.problem is not None:
            print(job.problem, file=sys.stderr)
    if interrupted:
        return INTERRUPTED
    return 0 if job.status == "completed" else 1


def _foretell(studio: Studio, request: BaseRequest, *, as_json: bool) -> int:
    """Print what the request would take; 0 when it fits. Raises FolderBusy beside a running studio: only its worker knows."""
    studio.start(what="a command")
    forecast = studio.forecast(request, PLAN_SECONDS)
    print(json.dumps(forecast.as_json(), ensure_ascii=False) if as_json else forecast.text)
    return 0 if forecast.planned.fits else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch.py generate",
        description="Make something without the page.",
        epilog="Example: launch.py generate image 'a lighthouse at dusk' --set num_inference_steps=12 --out pictures",
    )
    tasks = (*MODALITIES, *(task for task in REQUESTS if task not in MODALITIES))
    parser.add_argument("task", choices=tasks, help="what to make")
    parser.add_argument(
        "prompt", nargs="?", default="", help="what to make, in your own words; - reads standard input"
    )
    parser.add_argument(
        "--model", default="", metavar="ID", help="the model that makes it (launch.py models list)"
    )
    parser.add_argument("--seed", type=int, default=-1, metavar="N", help="same seed, same result")
    parser.add_argument("--out", type=Path, metavar="DIR", help="copy what was made into this folder")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KNOB=VALUE",
        help="any other knob; for a picture the path of a file, for code @FILE; may be given again",
    )
    parser.add_argument(
        "--plan",
        "--dry-run",
        action="store_true",
        help="only tell whether it would fit and how long it would take",
    )
    parser.add_argument("--json", action="store_true", help="tell the result as one JSON object")
    add_arguments(parser, page=False)
    return parser


# ---- the request ------------------------------------------------------------------------------------------------------


def build_request(
    task: str, prompt: str, model: str, seed: int, knobs: Sequence[str], library: Library
) -> BaseRequest:
    """The request those words describe; only what was given is set, so the model's defaults fill the rest.

    knobs: "name=value" each. Raises InvalidRequest naming the knob, and the known ones when it is unknown.
    """
    kind = REQUESTS[task]
    values: dict[str, object] = {"prompt": sys.stdin.read() if prompt == "-" else prompt}
    values |= {"model": model} if model else {}
    values |= {"seed": seed} if seed != -1 else {}
    for knob in knobs:
        name, equals, text = knob.partition("=")
        if not equals:
            raise InvalidRequest(f"--set {knob} has no value.", hint=f"Write --set {knob}=VALUE.")
        name = name.strip().replace("-", "_")
        values[name] = _value(kind, name, text, library)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        raise InvalidRequest(
            f"{name} cannot be {values.get(name)!r}.",
            field=name,
            detail=str(first["msg"]).removeprefix("Value error, ") + ".",
            hint=kind.model_fields[name].description or "" if name in kind.model_fields else "",
        ) from None


def _value(kind: type[BaseRequest], name: str, text: str, library: Library) -> object:
    known = list(knobs_of(kind))
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        raise InvalidRequest(
            f"There is no knob {name!r} for {kind.task_name}.",
            detail=f"The knobs are {', '.join(known)}.",
            hint=f"Did you mean {near[0]}?" if near else "Use one of these.",
        )
    field, facts = kind.model_fields[name], knobs_of(kind)[name]
    if facts.asset:
        path = Path(text).expanduser()
        if path.is_file():
            return library.add_upload(path.read_bytes(), path.name, owner="local").id
        if not text.isalnum():
            raise InvalidRequest(f"There is no file {text}.", field=name, hint="Check the path.")
    if facts.widget == "code" and text.startswith("@"):
        try:
            return Path(text[1:]).expanduser().read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"{text[1:]} cannot be read.", field=name, detail=str(error)) from None
    if get_origin(field.annotation) is tuple:
        try:
            return json.loads(text) if text.startswith("[") else [text]
        except ValueError as error:
            raise InvalidRequest(f"{name} is not a JSON list.", field=name, detail=str(error)) from None
    return text


# ---- while it runs ----------------------------------------------------------------------------------------------------


async def _follow(studio: Studio, job_id: str, screen: Screen) -> None:
    """Show a job until it is over. Takes the data folder as soon as nobody else has it."""
    taking = asyncio.create_task(_take_folder(studio, screen))
    try:
        async for update in studio.watch(job_id):
            screen.show(update)
    finally:
        taking.cancel()


async def _take_folder(studio: Studio, screen: Screen) -> None:
    if studio.try_start(what="a command"):
        return
    screen.say(f"{studio.folder_lock.busy().detail} The job waits in its queue.")
    while not studio.try_start(what="a command"):
        await asyncio.sleep(0.5)


class Screen:
    """Progress for a person on a terminal: one line that is rewritten, and text as it is written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rewrites = stream.isatty()
        self._written = 0  # characters of the job's text
        self._line = ""

    def show(self, update: Update) -> None:
        if len(update.text) > self._written:
            self._clear()
            self._stream.write(update.text[self._written :])
            self._stream.flush()
            self._written = len(update.text)
            return
        if update.text or update.job.is_over:
            return
        self._rewrite(_stand(update, with_steps=self._rewrites))

    def say(self, sentence: str) -> None:
        self._clear()
        self._stream.write(sentence + "\n")
        self._stream.flush()

    def end(self) -> None:
        self._clear()
        if self._written:
            self._stream.write("\n")
        self._stream.flush()

    def _rewrite(self, line: str) -> None:
        if line == self._line:
            return
        if self._rewrites:
            self._clear()
            self._stream.write(line)
        else:
            self._stream.write(line + "\n")
        self._line = line
        self._stream.flush()

    def _clear(self) -> None:
        if self._rewrites and self._line:
            self._stream.write("\r" + " " * len(self._line) + "\r")
            self._line = ""


def _stand(update: Update, with_steps: bool) -> str:
    if update.position:
        return f"waiting, number {update.position} in line"
    progress = update.progress
    if progress is None:
        return "starting"
    line = progress.stage
    if with_steps and progress.total:
        line += f" {progress.step}/{progress.total}"
        if update.eta_seconds is not None:
            line += f", about {update.eta_seconds:.0f} s left"
    return line


# ---- afterwards -------------------------------------------------------------------------------------------------------


def _hand_over(library: Library, asset_id: str, folder: Path | None) -> tuple[str, Asset]:
    """Where the asset is for the caller: in the library, or copied into `folder` under a name nobody has there."""
    asset = library.get(asset_id)
    if folder is None:
        return library.where(asset), asset
    with library.open(asset) as data:
        return str(copy_into(data, PurePosixPath(asset.file).name, folder)), asset


def copy_into(data: IO[bytes], name: str, folder: Path) -> Path:
    """Copy an open file into a folder and return the copy; a name that is taken is counted up, nothing is overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted, number = PurePosixPath(name), 1
    while True:
        target = folder / (name if number == 1 else f"{wanted.stem}-{number}{wanted.suffix}")
        try:
            with target.open("xb") as out:
                try:
                    shutil.copyfileobj(data, out)
                except BaseException:
                    target.unlink(missing_ok=True)
                    raise
            return target.absolute()
        except FileExistsError:
            number += 1


def _as_json(job: Job, files: list[tuple[str, Asset]]) -> dict[str, object]:
    return {
        "job": job.id,
        "status": job.status,
        "model": job.request.model,
        "seed": job.request.seed,
        "text": job.text,
        "files": [
            {
                "path": path,
                "asset": asset.id,
                "kind": asset.kind,
                "media_type": asset.media_type,
                "facts": asset.facts,
                "recipe": asset.recipe,
            }
            for path, asset in files
        ],
        "problem": dataclasses.asdict(job.problem) if job.problem else None,
    }


def _report_problem(error: StudioError | LibraryError, as_json: bool) -> None:
    problem = problem_of(error)
    if as_json:
        print(json.dumps({"status": "failed", "files": [], "problem": dataclasses.asdict(problem)}))
    else:
        print(problem, file=sys.stderr)
