"""What the installed libraries know, read from the syntax of their sources: importing them would bring torch into the server."""

from __future__ import annotations

import ast
import contextlib
import threading
from functools import cache
from importlib.util import find_spec
from pathlib import Path

OUTPUTS = {"frames": "video", "video": "video", "videos": "video", "images": "image", "audios": "audio"}
"""Field of a diffusers pipeline's output → what it makes."""

_PARSING = threading.Lock()
"""Python before 3.11.8 counts how deep all threads parse together, and ends one with a SystemError (python/cpython#106905)."""

NEEDS = {"LMSDiscreteScheduler": "scipy", "DPMSolverSDEScheduler": "torchsde"}


@cache
def pipeline_makes(class_name: str) -> str:
    """What a diffusers pipeline class makes: "image", "video", "audio", or "" when the installed diffusers has no such class.

    Told by the output its module returns. Reads one folder of source files, about half a second the first time.
    """
    file = _pipeline_file(class_name)
    if file is None:
        return ""
    calls = [node for node in ast.walk(_syntax(file)) if isinstance(node, ast.Call)]
    outputs = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id.endswith("Output")]
    found = {OUTPUTS.get(keyword.arg or "", "") for output in outputs for keyword in output.keywords}
    return next((made for made in ("video", "image", "audio") if made in found), "image")


@cache
def _pipeline_file(class_name: str) -> Path | None:
    """The module of the installed diffusers that defines a pipeline class."""
    root = _package("diffusers")
    if root is None or not class_name.isidentifier() or class_name.endswith("Output"):
        return None
    wanted = f"class {class_name}("
    files = sorted((root / "pipelines").rglob("pipeline_*.py"))
    return next((file for file in files if wanted in file.read_text(encoding="utf-8", errors="ignore")), None)


@cache
def call_defaults(class_name: str) -> dict[str, object]:
    """What a pipeline class takes for each keyword of a call that nobody gave; only those that are plain values."""
    file = _pipeline_file(class_name)
    if file is None:
        return {}
    body = _class_body(file, class_name)
    calls = [node.args for node in body if isinstance(node, ast.FunctionDef) and node.name == "__call__"]
    found = {}
    for taken in calls:
        pairs = zip(reversed(taken.args), reversed(taken.defaults), strict=False)
        for name, value in (*pairs, *zip(taken.kwonlyargs, taken.kw_defaults, strict=True)):
            if value is not None:
                with contextlib.suppress(ValueError, TypeError):
                    found[name.arg] = ast.literal_eval(value)
    return found


PICTURES_ONLY = frozenset({
    "BlipForConditionalGeneration", "GitForCausalLM", "Pix2StructForConditionalGeneration", "UdopForConditionalGeneration",
    "VisionEncoderDecoderModel", "InstructBlipForConditionalGeneration", "InstructBlipVideoForConditionalGeneration",
    "Florence2ForConditionalGeneration", "EvollaForProteinText2Text", "PI0ForConditionalGeneration",
    "PPFormulaNetForConditionalGeneration", "GotOcr2ForConditionalGeneration", "DiffusionGemmaForBlockDiffusion",
    "T5Gemma2ForConditionalGeneration",
})  # fmt: skip
"""Classes that read pictures with words and write nothing without one, or write in another way than token by token."""


def causal_language_models() -> frozenset[str]:
    """Class names transformers' `AutoModelForCausalLM` opens on purpose (it opens others by accident)."""
    return _auto_classes("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES")


def picture_reading_models() -> frozenset[str]:
    """Class names that read pictures and words and write words; given words alone they write like any language model."""
    return _auto_classes("MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES") - PICTURES_ONLY


@cache
def _auto_classes(table: str) -> frozenset[str]:
    """Class names in one of transformers' tables: `NAME = OrderedDict([(family, class), …])`, in some rows several."""
    root = _package("transformers")
    if root is None:
        return frozenset()
    for node in _syntax(root / "models" / "auto" / "modeling_auto.py").body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == table:
            assert isinstance(node.value, ast.Call)
            rows = ast.literal_eval(node.value.args[0])
            return frozenset(name for _, name in rows if isinstance(name, str))
    return frozenset()


@cache
def schedulers() -> tuple[str, ...]:
    """The diffusers schedulers that can stand in for one another in UNet models and run here, in diffusers' own order."""
    root = _package("diffusers")
    if root is None:
        return ()
    body = _class_body(root / "schedulers" / "scheduling_utils.py", "KarrasDiffusionSchedulers")
    found = [ast.unparse(node.targets[0]) for node in body if isinstance(node, ast.Assign)]
    return tuple(name for name in found if is_installed(NEEDS.get(name, "diffusers")) and "EDM" not in name)


def is_installed(package: str) -> bool:
    return find_spec(package) is not None


def _package(name: str) -> Path | None:
    spec = find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _syntax(file: Path) -> ast.Module:
    source = file.read_text(encoding="utf-8", errors="ignore")
    with _PARSING:
        return ast.parse(source)


def _class_body(file: Path, class_name: str) -> list[ast.stmt]:
    """What stands in that class of the file; nothing when there is none."""
    classes = [node for node in _syntax(file).body if isinstance(node, ast.ClassDef)]
    return [statement for found in classes if found.name == class_name for statement in found.body]
