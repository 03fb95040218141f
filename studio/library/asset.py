"""Asset: a kept artifact, as everyone sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

KINDS = ("text", "code", "image", "audio", "video")


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
    facts: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
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
    def seed(self) -> int | None:
        seed = self.recipe.get("seed")
        return seed if isinstance(seed, int) else None
