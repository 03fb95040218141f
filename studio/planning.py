"""What running a request would take, told before it runs: the one place where that becomes a sentence, for page, API and CLI."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pipelines.errors import readable_bytes
from pipelines.messages import Planned

WAYS = {
    "tiled small": "decoded in small tiles",
    "tiled": "decoded in tiles",
    "apart": "guidance in two halves",
}
"""What a pipeline does to save memory, in words; what is not among them is told as it is called."""
SHORT_SECONDS = 0.5
"""Loading that takes less is not worth a word."""
MOST_NAMES = 2
NOTHING = "Needs no room on the device"


@dataclass(frozen=True)
class Forecast:
    """A plan with what the server adds to it.

    leaves: titles of other models that would leave. waits: only when jobs that run now are done. budget_bytes: what models may
    use together, 0 when unknown. work_seconds: without loading, None when that cannot be told.
    """

    planned: Planned
    leaves: tuple[str, ...] = ()
    waits: bool = False
    budget_bytes: int = 0
    work_seconds: float | None = None

    @property
    def seconds(self) -> float | None:
        """Until it would be done if it ran now; None when that cannot be told."""
        return None if self.work_seconds is None else self.work_seconds + self.planned.load_seconds

    @property
    def phrases(self) -> list[str]:
        """The facts in the order people want them."""
        planned = self.planned
        if not planned.fits:
            told = planned.problem
            parts = (told.message, told.detail, told.hint) if told else ("It does not fit.",)
            return [part for part in parts if part]
        facts = [*_ways(planned.way), self._memory(), *self._time()]
        facts = [fact for fact in facts if fact]
        return [self._head(), *facts]

    def as_json(self) -> dict[str, object]:
        """All that is known, as plain JSON."""
        planned = {key: value for key, value in asdict(self.planned).items() if key != "query_id"}
        return planned | {
            "leaves": list(self.leaves),
            "waits": self.waits,
            "budget_bytes": self.budget_bytes,
            "seconds": self.seconds,
            "text": self.text,
        }

    @property
    def text(self) -> str:
        """One line: "Fits after SDXL leaves · 3.1 GB of 12 GB · loads in 4 s"."""
        return (" · " if self.planned.fits else " ").join(self.phrases)

    def _head(self) -> str:
        if not self.planned.need_bytes:
            return NOTHING
        head = "Fits" if self.planned.how == "full" else "Runs streamed (slower)"
        if self.waits:
            return f"{head} when the job that runs now is done"
        if not self.leaves:
            return head
        if len(self.leaves) > MOST_NAMES:
            return f"{head} after {len(self.leaves)} models leave"
        return f"{head} after {' and '.join(self.leaves)} {'leaves' if len(self.leaves) == 1 else 'leave'}"

    def _memory(self) -> str:
        need = readable_bytes(self.planned.need_bytes)
        if not self.planned.need_bytes or not self.budget_bytes:
            return ""
        return f"{need} of {readable_bytes(self.budget_bytes)}"

    def _time(self) -> list[str]:
        load, total = self.planned.load_seconds, self.seconds
        if total is None:
            return [f"loads in {rough_seconds(load)}"] if load >= SHORT_SECONDS else []
        return [f"about {rough_seconds(total)}"]


def _ways(name: str) -> list[str]:
    """The words for a way's name, which may join several: "tiled apart"."""
    told = []
    for known, words in WAYS.items():
        if known in name:
            told.append(words)
            name = name.replace(known, "")
    return [*told, name.strip()]


def rough_seconds(value: float) -> str:
    """A time as one says it beforehand: "1 s", "40 s", "3 min", "2 h 10 min"."""
    if value < 90:
        return f"{max(1, round(value))} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
