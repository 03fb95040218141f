"""The whole corpus in one list, the same for the same seed: files, then requests; and what is done with each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from tests.bench.hostile import asks, films, pictures, texts
from tests.bench.hostile.house import House, Things

REQUESTS: dict[str, Callable[[], asks.Asks]] = {
    "request: bodies": asks.bodies, "request: addresses": asks.addresses, "request: another's things": asks.others,
    "request: uploads": asks.uploads, "request: doors": asks.doors, "request: Gradio's routes": asks.gradio,
    "request: below HTTP": asks.wires, "request: large": asks.large,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    group: str
    name: str
    run: Callable[[House, Things], Any]


def corpus(seed: int, victim: Path) -> list[Case]:
    """Every case; `victim` is the film of another user that playlists name."""
    cases = [Case(group, name, partial(bring, name, make)) for group, name, make in files(seed, victim)]
    for group, made in REQUESTS.items():
        cases += [Case(group, name, run) for name, run in made().items()]
    cases += [Case("request: four at once", name, run) for name, run in at_once().items()]
    return cases + [Case("request: wrong passwords", name, run) for name, run in asks.passwords().items()]


def sample(cases: list[Case], number: int, seed: int) -> list[Case]:
    """That many, some of every group, in their order; all when `number` is 0."""
    if not number or number >= len(cases):
        return cases
    draw, kept = Random(seed), list[Case]()
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case)
    waiting = [draw.sample(group, len(group)) for group in groups.values()]
    while len(kept) < number:
        for group in waiting:
            if group and len(kept) < number:
                kept.append(group.pop())
    return sorted(kept, key=cases.index)


def files(seed: int, victim: Path) -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    """(group, file name, how to make it)."""
    endings = {
        "png": ".png", "jpeg": ".jpg", "webp": ".webp", "gif": ".gif",
        "bmp": ".bmp", "tiff": ".tif", "avif": ".avif", "heic": ".heic",
    }  # fmt: skip
    for group, made in (
        ("file: shapes of pictures", pictures.shapes()), ("file: kinds of pictures", pictures.kinds()),
        ("file: chunks and EXIF", pictures.chunks()), ("file: settings", pictures.recipes()),
    ):  # fmt: skip
        for name, make in made.items():
            yield (
                group,
                name + next((end for word, end in endings.items() if word in name.split()), ".png"),
                make,
            )
    for group, made in (
        ("file: playlists", films.playlists(victim)), ("file: films", films.films()), ("file: sounds", films.sounds()),
        ("file: texts", texts.texts()), ("file: archives", texts.archives()),
    ):  # fmt: skip
        for name, make in made.items():
            yield group, name, make
    for suffix, whole in films.good().items():
        for name, make in pictures.broken(suffix, whole, seed).items():
            yield "file: broken by chance", f"{name}.{suffix}", make


def bring(name: str, make: Callable[[], bytes], house: House, things: Things) -> None:
    """Upload it, look at everything the studio then shows of it, and drop it on the page for its settings."""
    data = make()
    answer = house.upload(name, data)
    asset = answer.json()
    if answer.status == 201:
        for rest in ("", "/thumbnail", "/file?download=1"):
            house.ask("GET", f"/api/assets/{asset['id']}{rest}", note=name)
        if asset.get("kind") == "image" and name in pictures.kinds() | {"told.png": None}:
            asks._borrow(house, {"init_image": asset["id"]})
        house.ask("POST", f"/api/assets/{asset['id']}/trash")
        house.ask("DELETE", f"/api/assets/{asset['id']}")
    house.ask("POST", "/page/recipe", note=name, files={"file": (name, data)})


def at_once() -> asks.Asks:
    """Four of the heaviest together: each within its bounds is not enough."""
    import threading

    heavy: dict[str, Callable[[], bytes]] = {
        "png of 144 megapixels": lambda: pictures.bomb(12_000, 12_000),
        "zTXt of 400 MB": lambda: pictures.png(
            pictures.chunk(b"zTXt", b"parameters\0\0" + pictures.zeros(400 << 20))
        ),
        "progressive jpeg": lambda: pictures.saved("JPEG", size=(10_000, 10_000), progressive=True),
        "film of a 10000x10000 frame": lambda: films._one_frame(10_000),
        "text of 20 MB": lambda: b"word " * 4_000_000,
    }

    def four(make: Callable[[], bytes], name: str) -> asks.Ask:
        def run(house: House, things: Things) -> None:
            data = make()
            threads = [threading.Thread(target=house.upload, args=(f"{n} {name}", data)) for n in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        return run

    return {name: four(make, name) for name, make in heavy.items()}
