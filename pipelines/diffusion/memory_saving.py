"""What painting takes in memory, and the ways to take less: decode in tiles, run the two halves of guidance one after the other.

A lent model may be in use by another job, so nothing is switched on in it: the switches are set on a copy of its shell, which
shares the weights. Slices of attention are not among them: the attention used never holds the whole matrix. Nor are slices of a
batch of pictures: they are painted one by one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch

from pipelines.catalog.headers import BadFile, read_json
from pipelines.diffusion.calls import picture_model
from pipelines.loading.diffusion import Bundle
from pipelines.loading.parts import Untyped
from pipelines.memory.learned import work_label
from pipelines.messages import DiffusionRequest
from pipelines.runtime.ladder import Ladder, Way

TILES = {512: "tiled", 256: "tiled small"}
"""Edges in pixels of the tiles a picture may be decoded in, with their names. Smaller ones show: each is normalised by itself."""
TILED = "Decoded in tiles: the device was short of memory."
APART = "The two halves of guidance were computed one after the other: the device was short of memory."
OVERHEAD = 48 << 20


@dataclass(frozen=True)
class PaintingWay(Way):
    """tile: edge of a tile in pixels, 0 for the whole picture at once. apart: guidance in two passes."""

    tile: int = 0
    apart: bool = False


def working_bytes(bundle: Bundle, request: DiffusionRequest, tile: int = 0, apart: bool = False) -> int:
    """Bytes one picture needs beside the weights: the larger of denoising and decoding, which never overlap.

    Priors, from the shapes of Stable Diffusion, where the VAE is 128 wide at full size: decoding is given 2,200 numbers per pixel
    in half precision, as GPUs add work space of their own, and 1,300 on the CPU; a UNet about 64 activations as wide as its first
    level per latent, twice for guidance; a transformer about 24 per token. Measured on the CPU with a VAE of that size: 1,040 MB
    for 512² at once, 336 MB for 256² and 495 MB for 512² in tiles of 256. A UNet of that size took 370 MB there for 128², most of
    it weights put in another order by the kernels: a tenth of the largest part. What it really takes is learned.
    """
    pixels = request.width * request.height
    at_once = min(request.width, tile) * min(request.height, tile) if tile else pixels
    vae = _config(bundle, "vae")
    width = min(vae.get("block_out_channels") or [128])
    in_float32 = vae.get("force_upcast") and hasattr(bundle.pipeline_class, "upcast_vae")
    numbers = 1300 if bundle.dtype == torch.float32 else 2200
    decode = at_once * numbers * width / 128 * (4 if in_float32 else bundle.dtype.itemsize)
    decode += pixels * 128 if tile else 0  # the tiles done, and the picture they are put together to
    unet, transformer = _config(bundle, "unet"), _config(bundle, "transformer")
    latents, passes = pixels / 64, 1 if apart else 2
    denoise = latents * 64 * (unet.get("block_out_channels") or [0])[0] * passes * bundle.dtype.itemsize
    heads = (transformer.get("num_attention_heads") or 0) * (transformer.get("attention_head_dim") or 0)
    denoise += latents / 4 * 24 * heads * passes * bundle.dtype.itemsize
    if bundle.dtype == torch.float32:
        denoise += max(component.nbytes for component in bundle.components) / 10
    return int(max(decode, denoise)) + OVERHEAD


def painting_ways(
    bundle: Bundle, request: DiffusionRequest, operation: str = "image", frames: int = 1
) -> tuple[PaintingWay, ...]:
    """How a picture (or `frames` of them at once) may be painted: the usual way, then others, each with less memory."""
    is_guided = request.guidance_scale > 1
    source = "from-picture" if request.init_image else "from-words"
    shape = (f"{request.width}x{request.height}x{frames}", source, *(["guided"] if is_guided else []))

    def way(tile: int = 0, apart: bool = False) -> PaintingWay:
        name = " ".join([*([TILES[tile]] if tile else []), *(["apart"] if apart else [])])
        note = " ".join([*([TILED] if tile else []), *([APART] if apart else [])])
        work = work_label(operation, bundle.components, *shape, *([name] if name else []))
        taken = working_bytes(bundle, request, tile, apart) * frames
        return PaintingWay(taken, name, note, work, tile, apart)

    ways = [way()]
    tiles = [tile for tile in TILES if tile < max(request.width, request.height)]
    tiles = tiles if _decodes_in_tiles(bundle) else []
    options = [(tile, False) for tile in tiles]
    options += [(tiles[-1] if tiles else 0, True)] if is_guided else []
    for option in options:
        if (thriftier := way(*option)).working_bytes < ways[-1].working_bytes:
            ways.append(thriftier)
    return tuple(ways)


def saving_memory(pipeline: Untyped, ladder: Ladder) -> Untyped:
    """The pipeline, working in the ladder's way; its decoding is a part that is repeated by itself."""
    if (vae := getattr(pipeline, "vae", None)) is not None and hasattr(vae, "decode"):
        pipeline.vae = _decoding(vae, ladder)
    network = picture_model(pipeline)
    if network is not None:
        name = "unet" if getattr(pipeline, "unet", None) is network else "transformer"
        setattr(pipeline, name, _halving(network, ladder))
    return pipeline


def _decoding(vae: Untyped, ladder: Ladder) -> Untyped:
    # a shell of this job's own around the same weights: another job may have the VAE too, and tiles are switched on the object,
    # not on a call; `decode` of the class, since the bound one would go on working with the original
    shell, decode = copy.copy(vae), type(vae).decode

    def decode_on_ladder(*args: Untyped, **kwargs: Untyped) -> Untyped:
        def attempt(_: object) -> Untyped:
            _set_tiles(shell, getattr(ladder.way, "tile", 0))
            return decode(shell, *args, **kwargs)

        return ladder.run(attempt)

    _set_tiles(shell, getattr(ladder.way, "tile", 0))
    shell.decode = decode_on_ladder
    return shell


def _set_tiles(vae: Untyped, tile: int) -> None:
    """Decode (and encode) in tiles of that edge; families with sizes of their own keep them."""
    if not tile or not hasattr(vae, "use_tiling"):
        return
    vae.enable_tiling()
    if hasattr(vae, "tile_latent_min_size") and hasattr(vae, "tile_sample_min_size"):
        scale = 2 ** (len(vae.config.block_out_channels) - 1)
        vae.tile_sample_min_size, vae.tile_latent_min_size = tile, tile // scale


def _halving(network: Untyped, ladder: Ladder) -> Untyped:
    """The network, but a batch of two goes through it one after the other where the ladder's way says so."""
    # guidance runs with and without the prompt as a batch of two; one after the other they need half the room, and whether a call
    # is such a pair is told by its tensors, since every family names its arguments otherwise
    shell, forward = copy.copy(network), network.forward

    def forward_apart(*args: Untyped, **kwargs: Untyped) -> Untyped:
        tensors = [value for value in _flat((args, kwargs)) if value.dim() > 1]
        is_pair = bool(tensors) and all(tensor.shape[0] == 2 for tensor in tensors)
        if not is_pair or not getattr(ladder.way, "apart", False):
            return forward(*args, **kwargs)
        parts = [_mapped(partial(_half, index)) for index in range(2)]
        return _joined(*[forward(*part(args), **part(kwargs)) for part in parts])

    shell.forward = forward_apart
    return shell


def _half(index: int, value: torch.Tensor) -> torch.Tensor:
    return value[index : index + 1] if value.dim() and value.shape[0] == 2 else value


def _flat(value: Untyped) -> Iterator[torch.Tensor]:
    """All tensors in nested tuples, lists and dictionaries."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _flat(inner)


def _mapped(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Untyped], Untyped]:
    """A function that changes each of these tensors in its place."""

    def apply(value: Untyped) -> Untyped:
        if isinstance(value, torch.Tensor):
            return change(value)
        if isinstance(value, dict):
            return {name: apply(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(apply(inner) for inner in value)
        return value

    return apply


def _joined(first: Untyped, second: Untyped) -> Untyped:
    """Two outputs as one of both: a tensor, a tuple of them, or one of the library's output classes."""
    if isinstance(first, torch.Tensor):
        return torch.cat([first, second])
    if isinstance(first, tuple):
        return tuple(_joined(a, b) for a, b in zip(first, second, strict=True))
    if isinstance(first, dict):
        return type(first)(**{name: _joined(first[name], second[name]) for name in first})
    return first


def _decodes_in_tiles(bundle: Bundle) -> bool:
    import diffusers

    named = getattr(diffusers, str(_config(bundle, "vae").get("_class_name")), None)
    return hasattr(named, "tiled_decode")


def _config(bundle: Bundle, part: str) -> dict[str, Untyped]:
    try:
        return read_json(bundle.folder / part / "config.json")
    except BadFile:
        return {}
