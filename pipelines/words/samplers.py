"""What programs call the samplers, and the diffusers class each is here: one table, for writing files and for reading them.

A sampler's name often carries a schedule ("DPM++ 2M Karras"); the two are told apart here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# diffusers class → names, as AUTOMATIC1111 writes it first. Names are compared by `_plain`.
SAMPLERS = {
    "EulerDiscreteScheduler": ("Euler", "k_euler", "sample_euler"),
    "EulerAncestralDiscreteScheduler": ("Euler a", "euler_ancestral", "k_euler_ancestral", "k_euler_a"),
    "DPMSolverMultistepScheduler": ("DPM++ 2M", "dpmpp_2m", "k_dpmpp_2m"),
    "DPMSolverSinglestepScheduler": ("DPM++ 2S", "dpmpp_2s"),
    "DPMSolverSDEScheduler": ("DPM++ SDE", "dpmpp_sde", "dpmpp_sde_gpu", "k_dpmpp_sde"),
    "HeunDiscreteScheduler": ("Heun", "k_heun"),
    "KDPM2DiscreteScheduler": ("DPM2", "dpm_2", "k_dpm_2"),
    "KDPM2AncestralDiscreteScheduler": ("DPM2 a", "dpm_2_ancestral", "k_dpm_2_ancestral", "k_dpm_2_a"),
    "LMSDiscreteScheduler": ("LMS", "k_lms"),
    "DDIMScheduler": ("DDIM",),
    "DDPMScheduler": ("DDPM",),
    "PNDMScheduler": ("PLMS", "pndm"),
    "DEISMultistepScheduler": ("DEIS",),
    "UniPCMultistepScheduler": ("UniPC", "uni_pc", "uni_pc_bh2"),
    "LCMScheduler": ("LCM",),
    "TCDScheduler": ("TCD",),
}  # fmt: skip

# Samplers that are not here, and the one that comes nearest.
NEAREST = {
    "dpmpp 2m sde": "DPMSolverMultistepScheduler", "dpmpp 2m sde gpu": "DPMSolverMultistepScheduler",
    "dpmpp 2m sde heun": "DPMSolverMultistepScheduler", "dpmpp 3m sde": "DPMSolverMultistepScheduler",
    "dpmpp 3m sde gpu": "DPMSolverMultistepScheduler", "k dpmpp 2m sde": "DPMSolverMultistepScheduler",
    "dpmpp 2s a": "DPMSolverSinglestepScheduler", "dpmpp 2s ancestral": "DPMSolverSinglestepScheduler",
    "k dpmpp 2s ancestral": "DPMSolverSinglestepScheduler", "euler cfg pp": "EulerDiscreteScheduler",
    "euler ancestral cfg pp": "EulerAncestralDiscreteScheduler", "ddim cfg pp": "DDIMScheduler",
}  # fmt: skip

USUAL_SCHEDULES = {
    "",
    "automatic",
    "normal",
    "simple",
    "native",
    "default",
    "discrete",
    "none",
    "uniform",
    "flow",
}
OTHER_SCHEDULES = {
    "karras", "exponential", "polyexponential", "sgm uniform", "beta", "linear quadratic", "kl optimal", "ddim uniform",
    "turbo", "align your steps", "ays", "edm playground v2.5", "bong tangent",
}  # fmt: skip
ENDINGS = (" karras", " exponential", " sgm uniform", " beta", " simple", " turbo")


@dataclass(frozen=True)
class Sampler:
    """A sampler as found. name: its diffusers class, "" for none; schedule: one that is not the usual; told: what is lost."""

    name: str = ""
    schedule: str = ""
    told: str = ""


def written(class_name: str) -> str:
    """What other programs call that class; classes without such a name go by their own."""
    return SAMPLERS.get(class_name, (class_name,))[0]


def sampler_of(text: str) -> Sampler:
    """The sampler someone's file names, with or without a schedule behind it."""
    if re.fullmatch(r"\w{1,70}Scheduler", text):
        return Sampler(text)
    plain = _plain(text[:80])
    ending = next((ending for ending in ENDINGS if plain.endswith(ending)), "")
    plain, schedule = plain.removesuffix(ending), ending.strip()
    if plain not in _BY_NAME and plain.endswith(" k"):  # InvokeAI: dpmpp_2m_k
        plain, schedule = plain.removesuffix(" k"), "karras"
    if plain in _BY_NAME:
        return Sampler(_BY_NAME[plain], schedule)
    if plain in NEAREST:
        near = NEAREST[plain]
        return Sampler(near, schedule, f"the sampler {text[:80]}: {written(near)} comes nearest")
    return Sampler(
        "", schedule, f"the sampler {text[:80]}: there is none like it here, so the model's own is used"
    )


def is_schedule(text: str) -> bool:
    """Whether the word names a schedule and not a sampler."""
    return _plain(text[:80]) in OTHER_SCHEDULES | USUAL_SCHEDULES


def is_usual(schedule: str) -> bool:
    """Whether a schedule is what a sampler does anyway."""
    return _plain(schedule[:80]) in USUAL_SCHEDULES


def _plain(text: str) -> str:
    return re.sub(r"[_\s-]+", " ", text.lower().replace("++", "pp")).strip()


_BY_NAME = {_plain(name): found for found, names in SAMPLERS.items() for name in names}
