"""The parts of `starter/image`, as ordinary diffusers and transformers classes, and its latent space.

Latents are made, not learned: a picture is averaged down to 64×64, each 4×4 block of it (16×16 pixels of the picture) becomes one
place on a 16×16 grid, and the block's 48 numbers are projected on their strongest directions (`Basis`). So the diffusion model
can be trained before the autoencoder is, and both at the same time: the `AutoencoderKL` learns to compute these latents from a
picture, and to draw the crisp 256×256 picture that they came from.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from pipelines.training.starter.flat_picture import paint
from pipelines.training.starter.world import caption, random_scene

SIZE, GRID, CHANNELS = 256, 16, 20  # picture, latent grid, latent channels
TOKENS = 32  # longest caption, start and end included
TEXT_WIDTH = 160
START, END = "<|startoftext|>", "<|endoftext|>"


@dataclass(frozen=True)
class Basis:
    """The linear map between 64×64 pictures and latents.

    mean: (48,); into: (48, CHANNELS); back: (CHANNELS, 48). Latents have unit variance on average; strong directions stay
    stronger (each is divided by the square root of its deviation), so that the large shapes come first when noise is taken away.
    """

    mean: Tensor
    into: Tensor
    back: Tensor

    @staticmethod
    def measure(pictures: int = 3000, seed: int = 7) -> "Basis":
        """Fit the directions on freshly painted pictures (a few seconds)."""
        rng = np.random.default_rng(seed)
        small = torch.stack([to_tensor(paint(random_scene(rng), SIZE, 1).reduce(4)) for _ in range(pictures)])
        blocks = _blocks(small).reshape(-1, 48).double()
        mean = blocks.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov((blocks - mean).T))
        deviation, vectors = values.flip(0)[:CHANNELS].sqrt(), vectors.flip(1)[:, :CHANNELS]
        scale = deviation.sqrt() * deviation.mean().sqrt()
        return Basis(mean.float(), (vectors / scale).float(), (vectors * scale).T.float())

    def encode(self, small: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1], 64 for a whole picture → (B, CHANNELS, H/4, W/4)."""
        return ((_blocks(small) - self.mean) @ self.into).permute(0, 3, 1, 2)

    def decode(self, latents: Tensor) -> Tensor:
        """(B, CHANNELS, h, w) → the blurred small picture (B, 3, 4h, 4w)."""
        blocks = latents.permute(0, 2, 3, 1) @ self.back + self.mean
        b, h, w, _ = blocks.shape
        return blocks.reshape(b, h, w, 4, 4, 3).permute(0, 5, 1, 3, 2, 4).reshape(b, 3, 4 * h, 4 * w)

    def save(self, path: Path) -> None:
        save_file({"mean": self.mean, "into": self.into.contiguous(), "back": self.back.contiguous()}, path)

    @staticmethod
    def load(path: Path) -> "Basis":
        return Basis(**load_file(path))


def _blocks(small: Tensor) -> Tensor:
    b, c, h, w = small.shape
    return small.reshape(b, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(b, h // 4, w // 4, 48)


def to_tensor(image: Image.Image) -> Tensor:
    """A Pillow RGB picture as (3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 127.5 - 1


def build_tokenizer(folder: Path, captions: int = 20_000, seed: int = 11) -> CLIPTokenizer:
    """A CLIP tokenizer whose words are the words of our captions; anything else is spelled in letters and syllables."""
    rng = np.random.default_rng(seed)
    texts = [caption(random_scene(rng, held=None), rng)[0] for _ in range(captions)]
    trainer = trainers.BpeTrainer(
        vocab_size=1500,
        special_tokens=[],
        end_of_word_suffix="</w>",
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    raw.normalizer = normalizers.Lowercase()
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.train_from_iterator(texts, trainer)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    model = json.loads(raw.to_str())["model"]
    tokens = list(
        dict.fromkeys([*letters, *[letter + "</w>" for letter in letters], *model["vocab"], START, END])
    )
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]
    tokenizer = CLIPTokenizer(
        vocab={token: i for i, token in enumerate(tokens)},
        merges=merges,
        bos_token=START,
        eos_token=END,
        unk_token=END,
        pad_token=END,
        model_max_length=TOKENS,
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Three causal layers; the diffusion model reads its last hidden states."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=TOKENS,
            projection_dim=TEXT_WIDTH,
            hidden_act="gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_unet() -> UNet2DConditionModel:
    """About 8 M numbers. Words reach it twice: by cross-attention at 8×8 and 4×4, and pooled, beside the timestep, everywhere."""
    return UNet2DConditionModel(
        sample_size=GRID,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        block_out_channels=(64, 96, 160),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,  # diffusers reads this as the number of heads here
        norm_num_groups=16,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
        use_linear_projection=True,
    )


def build_vae() -> AutoencoderKL:
    """A factor-16 autoencoder, narrow where pictures are large, so that a CPU draws 256×256 in about 0.1 s."""
    vae = AutoencoderKL(
        block_out_channels=(12, 24, 48, 96, 128),
        down_block_types=("DownEncoderBlock2D",) * 5,
        up_block_types=("UpDecoderBlock2D",) * 5,
        latent_channels=CHANNELS,
        layers_per_block=1,
        norm_num_groups=4,
        mid_block_add_attention=False,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=1.0,
        sample_size=SIZE,
        force_upcast=False,
    )
    with torch.no_grad():  # the spread of the encoding is not learned: practically zero
        vae.encoder.conv_out.weight[CHANNELS:] = 0
        vae.encoder.conv_out.bias[CHANNELS:] = -12
    return vae


def build_scheduler() -> DDIMScheduler:
    """Cosine noise, velocity prediction, starting from pure noise. A velocity on it is flow matching's, up to scale."""
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        steps_offset=1,
    )


class TextToLatents(nn.Module):
    """What diffusion training trains together: the words and the denoiser."""

    def __init__(self, text_encoder: CLIPTextModel, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.text_encoder, self.unet = text_encoder, unet


def assemble(
    tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, unet: UNet2DConditionModel, vae: AutoencoderKL
) -> StableDiffusionPipeline:
    """The parts as the pipeline that everyone's libraries open."""
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
