"""What every test needs: no network, few threads, repeatable properties, and our own warnings as errors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).parent

os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when huggingface_hub is imported
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models only lose time to threads waiting for each other
os.environ.pop("STUDIO_DATA", None)

settings.register_profile("studio", deadline=None, derandomize=True)  # the same cases on every machine
settings.load_profile("studio")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", r"error:::(studio|pipelines|launch)(\..*)?$")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in this very hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two groups for `--dist=loadgroup`. xdist 3.8 does not see them under pytest 9.2: any test may meet any other."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item.path)))


def group_of(test: Path) -> str:
    """What mirrors a folder of `pipelines/` is about the worker and torch; all else is about the server."""
    place = test.relative_to(TESTS).parts[0]
    return "worker" if (TESTS.parent / "pipelines" / place).is_dir() else "server"
