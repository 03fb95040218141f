"""ModelSpec → components: a diffusers folder or a single-file checkpoint, opened part by part, each part borrowed on its own.

Any family diffusers knows by its own `model_index.json`; there is no list of names here. Safetensors only, no code from folders,
dtype always said. A part is an nn.Module; tokenizers and the scheduler weigh nothing and come along when a pipeline is built.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipelines.catalog import ModelSpec
from pipelines.catalog.defaults import size_step_of
from pipelines.catalog.digest import component_key, fingerprint
from pipelines.catalog.headers import BadFile, TensorInfo, find_weights, read_header, read_json
from pipelines.catalog.identify import spared_parts
from pipelines.catalog.single_file import find_config, tensors_of
from pipelines.errors import InvalidRequest, first_line
from pipelines.loading.parts import (
    PartClass,
    explain_loading,
    libraries,
    open_cheap,
    open_from_file,
    open_part,
    opened_bytes,
    unusable,
)
from pipelines.memory import Component, Lease
from pipelines.memory.shelf import SHELF

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline, SchedulerMixin

Task = Literal["text-to-image", "image-to-image"]

EVERY_STEP = ("unet", "transformer", "controlnet", "prior")
USUAL_STEPS = 25
RENAMED = {"CLIPFeatureExtractor": "CLIPImageProcessor"}  # published folders keep the old name


@dataclass(frozen=True)
class Bundle:
    """A diffusers pipeline as components to lease, and the way to assemble it from a lease.

    pipeline_class: the class `model_index.json` names. modules: part name → component. cheap: part name → class of what holds
    no tensors (tokenizers, image processors, the scheduler). settings: the pipeline's own switches, as the folder has them.
    dtype: what the parts are held in, but for a VAE that needs float32.
    """

    spec: ModelSpec
    folder: Path
    pipeline_class: type[DiffusionPipeline]
    modules: Mapping[str, Component]
    cheap: Mapping[str, PartClass]
    settings: Mapping[str, object]
    dtype: torch.dtype

    @property
    def components(self) -> list[Component]:
        return list(self.modules.values())

    @property
    def size_step(self) -> int:
        """What width and height must be multiples of."""
        return size_step_of(self.folder, read_json(self.folder / "model_index.json"))

    def class_for(self, task: Task) -> type[DiffusionPipeline]:
        """The diffusers class that does this task with these parts; raises InvalidRequest when none does."""
        return _class_for(self, task)

    def build(self, lease: Lease, task: Task = "text-to-image", scheduler: str = "") -> DiffusionPipeline:
        """The pipeline for a task, assembled from leased modules; neither moves nor casts them.

        scheduler: a class name among the model's compatible ones, empty for the model's own; always a fresh one, it holds state.
        """
        pipeline_class = self.class_for(task)
        taken = inspect.signature(pipeline_class.__init__).parameters
        parts = {name: lease[component] for name, component in self.modules.items() if name in taken}
        parts |= {
            name: self._cheap_part(name) for name in self.cheap if name in taken and name != "scheduler"
        }
        if "scheduler" in self.cheap:
            parts["scheduler"] = self.scheduler(scheduler)
        parts |= {name: value for name, value in self.settings.items() if name in taken}
        parts |= {
            name: None for name in pipeline_class._optional_components if name in taken and name not in parts
        }
        if parts.get("safety_checker", self) is None and "requires_safety_checker" in taken:
            parts["requires_safety_checker"] = False
        needed = [name for name, value in taken.items() if value.default is value.empty and name != "self"]
        if missing := [name for name in needed if name not in parts]:
            raise unusable(self.spec, f"Its model_index.json lists no {' and no '.join(missing)}.")
        with explain_loading(self.spec, "pipeline"):
            pipeline = pipeline_class(**parts)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def scheduler(self, name: str = "") -> SchedulerMixin:
        """A fresh scheduler; raises InvalidRequest naming the compatible ones when `name` is not among them."""
        if "scheduler" not in self.cheap:
            raise InvalidRequest(
                f"{self.spec.id} has no scheduler to choose.",
                field="scheduler",
                hint="Leave the scheduler empty.",
            )
        own_class = self.cheap["scheduler"]
        with explain_loading(self.spec, "scheduler"):
            own = own_class.from_pretrained(self.folder / "scheduler")
        if name in ("", own_class.__name__):
            return own
        compatible = {found.__name__: found for found in own.compatibles}
        if name not in compatible:
            raise InvalidRequest(
                f"{self.spec.id} cannot use the scheduler {name!r}.",
                field="scheduler",
                detail=f"It can use {', '.join(sorted({*compatible, own_class.__name__}))}.",
                hint="Pick one of these, or leave it empty for the model's own.",
            )
        try:
            return compatible[name].from_config(own.config)
        except ImportError as error:  # diffusers puts a stand-in where a package is missing
            raise InvalidRequest(
                f"The scheduler {name} needs a package that is not installed.",
                field="scheduler",
                detail=first_line(error),
                hint="Pick another scheduler, or install the package.",
            ) from None

    def _cheap_part(self, name: str) -> object:
        folder = self.folder / name
        small = sorted(folder.iterdir()) if folder.is_dir() else []
        key = ("cheap part", str(folder), fingerprint(small) if small else "")
        return SHELF.take(key, partial(self._open_cheap, name), opened_bytes(small))

    def _open_cheap(self, name: str) -> object:
        with explain_loading(self.spec, name):
            return open_cheap(self.cheap[name], self.folder / name)


def diffusers_bundle(spec: ModelSpec, dtype: torch.dtype) -> Bundle:
    """The parts of a diffusers model, measured but not yet read.

    dtype: what the device computes in. Where that is bfloat16, a UNet or a model published in float16 is held in float16, which
    keeps three more bits of every weight.
    Raises ModelUnavailable, in one sentence, for every folder that cannot be used: pickles, cut-off files, missing parts or
    shards, classes unknown to the installed libraries, code of its own.
    """
    try:
        if spec.loader == "diffusers-single-file":
            return _single_file_bundle(spec, dtype)
        return _folder_bundle(spec, Path(spec.source.path), dtype)
    except (BadFile, OSError) as bad:
        raise unusable(spec, str(bad), remedy=getattr(bad, "remedy", "")) from None


def _folder_bundle(spec: ModelSpec, folder: Path, dtype: torch.dtype) -> Bundle:
    index = read_json(folder / "model_index.json")
    dtype = _model_dtype(index, lambda part: find_weights(folder / part).tensors(), dtype)
    pipeline_class = _pipeline_class(spec, index)
    modules: dict[str, Component] = {}
    cheap: dict[str, PartClass] = {}
    spared = spared_parts(folder, index)
    for name, part_class in _part_classes(spec, index).items():
        if name in spared:
            continue
        if _is_module(part_class):
            held = _held_dtype(pipeline_class, folder / name, part_class, dtype)
            modules[name] = _folder_component(spec, folder / name, part_class, held)
        else:
            cheap[name] = part_class
    return Bundle(spec, folder, pipeline_class, modules, cheap, _settings(index), dtype)


def _folder_component(spec: ModelSpec, folder: Path, part_class: PartClass, held: torch.dtype) -> Component:
    weights = find_weights(folder, prefer=(_VARIANTS.get(_name(held), ""),))
    return Component(
        component_key(folder.name, part_class.__name__, held, weights.files, folder),
        partial(open_part, spec, folder, part_class, weights, held),
        _nbytes(weights.tensors(), part_class, held),
        model=spec.id,
        passes=_passes(spec, folder.name),
    )


def _single_file_bundle(spec: ModelSpec, dtype: torch.dtype) -> Bundle:
    """Parts of an original-layout checkpoint; a part the file does not hold comes from the config folder if it is there."""
    file = Path(spec.source.path)
    tensors = read_header(file)
    folder = Path(spec.facts["config"]) if "config" in spec.facts else find_config(file, tensors)
    index = read_json(folder / "model_index.json")
    dtype = _model_dtype(index, lambda part: tensors_of(tensors, part), dtype)
    pipeline_class = _pipeline_class(spec, index)
    classes = _part_classes(spec, index)
    for name in {"safety_checker", *spared_parts(folder, index)}:  # from_single_file leaves them out too
        classes.pop(name, None)
    modules: dict[str, Component] = {}
    for name, part_class in classes.items():
        if not _is_module(part_class):
            continue
        held = _held_dtype(pipeline_class, folder / name, part_class, dtype)
        inside = tensors_of(tensors, name)
        if not inside:
            modules[name] = _folder_component(spec, folder / name, part_class, held)
            continue
        load = partial(open_from_file, spec, file, folder, pipeline_class, name, tuple(classes), held)
        key = component_key(name, part_class.__name__, held, (file,), folder / name, inside=name)
        nbytes = _nbytes(inside, part_class, held)
        modules[name] = Component(key, load, nbytes, model=spec.id, passes=_passes(spec, name))
    cheap = {name: found for name, found in classes.items() if not _is_module(found)}
    return Bundle(spec, folder, pipeline_class, modules, cheap, _settings(index), dtype)


# ---- classes, by the folder's own words ----


def _pipeline_class(spec: ModelSpec, index: Mapping[str, object]) -> type[DiffusionPipeline]:
    libraries()
    import diffusers

    name = index.get("_class_name")
    if not isinstance(name, str):
        raise BadFile(f"Its model_index.json names code of its own ({name}), which the studio never runs.")
    found = getattr(diffusers, name, None)
    if found is None or not hasattr(found, "_optional_components"):
        raise BadFile(f"Its pipeline class {name} is unknown to diffusers {diffusers.__version__}.")
    return found


def _part_classes(spec: ModelSpec, index: Mapping[str, object]) -> dict[str, PartClass]:
    """Part name → class, for every part that is not null."""
    parts = {name: value for name, value in index.items() if isinstance(value, list) and len(value) == 2}
    return {name: _part_class(name, *value) for name, value in parts.items() if value[0] and value[1]}


def _part_class(part: str, library: str, name: str) -> PartClass:
    libraries()
    import diffusers.pipelines

    if library not in ("diffusers", "transformers") and not hasattr(diffusers.pipelines, library):
        raise BadFile(f"Its {part} needs code of its own ({library}.{name}), which the studio never runs.")
    module = getattr(diffusers.pipelines, library, None) or importlib.import_module(library)
    found = getattr(module, RENAMED.get(name, name), None)
    if found is None:
        raise BadFile(f"The class {name} of its {part} is unknown to the installed {library}.")
    return found


def _settings(index: Mapping[str, object]) -> dict[str, object]:
    """The pipeline's switches, and None for every part the folder says it does without."""
    plain = {name: value for name, value in index.items() if name[0] != "_" and not isinstance(value, list)}
    return plain | {name: None for name, value in index.items() if value == [None, None]}


def _class_for(bundle: Bundle, task: Task) -> type[DiffusionPipeline]:
    from diffusers.pipelines import auto_pipeline

    own = bundle.pipeline_class
    texts, images = (
        auto_pipeline.AUTO_TEXT2IMAGE_PIPELINES_MAPPING,
        auto_pipeline.AUTO_IMAGE2IMAGE_PIPELINES_MAPPING,
    )
    image = inspect.signature(own.__call__).parameters.get("image")
    is_refiner = bool(bundle.settings.get("requires_aesthetics_score"))
    if task == "text-to-image":
        needs_image = image is not None and image.default is inspect.Parameter.empty
        if own in texts.values() or image is None:
            return own
        found = None if is_refiner else texts.get(_family(own.__name__))
        found = found or (None if needs_image or own in images.values() else own)
        asked, hint = "make a picture from words alone", "Add a start image, or pick another model."
    else:
        found = own if own in images.values() else images.get(_family(own.__name__))
        found = found or (own if image is not None else None)
        asked, hint = "start from a picture", "Remove the start image, or pick another model."
    if found is None:
        raise InvalidRequest(
            f"{bundle.spec.id} cannot {asked}.",
            field="init_image",
            detail=f"It is a {own.__name__}.",
            hint=hint,
        )
    return found


def _family(class_name: str) -> str:
    """diffusers' own name for the family a pipeline class belongs to, "" for none."""
    from diffusers.pipelines import auto_pipeline

    for table in auto_pipeline.SUPPORTED_TASKS_MAPPINGS:
        for family, found in table.items():
            if found.__name__ == class_name:
                return str(family)
    return ""


def _model_dtype(
    index: Mapping[str, object],
    tensors_of_part: Callable[[str], Mapping[str, TensorInfo]],
    dtype: torch.dtype,
) -> torch.dtype:
    import torch

    if dtype != torch.bfloat16:
        return dtype
    stored = (
        {info.dtype for info in tensors_of_part("transformer").values()} if "transformer" in index else set()
    )
    return torch.float16 if "unet" in index or stored == {"F16"} else dtype


def _held_dtype(
    pipeline_class: type[DiffusionPipeline], folder: Path, part_class: PartClass, dtype: torch.dtype
) -> torch.dtype:
    """`dtype`, or float32 for a VAE that overflows in half precision: the pipeline would cast it up, and its config says so."""
    import torch

    may_overflow = (
        dtype == torch.float16 and hasattr(pipeline_class, "upcast_vae") and hasattr(part_class, "decode")
    )
    if may_overflow and read_json(folder / "config.json").get("force_upcast"):
        return torch.float32
    return dtype


_VARIANTS = {"float16": "fp16", "bfloat16": "bf16"}


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _nbytes(tensors: Mapping[str, TensorInfo], part_class: PartClass, dtype: torch.dtype) -> int:
    kept = getattr(part_class, "_keep_in_fp32_modules", None) or ()

    def itemsize(name: str) -> int:
        return 4 if any(word in name.split(".") for word in kept) else dtype.itemsize

    return sum(info.nbytes_as(itemsize(name)) for name, info in tensors.items())


def _passes(spec: ModelSpec, part: str) -> int:
    """How often a picture runs through a part: what removes noise once a step, the rest once."""
    told = spec.defaults.get("num_inference_steps")
    steps = told if isinstance(told, int) and told else USUAL_STEPS
    return steps if part.startswith(EVERY_STEP) else 1


def _is_module(part_class: PartClass) -> bool:
    import torch

    return inspect.isclass(part_class) and issubclass(part_class, torch.nn.Module)
