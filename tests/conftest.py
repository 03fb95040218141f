"""What every test needs: no network, few threads, repeatable properties, and our own warnings as errors."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when huggingface_hub is imported
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models only lose time to threads waiting for each other
os.environ.pop("STUDIO_DATA", None)

settings.register_profile("studio", deadline=None, derandomize=True)  # the same cases on every machine
settings.load_profile("studio")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", r"error:::(studio|pipelines|launch)(\..*)?$")
