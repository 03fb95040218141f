"""Paint a part of a picture anew and keep the rest, with any model that can start from a picture.

While it denoises, what must stay is put back into the latents after every step, at the noise of that step, so that the new part
grows to fit its surroundings (Lugmayr et al., RePaint, 2022, without its resampling). At the end the kept pixels are copied from
the start picture: where the mask is black, not one bit changes.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from pipelines.loading.parts import Untyped

BLIND = "The new part was painted without looking at its surroundings: this model cannot be told what stays."


class Repaint:
    """One picture of which only a part may change. mask: as large as `picture`, mode L, white where it is painted anew.

    Make it for a pipeline with a fresh scheduler: it listens to how the start picture gets its noise. sees_surroundings: whether
    the model could be shown what stays.
    """

    def __init__(self, pipeline: Untyped, picture: Image.Image, mask: Image.Image) -> None:
        self._picture, self._mask = picture, mask
        self._clean: torch.Tensor | None = None
        self._noise: torch.Tensor | None = None
        self._cells: torch.Tensor | None = None
        self._add_noise: Untyped = None
        self.sees_surroundings = False
        # the start picture's latents and the noise on them are made inside the pipeline; they can be had only where it mixes the
        # two, and the scheduler that does so is this job's own
        scheduler: Untyped = getattr(pipeline, "scheduler", None)
        if hasattr(scheduler, "add_noise"):
            self._add_noise = add_noise = scheduler.add_noise

            def heard(samples: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
                self._clean, self._noise = samples, noise
                return add_noise(samples, noise, timesteps)

            scheduler.add_noise = heard
        elif hasattr(scheduler, "scale_noise"):  # flow matching has the arguments in another order
            scale_noise = scheduler.scale_noise
            self._add_noise = lambda samples, noise, at: scale_noise(samples, at, noise)

            def heard_flow(sample: torch.Tensor, timestep: Untyped, noise: torch.Tensor) -> torch.Tensor:
                self._clean, self._noise = sample, noise
                return scale_noise(sample, timestep, noise)

            scheduler.scale_noise = heard_flow

    def keep(self, pipeline: Untyped, step: int, latents: torch.Tensor) -> torch.Tensor:
        """The latents after step `step` (counted from 0) with what must stay put back, of the same shape."""
        if self._clean is None or self._noise is None:
            return latents
        if self._cells is None:
            self._cells = self._latent_mask(pipeline, latents)
            if self._cells is None:
                self._clean = None
                return latents
            self.sees_surroundings = True
        timesteps = pipeline.scheduler.timesteps
        coming = len(timesteps) - int(getattr(pipeline, "num_timesteps", len(timesteps))) + step + 1
        stays = self._clean
        if coming < len(timesteps):
            stays = self._add_noise(stays, self._noise, timesteps[coming : coming + 1])
        return torch.where(self._cells, latents, stays.to(latents.dtype).reshape(latents.shape))

    def compose(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8: the painted pixels where the mask is white, the start picture's where it is black, a mix in grey."""
        height, width = pixels.shape[:2]
        before = np.asarray(self._picture.resize((width, height)), np.float32)
        share = np.asarray(self._mask.resize((width, height)), np.float32)[:, :, None] / 255
        mixed: np.ndarray = (before + (pixels - before) * share).round().astype(np.uint8)
        return mixed

    def _latent_mask(self, pipeline: Untyped, latents: torch.Tensor) -> torch.Tensor | None:
        """True in every latent cell that the mask touches; None for latents of a shape we do not know."""
        white = torch.from_numpy(np.asarray(self._mask).astype(np.float32))[None, None]
        if latents.ndim == 4:
            size = latents.shape[-2:]
        elif latents.ndim == 3 and hasattr(pipeline, "_pack_latents"):  # packed in squares of 2 × 2
            factor = 2 * pipeline.vae_scale_factor
            size = torch.Size([2 * (white.shape[-2] // factor), 2 * (white.shape[-1] // factor)])
        else:
            return None
        cells = F.adaptive_max_pool2d(white, list(size)) > 0
        if latents.ndim == 3:
            channels = latents.shape[-1] // 4
            whole = cells.expand(1, channels, *size)
            cells = pipeline._pack_latents(whole, 1, channels, *size)
        return cells.to(latents.device) if cells.shape[1:] == latents.shape[1:] or latents.ndim == 4 else None
