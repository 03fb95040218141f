"""The catalogue: find a model by id, list a modality's, fill a request with its model's defaults."""

from __future__ import annotations

import dataclasses
import logging
import os
import shlex
import threading
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import TypeVar

from pipelines.catalog import builtin, download, recommended
from pipelines.catalog.registry import Registry
from pipelines.errors import InvalidRequest, ModelUnavailable
from pipelines.messages import BaseRequest, Modality, knobs_of
from pipelines.messages.spec import NO_MODEL, ModelSpec, cleaned

log = logging.getLogger(__name__)

R = TypeVar("R", bound=BaseRequest)


class Catalog:
    """All models on offer, in the order a person should see them: what ships, what is here, what can be fetched.

    folders: places to scan for the user's own models (diffusers, transformers, A1111 and ComfyUI layouts).
    registry: a small JSON file that remembers folders added one by one; None for a catalogue that forgets.
    hub: look at the hub's cache and offer the recommended downloads. Listing is cached; `refresh()` looks at the disk again, as a
    change of the registry does, whoever made it.
    """

    def __init__(
        self, folders: tuple[Path, ...] = (), *, registry: Path | None = None, hub: bool = True
    ) -> None:
        self.folders = folders
        self.registry = Registry(registry)
        self.hub = hub
        self._specs: dict[str, ModelSpec] | None = None
        self._notes: tuple[str, ...] = ()
        self._stamp: tuple[int, ...] = ()
        self._scanning = threading.Lock()

    # ---- asking ----

    def refresh(self) -> None:
        """Look at all folders again, here and now; others are told what was known before until that is done."""
        with self._scanning:
            self._look()

    def all(self, modality: Modality | None = None) -> list[ModelSpec]:
        """Every model, or those that can do the own task of a modality."""
        return [spec for spec in self._load().values() if modality is None or spec.can(modality)]

    def able(self, request_type: type[BaseRequest]) -> list[ModelSpec]:
        """The models a form offers for a task; none where it needs none."""
        if not request_type.needs_model:
            return []
        return [spec for spec in self._load().values() if spec.can(request_type.done_by())]

    def titles(self) -> dict[str, str]:
        """Model id → what people call it."""
        return {spec.id: spec.title for spec in self._load().values()}

    def notes(self) -> tuple[str, ...]:
        """What is wrong with the list as a whole, a sentence or two each: a registry or a folder that cannot be read."""
        self._load()
        return self._notes

    def get(self, model_id: str) -> ModelSpec:
        """The spec of that id; raises `ModelUnavailable` naming near ones when there is none."""
        specs = self._load()
        if model_id in specs:
            return specs[model_id]
        near = [name for name in specs if model_id.lower() in name.lower()] or list(specs)
        raise ModelUnavailable(
            f"There is no model called {model_id!r}.",
            detail=f"{len(specs)} models are listed, among them {', '.join(near[:6])}.",
            hint="Pick one from the list, or add its folder: python3 launch.py models add FOLDER",
        )

    def default(self, task: str, fields: Collection[str] = ()) -> ModelSpec:
        """The first model ready to run for that task, of those that can use these fields of a request if there are any."""
        ready = [spec for spec in self._load().values() if spec.can(task) and spec.state == "ready"]
        able = [spec for spec in ready if not set(fields) & set(spec.unused)]
        if ready:
            return (able or ready)[0]
        raise ModelUnavailable(
            f"No model for {task} is on this machine.", hint="Download one on the Models tab."
        )

    def complete(self, request: R) -> R:
        """The request with its model named and the model's defaults in every field the person left alone.

        Raises ModelUnavailable when the model is unknown, broken or not downloaded, InvalidRequest when a chosen value exceeds
        what the model can do.
        """
        if not request.needs_model:
            return request
        task = request.done_by()
        spec = self.get(request.model) if request.model else self.default(task, _media(request))
        if spec.state == "broken":
            raise ModelUnavailable(
                f"{spec.id} cannot be used.",
                detail=spec.problem,
                hint=spec.remedy or "Pick another model, or mend its folder.",
            )
        if not spec.can(task) and not (
            task == "code" and spec.can("text")
        ):  # the list has those made for code
            raise InvalidRequest(
                f"{spec.id} does not make {task}.",
                field="model",
                detail=f"It makes {', '.join(spec.tasks or spec.modalities)}.",
                hint="Pick another model.",
            )
        if spec.state != "ready":
            raise ModelUnavailable(
                f"{spec.id} is not ready to run.",
                detail=spec.problem or "It has not been downloaded yet.",
                hint="Download it on the Models tab.",
            )
        fields = type(request).model_fields
        chosen = request.model_fields_set
        update = {k: v for k, v in spec.defaults.items() if k in fields and k not in chosen}
        completed = type(request).model_validate({**request.model_dump(), **update, "model": spec.id})
        for name, most in spec.limits.items():
            value = getattr(completed, name, None)
            if isinstance(value, int | float) and value > most:
                raise InvalidRequest(
                    f"{name} is {value}, more than {spec.id} can take.",
                    field=name,
                    detail=f"Its largest {name} is {most}.",
                    hint=f"Use {most} or less, or pick another model.",
                )
        return completed

    def spec_for(self, request: BaseRequest) -> ModelSpec:
        """The spec of the model of a completed request; raises as `get` does."""
        return self.get(request.model) if request.needs_model else NO_MODEL

    # ---- changing ----

    def add(self, path: Path) -> list[ModelSpec]:
        """Remember a folder or file of the user's; returns the models found in it, by the ids they have in this catalogue.

        Raises ModelUnavailable, with the reason, when there is none to be found.
        """
        path = _absolute(path)
        if not path.exists():
            raise ModelUnavailable(f"There is nothing at {path}.", hint="Check the path.")
        found = _usable(path)
        self._load()  # so that the ids there are now stay as they are
        folders = self.registry.folders()
        if path not in folders:
            self.registry.remember(folders=[*folders, path])
        self.refresh()
        places = {spec.source.path for spec in found}
        return [spec for spec in self.all() if spec.source.path in places] or found

    def forget(self, path: Path) -> bool:
        """Stop listing a folder that was added; its files stay. Returns whether it was listed."""
        folders = self.registry.folders()
        path = _absolute(path)
        if path not in folders:
            return False
        names = {
            place: name
            for place, name in self.registry.names().items()
            if path not in (Path(place), *Path(place).parents)
        }
        self.registry.remember(folders=[other for other in folders if other != path], names=names)
        self.refresh()
        return True

    def remove(self, model_id: str) -> int:
        """Delete a downloaded model from the hub's cache; returns the bytes freed. Raises ModelUnavailable for any other."""
        spec = self.get(model_id)
        self.check_removable(spec)
        freed = download.remove(spec)
        self.refresh()
        return freed

    def check_removable(self, spec: ModelSpec) -> None:
        """Raises ModelUnavailable, with what can be done instead, for a model that was not downloaded into the hub's cache."""
        place = Path(spec.source.path)
        added = next((path for path in self.added() if path in (place, *place.parents)), None)
        if spec.source.repo and spec.loader != "diffusers-single-file" and not added:
            if spec.state == "remote":
                raise ModelUnavailable(
                    f"{spec.id} is not on this machine.", detail="There is nothing to delete."
                )
            return
        if added is not None:
            hint = f"To list it no longer: python3 launch.py models remove {shlex.quote(str(added))}"
        elif builtin.ASSETS in place.parents or not spec.source.path:
            hint = "It ships with the program and stays."
        else:
            hint = "Delete its files yourself if you no longer want it."
        raise ModelUnavailable(
            f"{spec.id} was not downloaded by the studio, so the studio does not delete it.",
            detail=f"Its files are in {spec.place or 'the program itself'}.",
            hint=hint,
        )

    def added(self) -> list[Path]:
        """The folders that were added one by one."""
        return self.registry.folders()

    # ---- loading ----

    def _load(self) -> dict[str, ModelSpec]:
        """What is known; looks first where nothing is, or the registry has changed and nobody is looking yet."""
        specs = self._specs
        if specs is not None and (self._stamp == self.registry.stamp() or self._scanning.locked()):
            return specs
        with self._scanning:
            if self._specs is None or self._stamp != self.registry.stamp():
                self._look()
            assert self._specs is not None
            return self._specs

    def _look(self) -> None:
        self._specs = self._listed()
        self._stamp = self.registry.stamp()

    def _listed(self) -> dict[str, ModelSpec]:
        folders = self.registry.folders()
        gone = [folder for folder in folders if not os.path.exists(folder)]
        notes = [f"{folder} was added and is not there now; its models are not listed." for folder in gone]
        self._notes = tuple(cleaned(note) for note in (self.registry.trouble(), *notes) if note)
        local = self._local([path for path in (*self.folders, *folders) if os.path.exists(path)])
        hub = [*map(_offer, recommended.offers()), *download.cached_models()] if self.hub else []
        specs: dict[str, ModelSpec] = {}
        for spec in (*builtin.shipped(), *local, *hub):
            specs.setdefault(spec.id, spec)
        return specs

    def _local(self, folders: list[Path]) -> list[ModelSpec]:
        """The models in these folders. Those that share a name keep the ids they were given first, also when one goes away."""
        from pipelines.catalog.scan import distinct, plain_name, scan

        found = scan(*folders, lenders=download.cached_folders() if self.hub else ())
        given = {spec.source.path: spec.id for spec in (self._specs or {}).values() if spec.source.path}
        names = self.registry.names()
        there = {spec.source.path for spec in found}
        specs = distinct(found, {path: name for path, name in given.items() if path in there} | names)
        shared = Counter(map(plain_name, specs))
        told = {spec.source.path: spec.id for spec in specs if shared[plain_name(spec)] > 1}
        if told.items() - names.items() and not self.registry.trouble():
            try:
                self.registry.remember(names=names | told)
            except OSError as error:
                log.warning("ids of models could not be remembered: %s", error)
        return specs


def _absolute(path: Path) -> Path:
    return Path(os.path.realpath(os.path.expanduser(path)))


def _usable(path: Path) -> list[ModelSpec]:
    """The models at a path; raises ModelUnavailable when there is none that could be used one day."""
    from pipelines.catalog.scan import scan

    found = scan(path, additions=True)
    if not found:
        raise ModelUnavailable(
            f"No model was found in {path}.",
            detail="Looked for model_index.json, config.json with weights, and .safetensors checkpoints.",
            hint="Give the folder of one model, or a models folder of A1111 or ComfyUI.",
        )
    if all(spec.state == "broken" for spec in found):
        raise ModelUnavailable(
            f"{cleaned(path.name)} cannot be used.", detail=found[0].problem, hint=found[0].remedy
        )
    return found


def _media(request: BaseRequest) -> list[str]:
    """The fields of a request that name a picture (or other media) to start from."""
    knobs = knobs_of(type(request))
    return [name for name, knob in knobs.items() if knob.asset and getattr(request, name)]


def _offer(spec: ModelSpec) -> ModelSpec:
    """A recommended model, ready when it lies in the hub's cache: what the folder says, with our title, licence and defaults."""
    folder = download.local_folder(spec)
    if folder is None:
        return spec
    from pipelines.catalog.scan import identify

    found = identify(folder)
    return dataclasses.replace(
        spec,
        source=dataclasses.replace(spec.source, path=str(folder), revision=folder.name),
        state=found.state,
        problem=found.problem,
        remedy=found.remedy,
        weight_bytes=found.weight_bytes or spec.weight_bytes,
        facts=found.facts,
    )
