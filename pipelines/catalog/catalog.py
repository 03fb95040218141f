"""The catalogue: find a model by id, list a modality's, fill a request with its model's defaults."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Collection
from pathlib import Path
from typing import TypeVar

from pipelines.catalog import builtin, download, recommended
from pipelines.catalog.spec import ModelSpec
from pipelines.errors import InvalidRequest, ModelUnavailable
from pipelines.messages import BaseRequest, Modality

R = TypeVar("R", bound=BaseRequest)


class Catalog:
    """All models on offer, in the order a person should see them: what ships, what is here, what can be fetched.

    folders: places to scan for the user's own models (diffusers, transformers, A1111 and ComfyUI layouts).
    registry: a small JSON file that remembers folders added one by one; None for a catalogue that forgets.
    hub: look at the hub's cache and offer the recommended downloads. Listing is cached; `refresh()` looks at the disk again.
    """

    def __init__(
        self, folders: tuple[Path, ...] = (), *, registry: Path | None = None, hub: bool = True
    ) -> None:
        self.folders = folders
        self.registry = registry
        self.hub = hub
        self._specs: dict[str, ModelSpec] | None = None
        self._lock = threading.Lock()

    # ---- asking ----

    def refresh(self) -> None:
        with self._lock:
            self._specs = None

    def all(self, modality: Modality | None = None) -> list[ModelSpec]:
        return [spec for spec in self._load().values() if modality is None or modality in spec.modalities]

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

    def default(self, modality: Modality, fields: Collection[str] = ()) -> ModelSpec:
        """The first model of that modality that is ready to run, of those that can use these fields of a request if there are any."""
        ready = [spec for spec in self.all(modality) if spec.state == "ready"]
        able = [spec for spec in ready if not set(fields) & set(spec.unused)]
        if ready:
            return (able or ready)[0]
        raise ModelUnavailable(
            f"No model for {modality} is on this machine.", hint="Download one on the Models tab."
        )

    def complete(self, request: R) -> R:
        """The request with its model named and the model's defaults in every field the person left alone.

        Raises ModelUnavailable when the model is unknown, broken or not downloaded, InvalidRequest when a chosen value exceeds
        what the model can do.
        """
        modality: Modality = request.modality  # type: ignore[attr-defined]
        spec = self.get(request.model) if request.model else self.default(modality, _media(request))
        if modality not in spec.modalities:
            raise InvalidRequest(
                f"{spec.id} does not make {modality}.",
                field="model",
                detail=f"It makes {', '.join(spec.modalities)}.",
                hint="Pick another model.",
            )
        if spec.state != "ready":
            raise ModelUnavailable(
                f"{spec.id} is not ready to run.",
                detail=spec.problem or "It has not been downloaded yet.",
                hint="Open the Models tab to mend or download it.",
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

    # ---- changing ----

    def add(self, path: Path) -> list[ModelSpec]:
        """Remember a folder or file of the user's; returns the models found in it.

        Raises ModelUnavailable, with the reason, when there is none to be found.
        """
        from pipelines.catalog.scan import scan

        path = path.expanduser().resolve()
        if not path.exists():
            raise ModelUnavailable(f"There is nothing at {path}.", hint="Check the path.")
        found = scan(path)
        if not found:
            raise ModelUnavailable(
                f"No model was found in {path}.",
                detail="Looked for model_index.json, config.json with weights, and .safetensors checkpoints.",
                hint="Give the folder of one model, or a models folder of A1111 or ComfyUI.",
            )
        if all(spec.state == "broken" for spec in found):
            raise ModelUnavailable(f"{path.name} cannot be used.", detail=found[0].problem)
        paths = self._registered()
        if path not in paths:
            self._register([*paths, path])
        return found

    def forget(self, path: Path) -> bool:
        """Stop listing a folder that was added; its files stay. Returns whether it was listed."""
        paths = self._registered()
        path = path.expanduser().resolve()
        if path not in paths:
            return False
        self._register([other for other in paths if other != path])
        return True

    def _registered(self) -> list[Path]:
        if self.registry is None or not self.registry.is_file():
            return []
        return [Path(path) for path in json.loads(self.registry.read_text())["folders"]]

    def _register(self, paths: list[Path]) -> None:
        if self.registry is None:
            return
        self.registry.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.registry.with_suffix(".tmp")
        temporary.write_text(json.dumps({"folders": [str(path) for path in paths]}, indent=1))
        temporary.replace(self.registry)
        self.refresh()

    # ---- loading ----

    def _load(self) -> dict[str, ModelSpec]:
        with self._lock:
            if self._specs is None:
                self._specs = {}
                for spec in self._found():
                    self._specs.setdefault(spec.id, spec)
            return self._specs

    def _found(self) -> list[ModelSpec]:
        specs = builtin.shipped()
        for folder in (*self.folders, *self._registered()):
            if folder.exists():
                from pipelines.catalog.scan import scan

                specs += scan(folder)
        if self.hub:
            specs += [_offer(spec) for spec in recommended.offers()]
            specs += download.cached_models()
        return specs


def _media(request: BaseRequest) -> list[str]:
    """The fields of a request that name a picture (or other media) to start from."""
    found = []
    for name, field in type(request).model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and str(extra.get("widget", "")).startswith("asset:"):
            found += [name] if getattr(request, name) else []
    return found


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
        weight_bytes=found.weight_bytes or spec.weight_bytes,
        facts=found.facts,
    )
