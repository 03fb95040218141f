"""ModelSpec: one model on offer, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypedDict

from pipelines.messages.modalities import Modality

ModelFacts = TypedDict(
    "ModelFacts",
    {
        "class": str,
        "makes": str,
        "kind": str,
        "family": str,
        "config": str,
        "tasks": Sequence[str],
        "schedulers": Sequence[str],
        "voices": Sequence[str | Mapping[str, str]],
        "understands": Mapping[str, Sequence[str]],
        "size_step": int,
        "context": int,
        "fim": bool,
        "licence": str,
    },
    total=False,
)
"""What is to be known of a model beside all that every model has, as plain JSON.

class: its pipeline or architecture; makes: what that class makes. kind, family, config: of a single file, what it holds, for
which family, and the folder that lends it its configs. tasks, schedulers: those it has, where not all. voices: those to choose
from, an id, or an id and a title. understands: attribute → words, where they can be listed. size_step: sizes are multiples of
it. context: tokens it reads. fim: whether it fills gaps.
"""


@dataclass(frozen=True)
class Source:
    """Where the weights are: a local path (folder or file), or a hub repository at a pinned revision.

    files: for a repository, the patterns worth downloading; empty for all safe ones.
    """

    path: str = ""
    repo: str = ""
    revision: str = "main"
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelSpec:
    """One model on offer.

    modalities: the tabs that can use it. tasks: what it can do, as `REQUESTS` names it; empty for those of its modalities.
    loader: its family, a row in `pipelines/catalog/families.py`: how it is opened.
    weight_bytes: size of the weights on disk; memory_bytes: what to have free to run it at its defaults.
    defaults: request fields this model likes, used where the person chose nothing.
    limits: request field → largest value it can take (e.g. {"width": 1024}). unused: fields that mean nothing to it, which forms
    leave out. facts: the rest.
    state: "ready" (on this disk), "remote" (can be downloaded), "broken" (problem says why, remedy what to do about it).
    """

    id: str
    title: str
    modalities: tuple[Modality, ...]
    loader: str
    source: Source
    licence: str = "unknown"
    restriction: str = ""
    description: str = ""
    weight_bytes: int = 0
    memory_bytes: int = 0
    state: Literal["ready", "remote", "broken"] = "ready"
    problem: str = ""
    remedy: str = ""
    defaults: Mapping[str, object] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    facts: ModelFacts = field(default_factory=lambda: ModelFacts())
    examples: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()

    def can(self, task: str) -> bool:
        """Whether it is offered for that task."""
        return task in (self.tasks or self.modalities)

    @property
    def owner(self) -> str:
        """The part of the id before the slash: "starter", "local", or the hub organisation."""
        return self.id.split("/")[0]

    @property
    def place(self) -> str:
        """Where it lies on this disk, as text to be shown."""
        return cleaned(self.source.path)


NO_MODEL = ModelSpec("", "", (), "", Source())
"""Stands where a task needs no model."""


def cleaned(text: str) -> str:
    """Text from file names and configs as it can be shown, stored and sent: names on a disk need not be Unicode."""
    plain = text.encode("utf-8", "replace").decode()
    return "".join(letter if letter.isprintable() else " " for letter in plain)
