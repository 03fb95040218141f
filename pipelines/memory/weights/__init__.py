"""The way of weights onto a device and off again: arenas, streams, mapped files. With torch, and nothing of models."""
