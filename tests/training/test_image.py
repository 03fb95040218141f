"""The recipe of `starter/image`, run for a step or two: what comes out must be an ordinary Stable Diffusion folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoPipelineForImage2Image, AutoPipelineForText2Image, StableDiffusionPipeline
from PIL import Image
from safetensors.torch import load_file

from pipelines.training.loop import TrainingPlan
from pipelines.training.starter import image
from pipelines.training.starter.evaluate_image import VALUES, Looker, asked, labels, score, truth
from pipelines.training.starter.flat_picture import paint
from pipelines.training.starter.image_model import CHANNELS, TOKENS, Basis, to_tensor
from pipelines.training.starter.world import EXAMPLES, caption, random_scene

ONE_STEP = TrainingPlan(steps=1, log_every=1)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("starter-image")
    image.train_words(folder, plan=ONE_STEP)
    image.train_vae(folder, plan=ONE_STEP, batch_size=1, crop=2)
    image.train_diffusion(folder, plan=ONE_STEP, batch_size=2)
    return folder


@pytest.fixture(scope="module")
def exported(run_dir: Path) -> Path:
    image.export(run_dir, run_dir / "out")
    return run_dir / "out"


def test_a_trained_run_opens_as_a_stable_diffusion_pipeline(exported: Path) -> None:
    pipe = StableDiffusionPipeline.from_pretrained(exported, dtype=torch.float32, use_safetensors=True)
    made = pipe(
        EXAMPLES[0], num_inference_steps=2, guidance_scale=3.0, generator=torch.Generator().manual_seed(0)
    )
    assert made.images[0].size == (256, 256)
    files = list(exported.rglob("*.safetensors"))
    assert len(files) == 4  # three models, and the latent space that training goes on in
    assert all(file.stat().st_size <= 16 << 20 for file in files)


def test_training_goes_on_from_an_exported_folder_alone(exported: Path, tmp_path: Path) -> None:
    """A fresh checkout has the shipped weights and no checkpoints."""
    image.adopt(exported, tmp_path / "run")
    result = image.train_diffusion(tmp_path / "run", resume=True, plan=ONE_STEP, batch_size=2)
    assert result.step == 1
    image.export(tmp_path / "run", tmp_path / "again")
    before, after = (
        load_file(f / "vae" / "diffusion_pytorch_model.safetensors") for f in (exported, tmp_path / "again")
    )
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_same_folder_serves_a_start_image(exported: Path) -> None:
    text = AutoPipelineForText2Image.from_pretrained(exported, dtype=torch.float32, use_safetensors=True)
    pipe = AutoPipelineForImage2Image.from_pipe(text)
    start = paint(random_scene(np.random.default_rng(0)))
    made = pipe(EXAMPLES[0], image=start, strength=0.5, num_inference_steps=4)
    assert made.images[0].size == (256, 256)


def test_the_studio_finds_defaults_examples_and_words_beside_the_weights(exported: Path) -> None:
    studio = json.loads((exported / "studio.json").read_text())
    assert studio["defaults"].keys() == {"width", "height", "num_inference_steps", "guidance_scale"}
    assert studio["examples"] == EXAMPLES
    assert "sunset" in json.loads((exported / "vocabulary.json").read_text())["attributes"]["time"]


def test_words_of_the_world_are_single_tokens_and_unknown_words_are_spelled(run_dir: Path) -> None:
    _, tokenizer = image.prepare(run_dir)
    ids = image.tokenize(
        tokenizer, ["a red sailboat at sunset", "A Red SAILBOAT at sunset", "quixotic zeppelin"]
    )
    assert ids.shape == (3, TOKENS)
    assert torch.equal(ids[0], ids[1])
    assert (ids[0] != tokenizer.pad_token_id).sum() == 6  # start and five words
    assert (ids[2] != tokenizer.pad_token_id).sum() > 4


def test_latents_keep_the_small_picture(run_dir: Path) -> None:
    basis = Basis.load(run_dir / "basis.safetensors")
    rng = np.random.default_rng(5)
    small = torch.stack([to_tensor(paint(random_scene(rng)).reduce(4)) for _ in range(20)])
    latents = basis.encode(small)
    assert latents.shape == (20, CHANNELS, 16, 16)
    assert 0.5 < float(latents.var()) < 2
    assert image.psnr(basis.decode(latents), small) > 30


def test_noise_levels_cover_the_schedule_and_dwell_where_words_decide() -> None:
    torch.manual_seed(0)
    t = image.draw_timesteps(20_000)
    assert 0 <= int(t.min()) < 60
    assert 980 < int(t.max()) <= 999
    assert 0.55 < float((t > 700).float().mean()) < 0.75


def test_a_picture_is_scored_for_what_its_caption_asks_and_nothing_else() -> None:
    rng = np.random.default_rng(8)
    for _ in range(100):
        scene = random_scene(rng, held=None)
        _, said = caption(scene, rng)
        shown = truth(scene)
        assert asked(said).items() <= shown.items()
        assert shown.keys() <= VALUES.keys()
    target = labels([{"kind": "emblem"}])
    assert {name for name, value in target.items() if int(value) >= 0} == {"kind"}
    assert score(Looker(8), [Image.new("RGB", (256, 256))], [{"kind": "emblem"}]).keys() == {"kind", "all"}
