"""Gradio without the editor stubs it writes of itself: half of the time it takes to import.

At every import Gradio parses the source of each of its components, renders a `.pyi` beside it and compares it with the one on
disk (`create_or_modify_pyi` in `gradio/component_meta.py`, Gradio 6.31: 1.3 of 2.6 s). Only editors read them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

MODULE, WRITER = "gradio.component_meta", "create_or_modify_pyi"


def not_written() -> None:
    """Have Gradio, if it is imported later, write no stubs. A version that has no such function is imported as it is."""
    if MODULE not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds that one module as everybody else would. The function is gone before the first component is made, which no later
    moment offers: `import gradio` makes them all."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        if hasattr(module, WRITER):
            setattr(module, WRITER, _write_nothing)


def _write_nothing(*_: object) -> None:
    pass
