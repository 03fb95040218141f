"""Who leaves: reload seconds beside the offline optimum, which knows all that comes, and simple rules."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from tests.bench.memory.optimum import RULES, SINGLE_OWNER, optimum, rule_seconds
from tests.bench.memory.replay import LINKS, NOTHING, OWN_JOB, Link, replay
from tests.bench.memory.traces import GIB, PARTS, Trace, all_traces
from tests.bench.report import Report

BUDGETS = (8, 12, 16)
SEEDS = (11, 12, 13)
"""The policy was shaped on seeds 1 to 4; these it had not seen."""
JOBS = 120
SMALL: dict[str, Any] = {"seeds": (11,), "jobs": 12}
OURS = {
    "ours, told nothing": NOTHING,
    "ours, the job's own phases": OWN_JOB,
    "ours, and one queued job": 1,
    "ours, and two queued jobs": 2,
}
BARS = {"ours, told nothing": 1.20, "ours, the job's own phases": 1.10, "ours, and two queued jobs": 1.05}


def tell(report: Report, seeds: tuple[int, ...] = SEEDS, jobs: int = JOBS) -> None:
    """Reload seconds of all traces and budgets; the bars are of those from RAM."""
    found = Found()
    for link in LINKS:
        for trace in (trace for seed in seeds for trace in all_traces(seed, jobs)):
            for gib in BUDGETS:
                found.add(link, trace, gib)
    budgets = ", ".join(map(str, BUDGETS))
    report.say(f"{len(seeds) * 5} traces of {jobs} jobs, budgets of {budgets} GiB, {len(PARTS)} components.")
    for link in LINKS:
        best = found.seconds[link.name]["optimum"]
        report.figure(f"{link.name}: the offline optimum (baseline)", best)
        for name, seconds in found.seconds[link.name].items():
            if name != "optimum":
                report.figure(f"{link.name}: {name}", seconds, best)
    in_ram = [link.name for link in LINKS if not link.unified]
    for name, most in BARS.items():
        mean = statistics.mean(ratio for link in in_ram for ratio in found.ratios(link, name))
        report.bar(f"{name}, from RAM, over the optimum, mean", f"{most:.2f}×", f"{mean:.3f}×", mean <= most)
    report.bar(f"needless evictions in {found.leases:,} leases", "0", str(found.needless), not found.needless)
    report.say(_matrix("reload seconds / optimum: mean (largest)", found, by_session=False))
    report.say(_matrix(f"the same by session, {LINKS[1].name}", found, by_session=True))


@dataclass
class Found:
    """seconds: link → who decides → reload seconds of each trace under each budget; "optimum" is one who decides."""

    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    sessions: list[str] = field(
        default_factory=list
    )  # of the traces, in the order of the seconds of one link
    needless: int = 0
    leases: int = 0

    def add(self, link: Link, trace: Trace, gib: int) -> None:
        here, costs, budget = self.seconds.setdefault(link.name, {}), link.costs(), gib * GIB
        here.setdefault("optimum", []).append(optimum(trace, budget, costs))
        for rule in (*RULES, SINGLE_OWNER):
            here.setdefault(rule, []).append(rule_seconds(rule, trace, budget, costs))
        for name, told in OURS.items():
            outcome = replay(trace, budget, link, told)
            here.setdefault(name, []).append(outcome.reload_seconds)
            self.needless += outcome.needless
            self.leases += outcome.leases
        if link is LINKS[1]:
            self.sessions.append(trace.name)

    def ratios(self, link: str, name: str, session: str = "") -> list[float]:
        pairs = zip(self.seconds[link][name], self.seconds[link]["optimum"], strict=True)
        ratios = [seconds / best for seconds, best in pairs]
        if not session:
            return ratios
        return [ratio for ratio, each in zip(ratios, self.sessions, strict=True) if each == session]


def _matrix(title: str, found: Found, *, by_session: bool) -> str:
    columns = list(dict.fromkeys(found.sessions)) if by_session else list(found.seconds)
    lines = [f"| {title} | " + " | ".join(columns) + " |", "|---" * (1 + len(columns)) + "|"]
    for name in (*RULES, SINGLE_OWNER, *OURS):
        cells = [
            found.ratios(LINKS[1].name, name, column) if by_session else found.ratios(column, name)
            for column in columns
        ]
        told = (f"{statistics.mean(each):.2f} ({max(each):.2f})" for each in cells)
        lines.append(f"| {name} | " + " | ".join(told) + " |")
    return "\n".join(lines)
