"""How `starter/image` is trained: words first, then words and pictures together; the autoencoder beside them.

Three runs below one folder, each resumable on its own and each on fresh pictures painted as they are needed, never the same
twice: `words` (the text encoder learns to name what a caption asks for; minutes), `vae` (pictures ⇄ latents) and `diffusion`
(caption → latents, velocity objective). `export` writes what they have learned so far as a diffusers folder.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextModel, CLIPTokenizer

from pipelines.training.loop import Result, TrainingPlan, load_weights, train
from pipelines.training.starter.flat_picture import paint
from pipelines.training.starter.image_model import (
    GRID,
    SIZE,
    TEXT_WIDTH,
    Basis,
    TextToLatents,
    assemble,
    build_scheduler,
    build_text_encoder,
    build_tokenizer,
    build_unet,
    build_vae,
    to_tensor,
)
from pipelines.training.starter.world import EXAMPLES, WORDS, caption, random_scene, vocabulary

DROPPED_CAPTIONS = 0.1  # trained without words, for guidance
DEFAULTS = {"width": SIZE, "height": SIZE, "num_inference_steps": 12, "guidance_scale": 3.0}
LIMITS = {"width": SIZE, "height": SIZE}

WORDS_PLAN = TrainingPlan(steps=500, learning_rate=1e-3, warmup_steps=50, checkpoint_every=250, ema=0.99)
VAE_PLAN = TrainingPlan(
    steps=6000,
    optimizer="muon",
    learning_rate=1e-3,
    warmup_steps=100,
    decay="trapezoid",
    checkpoint_every=250,
    ema=0.99,
)
DIFFUSION_PLAN = TrainingPlan(
    steps=20_000,
    optimizer="muon",
    learning_rate=1e-3,
    warmup_steps=200,
    decay="trapezoid",
    checkpoint_every=500,
    sample_every=500,
    ema=0.998,
)


def prepare(run_dir: Path) -> tuple[Basis, CLIPTokenizer]:
    """The latent basis and the tokenizer of this run, made on the first call."""
    run_dir.mkdir(parents=True, exist_ok=True)
    if not (run_dir / "basis.safetensors").exists():
        Basis.measure().save(run_dir / "basis.safetensors")
    if not (run_dir / "tokenizer").exists():
        build_tokenizer(run_dir / "tokenizer")
    return Basis.load(run_dir / "basis.safetensors"), CLIPTokenizer.from_pretrained(run_dir / "tokenizer")


def tokenize(tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """(B, TOKENS) token numbers, padded as the pipeline pads them."""
    return tokenizer(
        texts,
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids


# ── Words ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

ASKED = {  # what a caption can ask for → the list of words it comes from
    "kind": None, "place": "place", "time": "time", "weather": "weather", "season": "season", "shape": "shape",
    "colour": "colour", "background": "colour", "frame": "frame", "thing0": "object", "thing0_colour": "colour",
    "thing0_side": "side", "thing1": "object", "thing1_colour": "colour", "thing1_side": "side",
}  # fmt: skip


def values_of(attribute: str) -> list[str]:
    """The values an asked-for attribute can take; "" (not said) comes first."""
    words = ASKED[attribute]
    return ["", "emblem", "landscape"] if words is None else ["", *WORDS[words]]


class WordReader(nn.Module):
    """The text encoder with one small head per attribute; the heads are thrown away afterwards."""

    def __init__(self, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.heads = nn.ModuleDict({name: nn.Linear(TEXT_WIDTH, len(values_of(name))) for name in ASKED})

    def forward(self, tokens: Tensor) -> dict[str, Tensor]:
        pooled = self.text_encoder(tokens).last_hidden_state.mean(
            1
        )  # (B, TEXT_WIDTH): as the denoiser pools it, roughly
        return {name: head(pooled) for name, head in self.heads.items()}


def train_words(
    run_dir: Path, *, resume: bool = False, minutes: float | None = None, plan: TrainingPlan = WORDS_PLAN
) -> Result:
    """Teach the text encoder what captions ask for. Extra in the log: the share of attributes read right."""
    _, tokenizer = prepare(run_dir)

    def batches(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        rng = np.random.default_rng((1, step))
        pairs = [caption(random_scene(rng), rng) for _ in range(64)]
        asked = {n: torch.tensor([values_of(n).index(said.get(n, "")) for _, said in pairs]) for n in ASKED}
        return tokenize(tokenizer, [text for text, _ in pairs]), asked

    def objective(
        model: WordReader, batch: tuple[Tensor, dict[str, Tensor]]
    ) -> tuple[Tensor, dict[str, float]]:
        tokens, asked = batch
        out = model(tokens)
        right = torch.stack([(out[n].argmax(1) == asked[n]).float().mean() for n in ASKED]).mean()
        return torch.stack([F.cross_entropy(out[n], asked[n]) for n in ASKED]).sum(), {"right": right.item()}

    torch.manual_seed(plan.seed)
    model = WordReader(build_text_encoder(tokenizer))
    return train(model, batches, objective, plan, run_dir / "words", resume=resume, minutes=minutes)


# ── Autoencoder ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def train_vae(
    run_dir: Path,
    *,
    resume: bool = False,
    minutes: float | None = None,
    plan: TrainingPlan = VAE_PLAN,
    crop: int = 8,
    batch_size: int = 12,
) -> Result:
    """Teach encoder and decoder the given latents, on crops of `crop` × `crop`; noise on them makes the decoder forgiving."""
    basis, _ = prepare(run_dir)

    def batches(step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((2, step))
        pictures, latents = [], []
        for _ in range(batch_size):
            whole = paint(random_scene(rng))
            z = basis.encode(to_tensor(whole.reduce(4))[None])[0]
            top, left = (int(v) for v in rng.integers(0, GRID - crop + 1, 2))
            latents.append(z[:, top : top + crop, left : left + crop])
            pictures.append(to_tensor(whole.crop([16 * v for v in (left, top, left + crop, top + crop)])))
        return torch.stack(pictures), torch.stack(latents)

    def objective(vae: AutoencoderKL, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, float]]:
        picture, z = (t.contiguous(memory_format=torch.channels_last) for t in batch)
        level = torch.rand(len(z), 1, 1, 1) * 0.25 * (torch.rand(len(z), 1, 1, 1) < 0.8)
        with torch.autocast("cpu", torch.bfloat16):
            drawn = vae.decoder(z + level * torch.randn_like(z)).float()
            read = vae.encoder(picture)[:, : z.shape[1]].float()
        error = (drawn - picture).pow(2).mean()
        encoding = (read - z).pow(2).mean()
        loss = picture_loss(drawn, picture) + 0.3 * encoding
        return loss, {"psnr": -10 * float(torch.log10(error.detach() / 4)), "encoding": encoding.item()}

    torch.manual_seed(plan.seed)
    vae = build_vae().to(memory_format=torch.channels_last)
    return train(vae, batches, objective, plan, run_dir / "vae", resume=resume, minutes=minutes)


def picture_loss(drawn: Tensor, picture: Tensor) -> Tensor:
    """Absolute error of colours, and of edges at full and at half size: what makes flat shapes crisp."""
    loss = (drawn - picture).abs().mean()
    for _ in range(2):
        for axis in (2, 3):
            loss = loss + (drawn.diff(dim=axis) - picture.diff(dim=axis)).abs().mean()
        drawn, picture = F.avg_pool2d(drawn, 2), F.avg_pool2d(picture, 2)
    return loss


# ── Diffusion ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def train_diffusion(
    run_dir: Path,
    *,
    resume: bool = False,
    minutes: float | None = None,
    plan: TrainingPlan = DIFFUSION_PLAN,
    batch_size: int = 32,
) -> Result:
    """Teach caption → latents. Timesteps are drawn as flow matching does (logit-normal)."""
    basis, tokenizer = prepare(run_dir)
    signal = build_scheduler().alphas_cumprod.sqrt()
    noise = (1 - signal**2).sqrt()

    def batches(step: int) -> tuple[Tensor, Tensor]:
        return painted_batch(basis, tokenizer, np.random.default_rng((3, step)), batch_size)

    def objective(model: TextToLatents, batch: tuple[Tensor, Tensor]) -> Tensor:
        tokens, latents = batch
        t = draw_timesteps(len(latents))
        loss: Tensor = velocity_error(model, tokens, latents, t, signal, noise).mean()
        return loss

    def sample(model: TextToLatents, step: int, folder: Path) -> None:
        grid = basis.decode(draw_latents(model, tokenizer, [*EXAMPLES, *EXAMPLES], seed=1))
        contact_sheet([_to_image(p) for p in grid], folder / f"{step:06d}.png", across=8, size=128)

    model = new_text_to_latents(run_dir, tokenizer, plan.seed)
    return train(
        model, batches, objective, plan, run_dir / "diffusion", resume=resume, minutes=minutes, sample=sample
    )


def new_text_to_latents(run_dir: Path, tokenizer: CLIPTokenizer, seed: int = 0) -> TextToLatents:
    """A fresh denoiser, behind the text encoder of the `words` run if there is one."""
    torch.manual_seed(seed)
    reader = WordReader(build_text_encoder(tokenizer))
    if (run_dir / "words" / "latest").exists():
        load_weights(reader, run_dir / "words")
    return TextToLatents(reader.text_encoder, build_unet().to(memory_format=torch.channels_last))


def painted_batch(
    basis: Basis, tokenizer: CLIPTokenizer, rng: np.random.Generator, size: int
) -> tuple[Tensor, Tensor]:
    """Tokens (B, TOKENS) of fresh captions, some emptied, and the latents (B, CHANNELS, 16, 16) of their pictures."""
    texts, pictures = [], []
    for _ in range(size):
        scene = random_scene(rng)
        text = caption(scene, rng)[0]
        texts.append("" if rng.random() < DROPPED_CAPTIONS else text)
        pictures.append(to_tensor(paint(scene, SIZE, 1).reduce(4)))
    return tokenize(tokenizer, texts), basis.encode(torch.stack(pictures))


def draw_timesteps(count: int) -> Tensor:
    """Timesteps (count,) in 0 … 999: logit-normal (mean 0.9, deviation 1.1) on flow matching's clock, put on the cosine one.

    So six in ten are above 700, where words decide: colours above 900, shapes between 700 and 930 (measured by exchanging them).
    """
    flow = torch.sigmoid(0.9 + 1.1 * torch.randn(count))
    return (torch.atan(flow / (1 - flow)) * 2 / torch.pi * 1000).long().clamp(0, 999)


def velocity_error(
    model: TextToLatents, tokens: Tensor, latents: Tensor, t: Tensor, signal: Tensor, noise: Tensor
) -> Tensor:
    """Squared error of the predicted velocity, (B,), for fresh noise. signal, noise: (1000,) from the schedule."""
    a, s, fresh = signal[t].view(-1, 1, 1, 1), noise[t].view(-1, 1, 1, 1), torch.randn_like(latents)
    noisy = (a * latents + s * fresh).contiguous(memory_format=torch.channels_last)
    # plain attention: on a CPU the fused one costs 0.1 s of a 0.45 s step in its backward pass (torch 2.13)
    with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
        words = model.text_encoder(tokens).last_hidden_state
        velocity = model.unet(noisy, t, words).sample.float()
    return (velocity - (a * fresh - s * latents)).pow(2).mean((1, 2, 3))


def draw_latents(
    model: TextToLatents,
    tokenizer: CLIPTokenizer,
    prompts: list[str],
    *,
    seed: int,
    steps: int = 16,
    guidance: float = 3.0,
) -> Tensor:
    """Latents (B, CHANNELS, 16, 16) for the prompts: the pipeline's own loop without the pipeline, for samples while training."""
    scheduler = build_scheduler()
    scheduler.set_timesteps(steps)
    latents = torch.randn(
        len(prompts), model.unet.config.in_channels, GRID, GRID, generator=torch.Generator().manual_seed(seed)
    )
    with torch.no_grad():
        words = model.text_encoder(tokenize(tokenizer, ["" for _ in prompts] + prompts)).last_hidden_state
        for t in scheduler.timesteps:
            without, with_words = model.unet(torch.cat([latents, latents]), t, words).sample.chunk(2)
            latents = scheduler.step(without + guidance * (with_words - without), t, latents).prev_sample
    return latents


# ── Gates and export ──────────────────────────────────────────────────────────────────────────────────────────────────────


def check_gates(run_dir: Path, count: int = 256) -> dict[str, float]:
    """Numbers to look at before a long run, on fresh pictures, with the averaged weights of now.

    `right`, `shuffled`: loss at high noise with the right and with other pictures' captions (the text path lives when shuffled is
    clearly above). `start`, `mean_picture`: error of the picture predicted from pure noise against that of the mean picture (1.0
    is where a model that only knows the mean stands). `decoder`, `bilinear`: PSNR of the decoder and of plain enlarging.
    """
    basis, tokenizer = prepare(run_dir)
    signal = build_scheduler().alphas_cumprod.sqrt()
    noise, rng = (1 - signal**2).sqrt(), np.random.default_rng(99)
    numbers: dict[str, float] = {}
    with torch.no_grad():
        if (run_dir / "diffusion" / "latest").exists():
            model = new_text_to_latents(run_dir, tokenizer).eval()
            load_weights(model, run_dir / "diffusion")
            tokens, latents = painted_batch(basis, tokenizer, rng, count)
            for name, words, t in (
                ("right", tokens, 850),
                ("shuffled", tokens.roll(1, 0), 850),
                ("start", tokens, 999),
            ):
                torch.manual_seed(5)
                numbers[name] = (
                    velocity_error(model, words, latents, torch.full((count,), t), signal, noise)
                    .mean()
                    .item()
                )
            numbers["mean_picture"] = (latents - latents.mean(0)).pow(2).mean().item()
        if (run_dir / "vae" / "latest").exists():
            vae = build_vae().eval()
            load_weights(vae, run_dir / "vae")
            whole = [paint(random_scene(rng)) for _ in range(24)]
            pictures = torch.stack([to_tensor(p) for p in whole])
            small = torch.stack([to_tensor(p.reduce(4)) for p in whole])
            numbers["decoder"] = psnr(vae.decode(basis.encode(small)).sample, pictures)
            numbers["round_trip"] = psnr(vae.decode(vae.encode(pictures).latent_dist.mode()).sample, pictures)
            enlarged = F.interpolate(small, size=(SIZE, SIZE), mode="bilinear", antialias=True)
            numbers["bilinear"] = psnr(enlarged, pictures)
    return numbers


def psnr(drawn: Tensor, picture: Tensor) -> float:
    """Decibels, for values in [-1, 1]."""
    return float(-10 * torch.log10((drawn.clamp(-1, 1) - picture).pow(2).mean() / 4))


def export(run_dir: Path, folder: Path) -> None:
    """Write the averaged weights as a half-precision diffusers folder, with `vocabulary.json` and `studio.json` beside them."""
    _, tokenizer = prepare(run_dir)
    model, vae = new_text_to_latents(run_dir, tokenizer), build_vae()
    for part, name in ((model, "diffusion"), (vae, "vae")):
        if (run_dir / name / "latest").exists():
            load_weights(part, run_dir / name)
    assemble(tokenizer, model.text_encoder, model.unet, vae).to(torch.float16).save_pretrained(folder)
    shutil.copy(run_dir / "basis.safetensors", folder)  # so that training can go on from this folder alone
    (folder / "vocabulary.json").write_text(json.dumps(vocabulary(), indent=1) + "\n")
    studio = {"defaults": DEFAULTS, "limits": LIMITS, "licence": "CC0-1.0", "examples": EXAMPLES}
    (folder / "studio.json").write_text(json.dumps(studio, indent=1) + "\n")


def adopt(folder: Path, run_dir: Path) -> None:
    """Begin a run from an exported folder: its words, latent space and weights, as a checkpoint at step 0."""
    run_dir.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "basis.safetensors", run_dir)
    shutil.copytree(folder / "tokenizer", run_dir / "tokenizer")
    pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    parts = {"diffusion": TextToLatents(pipe.text_encoder, pipe.unet), "vae": pipe.vae}
    for name, part in parts.items():
        train(part, lambda step: None, lambda model, batch: 0, TrainingPlan(steps=0), run_dir / name)


def contact_sheet(pictures: list[Image.Image], path: Path, *, across: int, size: int) -> None:
    """Save pictures side by side."""
    rows = -(-len(pictures) // across)
    sheet = Image.new("RGB", (across * size, rows * size))
    for k, picture in enumerate(pictures):
        sheet.paste(picture.resize((size, size)), (k % across * size, k // across * size))
    sheet.save(path)


def _to_image(picture: Tensor) -> Image.Image:
    return Image.fromarray(((picture.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy())
