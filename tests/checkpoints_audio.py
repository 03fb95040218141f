"""Tiny real sound models, built by config: a few hundred kilobytes each, the same bytes every time.

Their weights are untrained, so what they say is noise; sampling, stages, lengths and voices are the real thing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.checkpoints import _once, t5_text, t5_tokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _word_tokenizer(folder: Path) -> None:
    """A BERT-like tokenizer that knows letters and a few words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = [
        "[PAD]",
        "[UNK]",
        *LETTERS,
        *(f"##{letter}" for letter in LETTERS),
        ".",
        ",",
        "!",
        "?",
        "the",
        "cat",
    ]
    inner = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(
        folder
    )


def _encodec(codebook: int = 32, ratios: tuple[int, ...] = (8, 5, 4, 2), rate: int = 24_000) -> Any:
    from transformers import EncodecConfig

    return EncodecConfig(
        target_bandwidths=[6.0], sampling_rate=rate, num_filters=2, num_residual_layers=1, upsampling_ratios=list(ratios),
        hidden_size=8, codebook_size=codebook, codebook_dim=8, num_lstm_layers=1, use_causal_conv=False,
    )  # fmt: skip


def _trained(model: Any, codec: Any) -> Any:
    """Weights that matter: untrained codebooks are all zeros, and tiny networks hardly hear their input."""
    with torch.no_grad():
        for name, part in codec.named_buffers():
            if name.endswith("codebook.embed"):
                part.normal_()
        for name, weight in model.named_parameters():
            if weight.dim() == 2 and not name.startswith(("codec_model", "audio_encoder")):
                weight.mul_(6)
    return model.eval()


SEMANTIC, CODES = 64, 32
"""Sizes of Bark's two vocabularies of sound, ten thousand and a thousand in the real one."""


@_once
def bark(folder: Path) -> None:
    """Bark with all its stages: 64 semantic tokens, two coarse and eight fine codebooks of 32; one voice in each file format."""
    from transformers import BarkConfig, BarkModel, GenerationConfig

    width = {"num_layers": 1, "num_heads": 2, "hidden_size": 16, "bias": False}
    coarse_vocabulary = SEMANTIC + 2 * CODES
    config = BarkConfig(
        semantic_config={**width, "block_size": 256, "input_vocab_size": 200, "output_vocab_size": SEMANTIC + 1},
        coarse_acoustics_config={
            **width, "block_size": 256, "input_vocab_size": coarse_vocabulary + 2, "output_vocab_size": coarse_vocabulary + 2,
        },
        fine_acoustics_config={
            **width, "block_size": 128, "input_vocab_size": CODES + 1, "output_vocab_size": CODES + 1, "n_codes_total": 8,
            "n_codes_given": 1,
        },
        codec_config=_encodec(CODES).to_dict(),
    )  # fmt: skip
    model = BarkModel(config)
    _trained(model, model.codec_model)
    model.generation_config = GenerationConfig.from_dict(_bark_generation())
    model.save_pretrained(folder)
    _word_tokenizer(folder)
    _bark_voices(folder / "speaker_embeddings")


def _bark_generation() -> dict[str, Any]:
    return {
        "sample_rate": 24_000,
        "codebook_size": CODES,
        "semantic_config": {
            "eos_token_id": SEMANTIC, "do_sample": True, "max_new_tokens": 48, "text_encoding_offset": 70, "text_pad_token": 190,
            "semantic_infer_token": 191, "semantic_vocab_size": SEMANTIC, "semantic_pad_token": SEMANTIC,
            "max_input_semantic_length": 64, "semantic_rate_hz": 50, "min_eos_p": 0.2, "output_scores": False,
        },
        "coarse_acoustics_config": {
            "do_sample": True, "coarse_semantic_pad_token": SEMANTIC + 2 * CODES, "coarse_rate_hz": 75, "n_coarse_codebooks": 2,
            "coarse_infer_token": SEMANTIC + 2 * CODES + 1, "max_coarse_input_length": 64, "max_coarse_history": 96,
            "sliding_window_len": 24,
        },
        "fine_acoustics_config": {
            "temperature": 0.5, "max_fine_history_length": 32, "max_fine_input_length": 64, "n_fine_codebooks": 8,
        },
    }  # fmt: skip


def _bark_voices(folder: Path) -> None:
    draw = np.random.default_rng(3)
    arrays = {
        "semantic_prompt": draw.integers(0, SEMANTIC, 40),
        "coarse_prompt": draw.integers(0, CODES, (2, 60)),
        "fine_prompt": draw.integers(0, CODES, (8, 60)),
    }
    (folder / "v2").mkdir(parents=True)
    np.savez(folder / "v2" / "en_speaker_6.npz", **arrays)
    for name, array in arrays.items():
        np.save(folder / f"de_speaker_1_{name}.npy", array[..., ::-1].copy())


def _vits(folder: Path, **values: Any) -> None:
    from transformers import VitsConfig, VitsModel

    phonemes = values.pop("phonemes", False)
    letters = "_ '" + LETTERS + ("ˈˌəɹʌɪʊʃɔːæŋθɛɑɜ,.!" if phonemes else "")
    config = VitsConfig(
        vocab_size=len(letters), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16, flow_size=16,
        spectrogram_bins=33, prior_encoder_num_flows=2, posterior_encoder_num_wavenet_layers=1,
        prior_encoder_num_wavenet_layers=1, duration_predictor_num_flows=1, duration_predictor_filter_channels=16,
        upsample_initial_channel=16, upsample_rates=[8, 8], upsample_kernel_sizes=[16, 16], resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1]], depth_separable_num_layers=1, noise_scale_duration=0.3,
        speaker_embedding_size=8 if values.get("num_speakers", 1) > 1 else 0, sampling_rate=16_000, **values,
    )  # fmt: skip
    model = VitsModel(config).eval()
    with torch.no_grad():  # an untrained vocoder whispers; louder it can be heard
        model.decoder.conv_post.weight.mul_(2)
    model.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({letter: number for number, letter in enumerate(letters)}))
    settings = {"tokenizer_class": "VitsTokenizer", "pad_token": "_", "unk_token": "_", "add_blank": True}
    settings |= {"normalize": True, "phonemize": phonemes, "is_uroman": False, "language": "eng"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


@_once
def vits(folder: Path) -> None:
    """An MMS-like voice: small letters only, one speaker."""
    _vits(folder)


@_once
def vits_many(folder: Path) -> None:
    """Three speakers in one model."""
    _vits(folder, num_speakers=3)


@_once
def vits_phonemes(folder: Path) -> None:
    """A voice that reads phonemes, as the published English ones do."""
    _vits(folder, phonemes=True)


def _musicgen(folder: Path, channels: int) -> None:
    from transformers import MusicgenConfig, MusicgenDecoderConfig, MusicgenForConditionalGeneration, T5Config

    decoder = MusicgenDecoderConfig(
        vocab_size=CODES, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=32, num_codebooks=4 * channels,
        max_position_embeddings=512, audio_channels=channels, pad_token_id=CODES, bos_token_id=CODES,
    )  # fmt: skip
    text = T5Config(**t5_text().config.to_dict())
    config = MusicgenConfig(
        text_encoder=text.to_dict(),
        audio_encoder=_encodec(CODES, (8, 5, 4, 4), 32_000).to_dict(),
        decoder=decoder.to_dict(),
    )
    model = MusicgenForConditionalGeneration(config)
    _trained(model, model.audio_encoder)
    settings = model.generation_config
    settings.do_sample, settings.guidance_scale, settings.max_length = True, 3.0, 1500
    settings.decoder_start_token_id = settings.pad_token_id = settings.bos_token_id = CODES
    model.save_pretrained(folder)
    t5_tokenizer().save_pretrained(folder)


@_once
def musicgen(folder: Path) -> None:
    _musicgen(folder, 1)


@_once
def musicgen_stereo(folder: Path) -> None:
    """Twice the codebooks, left and right in turn."""
    _musicgen(folder, 2)
