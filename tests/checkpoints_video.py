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
        vae=vae(), text_encoder=clip_text(), tokenizer=clip_tokenizer(folder.with_name("clip-film")),
        unet=unet(layers_per_block=1), motion_adapter=adapter.eval(), scheduler=DDIMScheduler.from_config(_sd_scheduler().config),
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
        in_channels=3, out_channels=3, latent_channels=8, block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8), layers_per_block=(1, 1, 1, 1, 1), decoder_layers_per_block=(1, 1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, True, False), decoder_spatio_temporal_scaling=(True, True, True, False),
        decoder_inject_noise=(False,) * 5, upsample_residual=(False,) * 4, upsample_factor=(1, 1, 1, 1),
        timestep_conditioning=False, patch_size=4, patch_size_t=1, encoder_causal=True, decoder_causal=False,
    )  # fmt: skip
    LTXPipeline(
        transformer=transformer.eval(), vae=codec.eval(), scheduler=FlowMatchEulerDiscreteScheduler(), text_encoder=t5_text(),
        tokenizer=t5_tokenizer(),
    ).save_pretrained(folder)  # fmt: skip


@_once
def wan(folder: Path) -> None:
    """Wan in small: four frames in one latent, tokens of 2 × 2 latents; its prompts go through ftfy."""
    from diffusers import (
        AutoencoderKLWan,
        FlowMatchEulerDiscreteScheduler,
        WanPipeline,
        WanTransformer3DModel,
    )

    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16, text_dim=32,
        freq_dim=32, ffn_dim=32, num_layers=1, cross_attn_norm=True, qk_norm="rms_norm_across_heads", rope_max_seq_len=32,
    )  # fmt: skip
    codec = AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    WanPipeline(
        tokenizer=t5_tokenizer(), text_encoder=t5_text(), vae=codec.eval(), transformer=transformer.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    ).save_pretrained(folder)  # fmt: skip


@_once
def stable_video(folder: Path) -> None:
    """Stable Video Diffusion: no words, a picture set in motion; eight channels, four of them the picture's."""
    from diffusers import (
        AutoencoderKLTemporalDecoder,
        EulerDiscreteScheduler,
        StableVideoDiffusionPipeline,
        UNetSpatioTemporalConditionModel,
    )
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModelWithProjection

    network = UNetSpatioTemporalConditionModel(
        block_out_channels=(32, 64), layers_per_block=1, sample_size=32, in_channels=8, out_channels=4, cross_attention_dim=32,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"), num_attention_heads=8,
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"), projection_class_embeddings_input_dim=96,
        addition_time_embed_dim=32, num_frames=4,
    )  # fmt: skip
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="v_prediction", sigma_max=700.0,
        sigma_min=0.002, steps_offset=1, timestep_spacing="leading", timestep_type="continuous", use_karras_sigmas=True,
    )  # fmt: skip
    codec = AutoencoderKLTemporalDecoder(
        block_out_channels=(32,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        latent_channels=4,
        layers_per_block=1,
    )
    eyes = CLIPVisionConfig(
        hidden_size=32, projection_dim=32, num_hidden_layers=1, num_attention_heads=4, image_size=224, intermediate_size=32,
        patch_size=56,
    )  # fmt: skip
    StableVideoDiffusionPipeline(
        vae=codec.eval(), image_encoder=CLIPVisionModelWithProjection(eyes).eval(), unet=network.eval(), scheduler=scheduler,
        feature_extractor=CLIPImageProcessorPil(crop_size=32, size=32),
    ).save_pretrained(folder)  # fmt: skip
