"""Tiny real diffusers checkpoints, built by config: a few hundred kilobytes each, the same bytes every time.

Each builder writes once per session and returns the folder; a test that wants to break one copies it first (`copied`).
Real Stable Diffusion has four levels, so these do: pictures are eight times the latents.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file


@cache
def _root() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tiny-checkpoints-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def copied(folder: Path, target: Path) -> Path:
    """A copy of a checkpoint that a test may break."""
    shutil.copytree(folder, target)
    return target


def _once(build: Callable[[Path], None]) -> Callable[[], Path]:
    @cache
    def built() -> Path:
        folder = _root() / build.__name__
        with torch.random.fork_rng():
            torch.manual_seed(7)
            build(folder)
        return folder

    built.__name__ = build.__name__
    return built


# ---- parts ----


def clip_tokenizer(folder: Path, length: int = 16) -> Any:
    """A CLIP tokenizer that spells every word: 512 byte symbols, no merges."""
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    symbols = list(bytes_to_unicode().values())
    names = [*symbols, *(f"{symbol}</w>" for symbol in symbols), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({name: number for number, name in enumerate(names)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(_config(folder, model_max_length=length))


def _config(folder: Path, **values: Any) -> Path:
    settings = {"tokenizer_class": "CLIPTokenizer", "pad_token": "<|endoftext|>", **values}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def t5_tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import T5TokenizerFast

    letters = [(letter, -4.0) for letter in "▁abcdefghijklmnopqrstuvwxyz.,"]
    inner = Tokenizer(models.Unigram([("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *letters], unk_id=2))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Metaspace()
    return T5TokenizerFast(tokenizer_object=inner, extra_ids=0, model_max_length=16)


def clip_text(width: int = 32, *, projection: bool = False) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=514, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=16, projection_dim=width, bos_token_id=512, eos_token_id=513, pad_token_id=513,
    )  # fmt: skip
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()


def t5_text(width: int = 32) -> Any:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=64, d_model=width, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    return T5EncoderModel(config).eval()


def vae(channels: int = 4, **values: Any) -> Any:
    from diffusers import AutoencoderKL

    settings = {
        "block_out_channels": (16, 16, 32, 32), "layers_per_block": 1, "norm_num_groups": 8, "latent_channels": channels,
        "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4, "sample_size": 64,
        **values,
    }  # fmt: skip
    return AutoencoderKL(**settings).eval()


def unet(in_channels: int = 4, width: int = 32, **values: Any) -> Any:
    from diffusers import UNet2DConditionModel

    settings = {
        "in_channels": in_channels, "block_out_channels": (16, 32, 32, 32), "layers_per_block": 2, "norm_num_groups": 8,
        "cross_attention_dim": width, "attention_head_dim": 8, "sample_size": 8, **values,
    }  # fmt: skip
    return UNet2DConditionModel(**settings).eval()


def _sd_scheduler() -> Any:
    from diffusers import PNDMScheduler

    return PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1
    )


# ---- whole checkpoints ----


@_once
def sd15(folder: Path) -> None:
    """Stable Diffusion 1.5 in small: text to picture, four levels, epsilon."""
    from diffusers import StableDiffusionPipeline

    StableDiffusionPipeline(
        vae=vae(), text_encoder=clip_text(), tokenizer=clip_tokenizer(folder.with_name("clip-sd15")), unet=unet(),
        scheduler=_sd_scheduler(), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip


@_once
def sd15_inpaint(folder: Path) -> None:
    """A UNet with nine input channels: fills a masked area, and cannot do without one."""
    from diffusers import StableDiffusionInpaintPipeline

    StableDiffusionInpaintPipeline(
        vae=vae(), text_encoder=clip_text(), tokenizer=clip_tokenizer(folder.with_name("clip-inpaint")), unet=unet(9),
        scheduler=_sd_scheduler(), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip


def _sdxl_parts(folder: Path) -> dict[str, Any]:
    from diffusers import EulerDiscreteScheduler

    added = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "transformer_layers_per_block": 1,
    }
    return {
        "vae": vae(force_upcast=True),
        "text_encoder": clip_text(),
        "text_encoder_2": clip_text(projection=True),
        "tokenizer": clip_tokenizer(folder.with_name("clip-xl")),
        "tokenizer_2": clip_tokenizer(folder.with_name("clip-xl-2")),
        "unet": unet(4, 64, **added, projection_class_embeddings_input_dim=32 + 6 * 8),
        "scheduler": EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
        ),
    }


@_once
def sdxl(folder: Path) -> None:
    from diffusers import StableDiffusionXLPipeline

    StableDiffusionXLPipeline(**_sdxl_parts(folder)).save_pretrained(folder)


@_once
def sdxl_refiner(folder: Path) -> None:
    """Improves pictures, makes none; its first text encoder and tokenizer are null."""
    from diffusers import StableDiffusionXLImg2ImgPipeline

    parts = _sdxl_parts(folder) | {"text_encoder": None, "tokenizer": None}
    added = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "transformer_layers_per_block": 1,
    }
    parts["unet"] = unet(4, 32, **added, projection_class_embeddings_input_dim=32 + 5 * 8)
    StableDiffusionXLImg2ImgPipeline(**parts, requires_aesthetics_score=True).save_pretrained(folder)


@_once
def ddpm(folder: Path) -> None:
    """Paints without words, in pixels, and tells its progress bar only."""
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    model = UNet2DModel(
        sample_size=64, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=8, **blocks
    )
    DDPMPipeline(model.eval(), DDPMScheduler()).save_pretrained(folder)


@_once
def sd3(folder: Path) -> None:
    """Stable Diffusion 3 without its T5, as people with little memory run it."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    transformer = SD3Transformer2DModel(
        sample_size=8, patch_size=1, in_channels=4, out_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=4,
        caption_projection_dim=32, joint_attention_dim=64, pooled_projection_dim=64, pos_embed_max_size=32,
    )  # fmt: skip
    StableDiffusion3Pipeline(
        transformer=transformer.eval(), scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae(shift_factor=0.06),
        text_encoder=clip_text(projection=True), text_encoder_2=clip_text(projection=True),
        tokenizer=clip_tokenizer(folder.with_name("clip-3")), tokenizer_2=clip_tokenizer(folder.with_name("clip-3-2")),
        text_encoder_3=None, tokenizer_3=None,
    ).save_pretrained(folder)  # fmt: skip


@_once
def flux(folder: Path) -> None:
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    transformer = FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8), guidance_embeds=True,
    )  # fmt: skip
    FluxPipeline(
        transformer=transformer.eval(), scheduler=FlowMatchEulerDiscreteScheduler(), vae=vae(shift_factor=0.06),
        text_encoder=clip_text(), tokenizer=clip_tokenizer(folder.with_name("clip-flux")),
        text_encoder_2=t5_text(), tokenizer_2=t5_tokenizer(),
    ).save_pretrained(folder)  # fmt: skip


@_once
def lcm(folder: Path) -> None:
    """A UNet that was taught the guidance scale, with the scheduler of latent consistency models."""
    from diffusers import LatentConsistencyModelPipeline, LCMScheduler

    LatentConsistencyModelPipeline(
        vae=vae(), text_encoder=clip_text(), tokenizer=clip_tokenizer(folder.with_name("clip-lcm")),
        unet=unet(time_cond_proj_dim=8), scheduler=LCMScheduler.from_config(_sd_scheduler().config), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip


@_once
def pixart(folder: Path) -> None:
    """PixArt-Sigma: words through T5 into a transformer that takes latents two by two."""
    from diffusers import DPMSolverMultistepScheduler, PixArtSigmaPipeline, PixArtTransformer2DModel

    transformer = PixArtTransformer2DModel(
        sample_size=8, num_layers=1, patch_size=2, attention_head_dim=8, num_attention_heads=2, caption_channels=32,
        in_channels=4, cross_attention_dim=16, out_channels=8, num_embeds_ada_norm=1000, norm_type="ada_norm_single",
        norm_elementwise_affine=False, norm_eps=1e-6,
    )  # fmt: skip
    PixArtSigmaPipeline(
        tokenizer=t5_tokenizer(), text_encoder=t5_text(), vae=vae(), transformer=transformer.eval(),
        scheduler=DPMSolverMultistepScheduler(),
    ).save_pretrained(folder)  # fmt: skip


@_once
def sana(folder: Path) -> None:
    """Sana: an autoencoder that makes one latent of 32 × 32 pixels, and Gemma to read the prompt."""
    from diffusers import AutoencoderDC, FlowMatchEulerDiscreteScheduler, SanaPipeline, SanaTransformer2DModel
    from transformers import Gemma2Config, Gemma2Model

    transformer = SanaTransformer2DModel(
        patch_size=1, in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2, attention_head_dim=8,
        num_cross_attention_heads=2, cross_attention_head_dim=8, cross_attention_dim=16, caption_channels=16, sample_size=4,
    )  # fmt: skip
    codec = AutoencoderDC(
        in_channels=3, latent_channels=4, attention_head_dim=2, encoder_block_types=("ResBlock",) * 6,
        decoder_block_types=("ResBlock",) * 6, encoder_block_out_channels=(8,) * 6, decoder_block_out_channels=(8,) * 6,
        encoder_qkv_multiscales=((),) * 6, decoder_qkv_multiscales=((),) * 6, encoder_layers_per_block=(1,) * 6,
        decoder_layers_per_block=(1,) * 6, downsample_block_type="conv", upsample_block_type="interpolate",
        decoder_norm_types="rms_norm", decoder_act_fns="silu", scaling_factor=0.41407,
    )  # fmt: skip
    reader = Gemma2Config(
        vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8,
    )  # fmt: skip
    SanaPipeline(
        tokenizer=t5_tokenizer(), text_encoder=Gemma2Model(reader).eval(), vae=codec.eval(), transformer=transformer.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    ).save_pretrained(folder)  # fmt: skip


@cache
def sd15_single_file() -> Path:
    """The weights of `sd15` in the layout Stable Diffusion was published in, as one file."""
    target = _root() / "single" / "tiny-v1-5.safetensors"
    target.parent.mkdir()
    source = sd15()
    tensors: dict[str, torch.Tensor] = {}
    for name, weight in load_file(source / "unet" / "diffusion_pytorch_model.safetensors").items():
        tensors[f"model.diffusion_model.{_unet_key(name)}"] = weight
    for name, weight in load_file(source / "vae" / "diffusion_pytorch_model.safetensors").items():
        key = _vae_key(name)
        is_linear_there = "attn_1" in key and weight.dim() == 2
        tensors[f"first_stage_model.{key}"] = weight[:, :, None, None] if is_linear_there else weight
    for name, weight in load_file(source / "text_encoder" / "model.safetensors").items():
        tensors[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = weight
    # what published files hold beside the three parts
    tensors["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(16)[None]
    tensors |= {
        "betas": torch.ones(1000),
        "alphas_cumprod": torch.ones(1000),
        "model_ema.decay": torch.ones(1),
    }
    save_file({name: weight.contiguous() for name, weight in tensors.items()}, target)
    return target


def flux_single_file(target: Path, *, whole: bool = True) -> Path:
    """The weights of `flux` as people publish them in one file: the transformer's names, and everything else if it is whole.

    The transformer's shapes are not kept: diffusers converts those of the published size only.
    """
    names = [
        "guidance_in.in_layer.bias",
        *(f"{kind}_blocks.0.img_attn.norm.key_norm.scale" for kind in ("double", "single")),
    ]
    tensors = {f"model.diffusion_model.{name}": torch.zeros(4) for name in names}
    if whole:
        encoders = {
            "text_encoder": "text_encoders.clip_l.transformer.",
            "text_encoder_2": "text_encoders.t5xxl.transformer.",
        }
        for part, prefix in encoders.items():
            for name, weight in load_file(flux() / part / "model.safetensors").items():
                name = name if part == "text_encoder_2" else f"text_model.{name.removeprefix('text_model.')}"
                tensors[prefix + name] = weight
        for name, weight in load_file(flux() / "vae" / "diffusion_pytorch_model.safetensors").items():
            tensors[f"vae.{_vae_key(name)}"] = weight
    save_file(tensors, target)
    return target


def _unet_key(name: str) -> str:
    """A diffusers UNet tensor name as the original code spells it. Source: the layout of the v1.5 checkpoint."""
    top = {
        "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2", "conv_in": "input_blocks.0.0",
        "conv_norm_out": "out.0", "conv_out": "out.2", "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1", "mid_block.resnets.1": "middle_block.2",
    }  # fmt: skip
    inner = {
        "norm1.": "in_layers.0.", "conv1.": "in_layers.2.", "norm2.": "out_layers.0.", "conv2.": "out_layers.3.",
        "time_emb_proj.": "emb_layers.1.", "conv_shortcut.": "skip_connection.",
    }  # fmt: skip
    words = name.split(".")
    if words[0] in ("down_blocks", "up_blocks"):
        level, kind, layer = int(words[1]), words[2], int(words[3])
        is_down = words[0] == "down_blocks"
        rest = ".".join(words[4:])
        if kind == "downsamplers":
            return f"input_blocks.{3 * (level + 1)}.0.op.{words[-1]}"
        if kind == "upsamplers":
            return f"output_blocks.{3 * level + 2}.{1 if level == 0 else 2}.conv.{words[-1]}"
        block = f"input_blocks.{3 * level + layer + 1}" if is_down else f"output_blocks.{3 * level + layer}"
        name = f"{block}.{1 if kind == 'attentions' else 0}.{rest}"
        is_resnet = kind == "resnets"
    else:
        is_resnet = "mid_block.resnets" in name
        for ours, theirs in top.items():
            if name.startswith(f"{ours}."):
                name = theirs + name.removeprefix(ours)
                break
    if is_resnet:
        for ours, theirs in inner.items():
            name = name.replace(f".{ours}", f".{theirs}")
    return name


def _vae_key(name: str) -> str:
    for level in range(4):
        name = name.replace(f"decoder.up_blocks.{level}.", f"decoder.up.{3 - level}.")
        name = name.replace(f"encoder.down_blocks.{level}.", f"encoder.down.{level}.")
    swaps = {
        "mid_block.resnets.0": "mid.block_1", "mid_block.resnets.1": "mid.block_2", "mid_block.attentions.0": "mid.attn_1",
        "resnets.": "block.", "downsamplers.0": "downsample", "upsamplers.0": "upsample", "conv_shortcut": "nin_shortcut",
        "conv_norm_out": "norm_out", "group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out",
    }  # fmt: skip
    for ours, theirs in swaps.items():
        name = name.replace(ours, theirs)
    return name


# ---- ways to break one ----


def fill_with_nan(folder: Path) -> Path:
    """Weights that open well and give nothing: seen only when a picture is made."""
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors["conv_out.bias"] = torch.full_like(tensors["conv_out.bias"], float("nan"))
    save_file(tensors, file)
    return folder
