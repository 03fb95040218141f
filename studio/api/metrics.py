"""GET /metrics: worker, queue and memory in Prometheus' text format (version 0.0.4), from the same numbers as /api/memory.

Written here rather than by a library: it is a page of text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from studio.accounts import owner_of, require
from studio.api.errors import ErrorRoute
from studio.workers import residents

if TYPE_CHECKING:
    from studio.studio import Studio

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

GAUGES = {
    "budget_bytes": "Device memory models may use now.",
    "committed_bytes": "Device memory promised to models and running work.",
    "working_bytes": "Part of it that is promised to running work itself.",
    "host_bytes": "Main memory that copies of models take.",
    "host_budget_bytes": "Main memory that copies of models may take.",
    "shelf_bytes": "Main memory that tokenizers take.",
    "pinned_bytes": "Main memory that is page-locked.",
    "waiting": "Jobs that wait for memory.",
}
"""What a snapshot tells as of now: key → help. Those it does not tell are left out."""
COUNTERS = {
    "leases": "Times models were lent.",
    "hits": "Times everything was there already.",
    "loads": "Models read from disk.",
    "uploads": "Copies onto the device.",
    "uploaded_bytes": "Bytes copied onto the device.",
    "evictions": "Times something left to make room.",
    "evicted_bytes": "Bytes that left to make room.",
    "waits": "Times a job waited for memory.",
    "wait_seconds": "Seconds jobs waited for memory.",
    "out_of_memory": "Times the device ran out of memory.",
    "prefetches": "Times something was fetched before it was asked for.",
    "prefetch_hits": "Times that was what came next.",
    "refusals": "Jobs that were told they do not fit.",
}
"""What a snapshot counts since the worker started: key → help; a new key is told under its own name."""


@dataclass(frozen=True)
class Sample:
    value: float
    labels: Mapping[str, str]


def router(studio: Studio) -> APIRouter:
    routes = APIRouter(route_class=ErrorRoute)

    @routes.get("/metrics")
    def metrics(http: Request) -> Response:
        """The numbers of this studio for a monitoring system to collect; the administrator's where there is a login."""
        require(http.state.accounts.settings, owner_of(http), "see_machine")
        return Response(exposition(studio.telemetry(), studio.store.totals()), media_type=CONTENT_TYPE)

    return routes


def exposition(told: Mapping[str, object], totals: Mapping[str, int]) -> str:
    """The text for a `Studio.telemetry()`. totals: how many jobs ended, by status."""
    snapshot, queue = _table(told, "memory"), _table(told, "queue")
    device = {"device": str(snapshot.get("device", ""))}
    lines = _family(
        "atelier_worker_ready", "gauge", "1 while a worker takes jobs.", told.get("worker") == "ready"
    )
    lines += _family(
        "atelier_jobs_queued", "gauge", "Jobs that wait for their turn.", _number(queue.get("queued"))
    )
    lines += _family("atelier_jobs_running", "gauge", "Jobs that run.", _number(queue.get("running")))
    ended = [
        Sample(totals.get(status, 0), {"status": status}) for status in ("completed", "failed", "cancelled")
    ]
    lines += _family("atelier_jobs_ended_total", "counter", "Jobs in the history of this data folder.", ended)
    for key, help in GAUGES.items():
        if isinstance(value := snapshot.get(key), int | float):
            lines += _family(f"atelier_memory_{key}", "gauge", help, [Sample(value, device)])
    for key, value in _table(snapshot, "counters").items():
        help = COUNTERS.get(key, "Counted by the memory manager since the worker started.")
        lines += _family(f"atelier_memory_{key}_total", "counter", help, [Sample(_number(value), device)])
    held = [
        Sample(
            part.nbytes,
            {"component": part.key, "models": ",".join(part.models), "state": part.state, **device},
        )
        for part in residents.parts(snapshot)
    ]
    lines += _family("atelier_memory_component_bytes", "gauge", "What each part of a model takes now.", held)
    return "".join(f"{line}\n" for line in lines)


def _table(told: Mapping[str, object], key: str) -> Mapping[str, object]:
    found = told.get(key)
    return found if isinstance(found, dict) else {}


def _number(told: object) -> float:
    return told if isinstance(told, int | float) else 0


def _family(name: str, kind: str, help: str, samples: Iterable[Sample] | float) -> list[str]:
    """The lines of one metric; none when it has no samples."""
    if isinstance(samples, int | float):
        samples = [Sample(samples, {})]
    told = [f"{name}{_labels(sample.labels)} {float(sample.value):.17g}" for sample in samples]
    return [f"# HELP {name} {_escape(help)}", f"# TYPE {name} {kind}", *told] if told else []


def _labels(labels: Mapping[str, str]) -> str:
    pairs = [f'{name}="{_escape(text, quotes=True)}"' for name, text in labels.items()]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _escape(text: str, *, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text
