"""The workers there are, behind one front: whether one has room, what a model costs to bring in, who takes a job.

One today, on this machine. The queue asks nothing else of its workers, so a second one, on another device or machine, is a
second `Station` here and a rule for who takes a job; nothing around changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

from pipelines.catalog import ModelSpec
from pipelines.messages import BaseRequest, Command, Plan, Planned, Ready, Run
from studio.workers.station import Link, Receiver, Station, WorkerState


class Pool:
    """All workers of one studio."""

    def __init__(self, stations: Sequence[Station]) -> None:
        assert stations, "somebody has to work"
        names = {station.name for station in stations} - {""}
        assert len(stations) in (1, len(names)), "each works in a folder of its own"
        self.stations = tuple(stations)

    # ---- life -------------------------------------------------------------------------------------------------------

    def start(self, receiver: Receiver) -> None:
        """Start the workers; returns at once. What comes back goes to the receiver."""
        for station in self.stations:
            station.start(receiver)

    def look_after(self) -> None:
        """Start again what was lost, end what does not hear. Call it now and then."""
        for station in self.stations:
            station.look_after()

    def close(self) -> None:
        """Stop them; returns when all they made is filed."""
        for station in self.stations:
            station.close()

    # ---- jobs -------------------------------------------------------------------------------------------------------

    def has_room(self, modality: str) -> bool:
        """Whether a job of that modality could begin now."""
        return any(station.has_room(modality) for station in self.stations)

    @property
    def at_once(self) -> int:
        """So many jobs of one modality can run at a time."""
        return len(self.stations)

    def seconds(self, spec: ModelSpec) -> float:
        """Until that model could work where it is nearest."""
        return min(station.seconds(spec) for station in self.stations)

    def run(self, run: Run) -> bool:
        """Have the worker that is nearest to it carry out a job; False when none has room any more."""
        free = [station for station in self.stations if station.has_room(run.request.modality)]
        return any(
            station.run(run) for station in sorted(free, key=lambda station: station.seconds(run.spec))
        )

    def cancel(self, job_id: str) -> None:
        """Have the worker that has that job stop it."""
        for station in self.stations:
            station.cancel(job_id)

    def filed(self, job_id: str) -> None:
        """The end of a job was written."""
        for station in self.stations:
            station.filed(job_id)

    # ---- words ------------------------------------------------------------------------------------------------------

    def tell(self, command: Command) -> None:
        """Have every worker hear that."""
        for station in self.stations:
            station.send(command)

    def expect(
        self, job_ids: tuple[str, ...], look: Callable[[], Sequence[tuple[BaseRequest, ModelSpec]]]
    ) -> None:
        """Tell the workers what comes next when that changed. look: the (request, spec) pairs of these jobs."""
        for station in self.stations:
            station.expect(job_ids, look)

    def ask(self, plan: Plan) -> Future[Planned]:
        """What the worker says that would take it, in time."""
        return min(self.stations, key=lambda station: station.seconds(plan.spec)).ask(plan)

    # ---- how they are -----------------------------------------------------------------------------------------------

    @property
    def links(self) -> list[Link]:
        """The workers that are alive."""
        return [station.link for station in self.stations if station.link is not None]

    @property
    def state(self) -> WorkerState:
        return self.stations[0].state

    @property
    def ready(self) -> Ready | None:
        """What the worker said when it was ready, None before."""
        return self.stations[0].ready

    @property
    def snapshot(self) -> Mapping[str, object]:
        """Its last word about its memory."""
        return self.stations[0].snapshot
