"""The whole of `launch.py train starter-image`: words, then pictures and autoencoder side by side in time, then the folder."""

import time
from pathlib import Path

import torch

from pipelines.training.starter import image

VAE_SHARE = 0.4  # of the minutes given


def run(
    run_dir: Path, out: Path, *, resume: bool = False, minutes: float | None = None, threads: int = 0
) -> None:
    """Train what is not finished yet, for `minutes` at most, and write `out` from what there is.

    resume: without checkpoints in `run_dir`, go on from the weights in `out`.
    """
    if threads:
        torch.set_num_threads(threads)
    started = time.monotonic()

    def left(share: float = 1.0) -> float | None:
        return None if minutes is None else share * max(0.0, minutes - (time.monotonic() - started) / 60)

    if resume and not run_dir.exists() and (out / "basis.safetensors").exists():
        image.adopt(out, run_dir)
    if not (run_dir / "diffusion" / "latest").exists():
        image.train_words(run_dir, resume=resume, minutes=left())
    image.train_vae(run_dir, resume=resume, minutes=left(VAE_SHARE))
    image.train_diffusion(run_dir, resume=resume, minutes=left())
    for name, number in image.check_gates(run_dir).items():
        print(f"{name:>14}  {number:.4f}")
    image.export(run_dir, out)
