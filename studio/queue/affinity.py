"""Which waiting job starts next: fair between owners first, and among what is equally fair the one whose model is nearest.

Owners are served in rounds: whoever waits gets one turn before anybody gets another. Two jobs are equally fair when the turns of
their owners belong to the same round. Among the first `WINDOW` jobs of the fair line, of those that are equally fair with its
head, the one that costs least to bring in starts, and each job it passes has been overtaken once more; one that was overtaken
`MOST_OVERTAKEN` times is passed no more. So the head of a line waits for at most that many others, whatever comes in.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

WINDOW = 4
MOST_OVERTAKEN = 3
LEAST_GAIN_SECONDS = 0.1
"""Nobody is overtaken for less than that."""

Cost = Callable[[str], float]
"""Seconds until a model, named by its id, could work."""


def free(model: str) -> float:
    """The cost where nothing is known of the device: everything costs the same, so the line stays as it is."""
    return 0.0


@dataclass(frozen=True)
class Waiting:
    """A job in line. overtaken: how often one behind it started first."""

    id: str
    owner: str
    model: str
    overtaken: int = 0


@dataclass(frozen=True)
class Turn:
    """The last turn of an owner. number: counts all turns of everybody, so that who waited longer comes first in a round."""

    round: int = 0
    number: int = 0


@dataclass(frozen=True)
class Choice:
    """Who starts, in which round that counts, and whom it passes."""

    job: Waiting
    round: int
    overtakes: tuple[str, ...]


class Line:
    """The waiting jobs of one modality, and whose turn it is.

    waiting: oldest first. turns: the last turn of each owner that ever had one. round: that of the job started last.
    """

    def __init__(self, waiting: Iterable[Waiting], turns: Mapping[str, Turn], round: int = 0) -> None:
        self._jobs: dict[str, list[Waiting]] = {}
        for job in waiting:
            self._jobs.setdefault(job.owner, []).append(job)
        # who was away has no turns saved up: the next turn is of the present round
        self._next = {
            owner: max(round, turns[owner].round + 1) if owner in turns else max(round, 1)
            for owner in self._jobs
        }
        self._last = {owner: turns[owner].number if owner in turns else 0 for owner in self._jobs}
        self._place = {owner: place for place, owner in enumerate(self._jobs)}
        self._turns = max((turn.number for turn in turns.values()), default=0)

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def head(self, count: int) -> list[tuple[int, Waiting]]:
        """The first jobs of the fair line with the rounds they count in: owners take turns, each one's own oldest first."""
        heap = [(self._next[owner], self._last[owner], self._place[owner], owner, 0) for owner in self._jobs]
        heapq.heapify(heap)
        number, found = self._turns, list[tuple[int, Waiting]]()
        while heap and len(found) < count:
            round, _, place, owner, index = heapq.heappop(heap)
            found.append((round, self._jobs[owner][index]))
            number += 1
            if index + 1 < len(self._jobs[owner]):
                heapq.heappush(heap, (round + 1, number, place, owner, index + 1))
        return found

    def take(self, choice: Choice) -> None:
        """Have that job started."""
        owner = choice.job.owner
        self._turns += 1
        self._next[owner], self._last[owner] = choice.round + 1, self._turns
        self._jobs[owner].remove(choice.job)
        for jobs in self._jobs.values() if choice.overtakes else ():
            jobs[:WINDOW] = [
                replace(job, overtaken=job.overtaken + 1) if job.id in choice.overtakes else job
                for job in jobs[:WINDOW]
            ]
        if not self._jobs[owner]:
            del self._jobs[owner]

    def next(self, cost: Cost = free) -> Choice:
        """Who starts now; there must be somebody."""
        return choose(self.head(WINDOW), cost)

    def order(self, cost: Cost = free) -> list[str]:
        """Job ids in the order they will start if nobody comes, emptying the line. A model that ran is near afterwards."""
        costs = {job.model: 0.0 for jobs in self._jobs.values() for job in jobs}
        costs |= {model: cost(model) for model in costs}
        order = []
        while self._jobs and max(costs.values()) >= LEAST_GAIN_SECONDS:
            choice = self.next(costs.__getitem__)
            self.take(choice)
            costs[choice.job.model] = 0.0
            order.append(choice.job.id)
        # from here on nobody is worth overtaking: the rest is the fair line as it stands
        order += [job.id for _, job in self.head(sum(map(len, self._jobs.values())))]
        self._jobs.clear()
        return order


def choose(fair: Sequence[tuple[int, Waiting]], cost: Cost) -> Choice:
    """The job to start from the head of a fair line, (round, job) pairs."""
    round, _ = fair[0]
    owners = {job.owner for its_round, job in fair if its_round == round}
    open_places = []
    for place, (_, job) in enumerate(fair[:WINDOW]):
        if job.owner in owners:
            open_places.append(place)
        if job.overtaken >= MOST_OVERTAKEN:
            break
    seconds = [cost(fair[place][1].model) for place in open_places]
    least = min(seconds)
    best = open_places[seconds.index(least)] if seconds[0] - least >= LEAST_GAIN_SECONDS else 0
    return Choice(fair[best][1], round, tuple(job.id for _, job in fair[:best]))
