"""Tiny real diffusers models that make moving pictures, built by config."""

from __future__ import annotations

from pathlib import Path

from tests.checkpoints import (
    _once,
    _sd_scheduler,
    clip_text,
    clip_tokenizer,
    t5_text,
    t5_tokenizer,
    unet,
    vae,
)


@_once
def animatediff(folder: Path) -> None:
    """A motion module on a Stable Diffusion UNet that sees eight frames at once."""
    from diffusers import AnimateDiffPipeline, DDIMScheduler, MotionAdapter

    adapter = MotionAdapter(
        block_out_channels=(16, 32, 32, 32), motion_layers_per_block=1, motion_norm_num_groups=8, motion_num_attention_heads=4,
        motion_max_seq_length=8, use_motion_mid_block=False,
    )  # fmt: skip
    AnimateDiffPipeline(
        vae=vae(), text_encoder=clip_text(), tokenizer=clip_tokenizer(folder.with_name("clip-film")), unet=unet(layers_per_block=1),
        motion_adapter=adapter.eval(), scheduler=DDIMScheduler.from_config(_sd_scheduler().config),
    ).save_pretrained(folder)  # fmt: skip


@_once
def ltx(folder: Path) -> None:
    """LTX in small: a transformer over latents that fold eight frames into one."""
    from diffusers import (
        AutoencoderKLLTXVideo,
        FlowMatchEulerDiscreteScheduler,
        LTXPipeline,
        LTXVideoTransformer3DModel,
    )

    transformer = LTXVideoTransformer3DModel(
        in_channels=8, out_channels=8, patch_size=1, patch_size_t=1, num_attention_heads=2, attention_head_dim=16,
        cross_attention_dim=32, num_layers=1, caption_channels=32,
    )  # fmt: skip
    codec = AutoencoderKLLTXVideo(
        in_channels=3, out_channels=3, latent_channels=8, block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1), decoder_layers_per_block=(1, 1, 1, 1, 1), spatio_temporal_scaling=(True, True, True, False),
        decoder_spatio_temporal_scaling=(True, True, True, False), decoder_inject_noise=(False,) * 5, upsample_residual=(False,) * 4,
        upsample_factor=(1, 1, 1, 1), timestep_conditioning=False, patch_size=4, patch_size_t=1, encoder_causal=True,
        decoder_causal=False,
    )  # fmt: skip
    LTXPipeline(
        transformer=transformer.eval(), vae=codec.eval(), scheduler=FlowMatchEulerDiscreteScheduler(), text_encoder=t5_text(),
        tokenizer=t5_tokenizer(),
    ).save_pretrained(folder)  # fmt: skip
