"""`launch.py models`: list, add, download, remove and convert models. The catalogue does the work; this speaks."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from pipelines.catalog import Catalog, ModelSpec, Source, download
from pipelines.errors import ModelUnavailable, readable_bytes
from studio import settings
from studio.cli import running


def main(argv: list[str]) -> int:
    arguments = argparse.ArgumentParser(prog="launch.py models", description=__doc__.split(". ")[0])
    actions = arguments.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="what is here and what can be downloaded")
    listing.add_argument("--json", action="store_true", help="as JSON")
    adding = actions.add_parser("add", help="use a model, or a folder of models, where it lies")
    adding.add_argument("path", type=Path)
    fetching = actions.add_parser("download", help="fetch a model from the hub into its cache (HF_HOME)")
    fetching.add_argument("model", help="an id of the list, or any hub name such as org/name[@revision]")
    fetching.add_argument("--yes", action="store_true", help="do not ask first")
    removing = actions.add_parser("remove", help="delete a downloaded model, or stop listing an added folder")
    removing.add_argument("model", help="its id, or the folder that was added")
    removing.add_argument("--yes", action="store_true", help="do not ask first")
    converting = actions.add_parser("convert", help="turn a folder's pickled weights into safetensors, once")
    converting.add_argument("path", type=Path)
    for action in (listing, adding, fetching, removing):
        settings.add_arguments(action, page=False)
    chosen = arguments.parse_args(argv)
    if chosen.action == "convert":
        return subprocess.call(
            [sys.executable, "-m", "pipelines.loading.convert", str(chosen.path)], cwd=settings.ROOT
        )
    told = settings.Settings.from_args(chosen)
    os.environ.update(told.environment())
    catalog = told.catalog()
    match chosen.action:
        case "list":
            show(catalog.all(), as_json=chosen.json)
            for note in catalog.notes():
                print(note, file=sys.stderr)
        case "add":
            add(told, chosen.path)
        case "download":
            fetch(catalog, chosen.model, ask=not chosen.yes)
        case "remove":
            remove(told, chosen.model, ask=not chosen.yes)
    return 0


def show(specs: list[ModelSpec], *, as_json: bool = False) -> None:
    if as_json:
        rows = [
            {
                "id": spec.id,
                "title": spec.title,
                "modalities": spec.modalities,
                "state": spec.state,
                "problem": spec.problem,
                "remedy": spec.remedy,
                "path": spec.place,
                "weight_bytes": spec.weight_bytes,
                "memory_bytes": spec.memory_bytes,
                "licence": spec.licence,
                "restriction": spec.restriction,
            }
            for spec in specs
        ]
        print(json.dumps(rows, indent=1))
        return
    width = max((len(spec.id) for spec in specs), default=0)
    for spec in specs:
        made = " ".join(spec.modalities)
        print(
            f"{spec.id:{width}}  {spec.state:7}{readable_bytes(spec.weight_bytes):>9}  {made:13}  {spec.licence}"
        )
        for line in filter(None, (spec.restriction, spec.problem, spec.remedy)):
            print(f"{'':{width}}  {line}")


def fetch(catalog: Catalog, name: str, *, ask: bool) -> None:
    """Download by catalogue id or hub name; says what it takes first, and shows how far it is."""
    try:
        spec = catalog.get(name)
    except ModelUnavailable:
        repo, _, revision = name.partition("@")
        if "/" not in repo:
            raise
        spec = ModelSpec(repo, repo, (), "diffusers", Source(repo=repo, revision=revision or "main"))
    if not spec.source.repo:
        print(f"{spec.id} is on this machine already.")
        return
    plan = download.measure(spec)
    print(
        f"{spec.id}: {readable_bytes(plan.missing_bytes)} to download, {readable_bytes(plan.nbytes)} on disk."
    )
    print(f"Licence: {spec.licence}. {spec.restriction}".rstrip())
    if ask and not agreed("Download it?"):
        return
    started = time.monotonic()

    def progress(done: int, total: int) -> None:
        share = done / max(1, total)
        rate = (done - (plan.nbytes - plan.missing_bytes)) / max(0.1, time.monotonic() - started)
        rest = (total - done) / rate if rate > 0 else 0
        print(
            f"\r{share:5.1%}  {readable_bytes(done)} of {readable_bytes(total)}  {readable_bytes(rate)}/s  {rest:.0f} s left ",
            end="",
            file=sys.stderr,
        )

    folder = download.download(spec, progress)
    print(f"\nReady in {folder}", file=sys.stderr)


def add(told: settings.Settings, path: Path) -> None:
    """Through the studio that runs on this data folder, if there is one, so that its page shows it at once."""
    answer = running.ask(told.data_dir, "POST", "api/models", {"path": str(path.expanduser().absolute())})
    if answer is None:
        show(told.catalog().add(path))
        return
    here = {spec.id: spec for spec in told.catalog().all()}
    listed = answer.get("models")
    added = [model["id"] for model in listed if isinstance(model, dict)] if isinstance(listed, list) else []
    show([here[model_id] for model_id in added if model_id in here])
    print(f"The studio at {running.address_of(told.data_dir)} lists it now.", file=sys.stderr)


def remove(told: settings.Settings, name: str, *, ask: bool) -> None:
    catalog = told.catalog()
    if catalog.forget(Path(name)):  # a studio that runs sees the change of the file
        print(f"{name} is no longer listed; its files are untouched.")
        return
    spec = catalog.get(name)
    catalog.check_removable(spec)
    if ask and not agreed(f"Delete {spec.id}, {readable_bytes(spec.weight_bytes)}, from {spec.place}?"):
        return
    print(f"{readable_bytes(catalog.remove(spec.id))} freed.")
    running.ask(told.data_dir, "POST", "api/models", {})  # a studio that runs looks again


def agreed(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
