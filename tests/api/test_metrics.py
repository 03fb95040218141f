"""/metrics is Prometheus' text format: every sample has its HELP and TYPE, and no name can break a line."""

from __future__ import annotations

import re

import httpx

from studio.api.metrics import CONTENT_TYPE, exposition
from studio.settings import Settings
from studio.studio import Studio
from tests.api.conftest import application, served

SAMPLE = re.compile(r'([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*\})? (-?[0-9.e+-]+)')
TOLD = {
    "worker": "ready",
    "queue": {"queued": 2, "running": 1},
    "memory": {
        "device": "cuda:0",
        "budget_bytes": 12 << 30,
        "committed_bytes": 3 << 30,
        "counters": {"hits": 5, "wait_seconds": 1.5, "brand_new": 1},
        "components": [{"key": 'a"b\\c\nd:unet', "nbytes": 7, "state": "resident"}],
    },
}


def families(text: str) -> dict[str, str]:
    """Metric → kind; fails on a line that Prometheus would not read."""
    kinds: dict[str, str] = {}
    helped = set()
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped.add(line.split()[2])
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in kinds, f"{name} is told twice"
            kinds[name] = kind
        else:
            found = SAMPLE.fullmatch(line)
            assert found, line
            assert found[1] in kinds
            assert found[1] in helped
            assert (kinds[found[1]] == "counter") == found[1].endswith("_total")
    return kinds


def test_what_the_worker_told_is_exposed() -> None:
    text = exposition(TOLD, {"completed": 4})
    kinds = families(text)
    assert 'atelier_memory_committed_bytes{device="cuda:0"} 3221225472' in text
    assert "atelier_jobs_queued 2\n" in text
    assert 'atelier_jobs_ended_total{status="completed"} 4' in text
    assert 'atelier_memory_wait_seconds_total{device="cuda:0"} 1.5' in text
    assert 'component="a\\"b\\\\c\\nd:unet"' in text
    assert kinds["atelier_memory_brand_new_total"] == "counter"
    assert "atelier_memory_host_bytes" not in kinds  # not told, so not made up


def test_a_worker_that_has_told_nothing_yet_has_metrics_too() -> None:
    text = exposition({"worker": "starting", "queue": {}, "memory": {}}, {})
    assert "atelier_worker_ready 0\n" in text
    assert not [name for name in families(text) if "memory" in name]


def test_the_route_answers_and_wants_a_login_where_all_routes_do(
    client: httpx.Client, studio: Studio
) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == CONTENT_TYPE
    families(answer.text)
    locked = Settings(data_dir=studio.settings.data_dir, device="cpu", auth="ada:a-long-password,bob:another")
    with served(application(studio, locked)) as address, httpx.Client(base_url=address) as other:
        assert other.get("/metrics").status_code == 401
        assert other.get("/metrics", auth=("bob", "another")).status_code == 403
        assert other.get("/metrics", auth=("ada", "a-long-password")).status_code == 200
