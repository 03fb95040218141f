"""Asset: a kept artifact, as everyone sees it."""

from __future__ import annotations

from dataclasses import dataclass, field

Json = dict[str, object]
"""A JSON object: what it means is the business of whoever wrote it."""


@dataclass(frozen=True)
class Asset:
    """A kept artifact. file: relative to the library folder. missing: the file is no longer there.

    title: for people (the start of the prompt, or an upload's name); prompt: the recipe's own. Times are seconds since 1970.
    """

    id: str
    kind: str
    media_type: str
    file: str
    title: str
    model: str
    owner: str
    created_at: float
    nbytes: int
    sha256: str
    facts: Json = field(default_factory=dict)
    recipe: Json = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    starred: bool = False
    trashed_at: float | None = None
    job_id: str = ""
    uploaded: bool = False
    missing: bool = False

    @property
    def prompt(self) -> str:
        return str(self.recipe.get("prompt", ""))

    @property
    def notes(self) -> list[str]:
        """What was done otherwise than asked, a sentence each."""
        told = self.facts.get("notes")
        return [str(note) for note in told] if isinstance(told, list | tuple) else []

    def count(self, fact: str) -> int:
        """A fact that is a number of things; 0 where nobody counted."""
        told = self.facts.get(fact)
        return told if isinstance(told, int) else 0

    @property
    def seed(self) -> int | None:
        seed = self.recipe.get("seed")
        return seed if isinstance(seed, int) else None
