"""Tune a model: one training loop, seeded and resumable."""
