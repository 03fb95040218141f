"""The catalogue: find a model by id, list a modality's, fill a request with its model's defaults."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

from pipelines.catalog import builtin
from pipelines.catalog.spec import ModelSpec
from pipelines.errors import InvalidRequest, ModelUnavailable
from pipelines.messages import BaseRequest, Modality

R = TypeVar("R", bound=BaseRequest)


class Catalog:
    """All models on offer, in the order a person should see them: what ships, what is here, what can be fetched.

    folders: places to scan for the user's own models. Listing is cheap and cached; `refresh()` looks at the disk again.
    """

    def __init__(self, folders: tuple[Path, ...] = ()) -> None:
        self.folders = folders
        self._specs: dict[str, ModelSpec] | None = None

    def refresh(self) -> None:
        self._specs = None

    def all(self, modality: Modality | None = None) -> list[ModelSpec]:
        specs = self._load().values()
        return [spec for spec in specs if modality is None or modality in spec.modalities]

    def get(self, model_id: str) -> ModelSpec:
        """The spec of that id; raises `ModelUnavailable` naming near ones when there is none."""
        specs = self._load()
        if model_id in specs:
            return specs[model_id]
        near = [name for name in specs if model_id.lower() in name.lower()] or list(specs)[:6]
        raise ModelUnavailable(
            f"There is no model called {model_id!r}.",
            detail=f"{len(specs)} models are listed, among them {', '.join(near[:6])}.",
            hint="Pick one from the list, or add its folder on the Models tab.",
        )

    def default(self, modality: Modality) -> ModelSpec:
        """The first model of that modality that is ready to run."""
        for spec in self.all(modality):
            if spec.state == "ready":
                return spec
        raise ModelUnavailable(
            f"No model for {modality} is on this machine.", hint="Download one on the Models tab."
        )

    def complete(self, request: R) -> R:
        """The request with its model named and the model's defaults in every field the person left alone.

        Raises ModelUnavailable when the model is unknown, broken or not downloaded, InvalidRequest when a chosen value
        exceeds what the model can do.
        """
        modality: Modality = request.modality  # type: ignore[attr-defined]
        spec = self.get(request.model) if request.model else self.default(modality)
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
        chosen = request.model_fields_set
        update: dict[str, Any] = {name: value for name, value in spec.defaults.items() if name not in chosen}
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

    def _load(self) -> dict[str, ModelSpec]:
        if self._specs is None:
            self._specs = {spec.id: spec for spec in builtin.shipped()}
        return self._specs


def with_state(spec: ModelSpec, **changes: Any) -> ModelSpec:
    return dataclasses.replace(spec, **changes)
