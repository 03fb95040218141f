"""Graphs of ComfyUI, read value by value, and graphs made to hold the reader up.

The graphs are written by hand in the form ComfyUI stores in its files: node id → {class_type, inputs}, a wire is [id, output].
"""

from __future__ import annotations

import contextlib
import json
import random
from typing import Any

import pytest

from studio.library.comfy import from_graph
from studio.library.graph import Nodes, Tangled
from studio.library.metadata import read
from tests.library.conftest import png_with

SD = "sd15.safetensors"


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def basic(**changes: Any) -> dict[str, Any]:
    """The graph ComfyUI opens with."""
    graph = {
        "4": node("CheckpointLoaderSimple", ckpt_name=SD),
        "5": node("EmptyLatentImage", width=512, height=768, batch_size=1),
        "6": node("CLIPTextEncode", text="a fox", clip=["4", 1]),
        "7": node("CLIPTextEncode", text="blur", clip=["4", 1]),
        "3": node("KSampler", seed=7, steps=20, cfg=8.0, sampler_name="euler", scheduler="normal", denoise=1.0,
                  model=["4", 0], positive=["6", 0], negative=["7", 0], latent_image=["5", 0]),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
    }  # fmt: skip
    return graph | changes


BASIC = {
    "prompt": "a fox", "negative prompt": "blur", "seed": 7, "steps": 20, "cfg scale": 8.0, "sampler": "euler",
    "schedule": "normal", "denoising strength": 1.0, "width": 512, "height": 768, "model": SD,
}  # fmt: skip


def changed(name: str, **inputs: Any) -> dict[str, Any]:
    """The basic graph with other inputs at one node."""
    graph = basic()
    graph[name] = node(graph[name]["class_type"], **graph[name]["inputs"] | inputs)
    return graph


def controlled() -> dict[str, Any]:
    graph = changed("3", positive=["20", 0], negative=["20", 1])
    graph["20"] = node("ControlNetApplyAdvanced", strength=1.0, start_percent=0.0, end_percent=1.0, positive=["6", 0],
                       negative=["7", 0], control_net=["21", 0], image=["22", 0])  # fmt: skip
    graph["21"] = node("ControlNetLoader", control_net_name="canny.safetensors")
    graph["22"] = node("LoadImage", image="edges.png", upload="image")
    return graph


def zeroed() -> dict[str, Any]:
    graph = changed("3", negative=["20", 0], cfg=1.0, positive=["21", 0])
    del graph["7"]
    graph["20"] = node("ConditioningZeroOut", conditioning=["6", 0])
    graph["21"] = node("FluxGuidance", guidance=3.5, conditioning=["6", 0])
    return graph


def combined(kind: str, first: str, second: str) -> dict[str, Any]:
    graph = changed("3", positive=["20", 0])
    graph["20"] = node(kind, **{first: ["6", 0], second: ["21", 0]})
    graph["21"] = node("CLIPTextEncode", text="at night", clip=["4", 1])
    return graph


def loras() -> dict[str, Any]:
    graph = changed("3", model=["21", 0])
    graph["20"] = node("LoraLoader", lora_name="fog.safetensors", strength_model=0.8, strength_clip=1.0, model=["4", 0],
                       clip=["4", 1])  # fmt: skip
    graph["21"] = node(
        "LoraLoaderModelOnly", lora_name="line.safetensors", strength_model=0.5, model=["20", 0]
    )
    return graph


def two_passes() -> dict[str, Any]:
    """Hires fix, the second pass listed before the first."""
    second = node("KSampler", seed=7, steps=9, cfg=5.0, sampler_name="dpmpp_2m", scheduler="karras", denoise=0.5,
                  model=["4", 0], positive=["6", 0], negative=["7", 0], latent_image=["11", 0])  # fmt: skip
    graph = {"1": second} | basic()
    graph["11"] = node(
        "LatentUpscale",
        upscale_method="nearest-exact",
        width=1024,
        height=1536,
        crop="disabled",
        samples=["3", 0],
    )
    graph["8"] = node("VAEDecode", samples=["1", 0], vae=["4", 2])
    return graph


def flux() -> dict[str, Any]:
    """The published Flux example: a sampler in parts."""
    return {
        "5": node("EmptySD3LatentImage", width=["34", 0], height=["35", 0], batch_size=1),
        "6": node("CLIPTextEncode", text="a fox", clip=["11", 0]),
        "8": node("VAEDecode", samples=["13", 0], vae=["10", 0]),
        "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
        "10": node("VAELoader", vae_name="ae.safetensors"),
        "11": node("DualCLIPLoader", clip_name1="t5xxl_fp16.safetensors", clip_name2="clip_l.safetensors", type="flux"),
        "12": node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="default"),
        "13": node("SamplerCustomAdvanced", noise=["25", 0], guider=["22", 0], sampler=["16", 0], sigmas=["17", 0],
                   latent_image=["5", 0]),
        "16": node("KSamplerSelect", sampler_name="euler"),
        "17": node("BasicScheduler", scheduler="simple", steps=24, denoise=1.0, model=["30", 0]),
        "22": node("BasicGuider", model=["30", 0], conditioning=["26", 0]),
        "25": node("RandomNoise", noise_seed=219670278747233),
        "26": node("FluxGuidance", guidance=3.5, conditioning=["6", 0]),
        "30": node("ModelSamplingFlux", max_shift=1.15, base_shift=0.5, width=["34", 0], height=["35", 0], model=["12", 0]),
        "34": node("PrimitiveNode", value=1024),
        "35": node("PrimitiveNode", value=768),
    }  # fmt: skip


def cfg_guider() -> dict[str, Any]:
    graph = flux()
    graph["22"] = node("CFGGuider", cfg=4.5, model=["30", 0], positive=["6", 0], negative=["7", 0])
    graph["7"] = node("CLIPTextEncode", text="blur", clip=["11", 0])
    return graph


def advanced() -> dict[str, Any]:
    """SDXL with its refiner: the refiner goes on where the base stopped."""
    base = {"steps": 25, "cfg": 7.0, "sampler_name": "dpmpp_2m_sde", "scheduler": "karras", "positive": ["6", 0],
            "negative": ["7", 0], "model": ["4", 0]}  # fmt: skip
    graph = basic()
    graph["3"] = node("KSamplerAdvanced", add_noise="enable", noise_seed=11, start_at_step=0, end_at_step=20,
                      return_with_leftover_noise="enable", latent_image=["5", 0], **base)  # fmt: skip
    graph["40"] = node("KSamplerAdvanced", add_noise="disable", noise_seed=0, start_at_step=20, end_at_step=10000,
                       return_with_leftover_noise="disable", latent_image=["3", 0], **base)  # fmt: skip
    graph["8"] = node("VAEDecode", samples=["40", 0], vae=["4", 2])
    return graph


def sdxl_texts() -> dict[str, Any]:
    graph = basic()
    graph["6"] = node("CLIPTextEncodeSDXL", width=4096, height=4096, target_width=4096, target_height=4096,
                      text_g="a fox", text_l="oil on canvas", clip=["4", 1])  # fmt: skip
    return graph


def joined_texts() -> dict[str, Any]:
    graph = changed("6", text=["20", 0])
    graph["20"] = node("StringConcatenate", string_a=["21", 0], string_b="in snow", delimiter=", ")
    graph["21"] = node("Reroute", **{"": ["22", 0]})
    graph["22"] = node("PrimitiveStringMultiline", value="a fox")
    return graph


def wan() -> dict[str, Any]:
    graph = changed("3", positive=["50", 0], negative=["50", 1], latent_image=["50", 2])
    graph["50"] = node("WanImageToVideo", width=832, height=480, length=81, batch_size=1, positive=["6", 0],
                       negative=["7", 0], vae=["4", 2], start_image=["51", 0])  # fmt: skip
    graph["51"] = node("LoadImage", image="start.png")
    graph["9"] = node("SaveWEBM", filename_prefix="ComfyUI", codec="vp9", fps=16.0, crf=32, images=["8", 0])
    return graph


@pytest.mark.parametrize(
    ("graph", "changes", "left_out"),
    [
        (basic(), {}, []),
        (controlled(), {}, []),
        (
            zeroed(),
            {"negative prompt": "", "cfg scale": 3.5, "cfg": 1.0},
            [],
        ),
        (
            combined("ConditioningCombine", "conditioning_1", "conditioning_2"),
            {"prompt": "a fox, at night"},
            [],
        ),
        (
            combined("ConditioningConcat", "conditioning_to", "conditioning_from"),
            {"prompt": "a fox, at night"},
            [],
        ),
        (loras(), {}, ["the LoRA fog.safetensors at 0.8", "the LoRA line.safetensors at 0.5"]),
        (
            two_passes(),
            {
                "second pass": {
                    "steps": 9,
                    "cfg scale": 5.0,
                    "sampler": "dpmpp_2m",
                    "denoising strength": 0.5,
                    "width": 1024,
                    "height": 1536,
                }
            },
            [
                "the pass after the first one (steps 9, cfg scale 5.0, sampler dpmpp_2m, denoising strength 0.5, "
                "width 1024, height 1536)"
            ],
        ),
        (sdxl_texts(), {}, ["the second text of the prompt, “oil on canvas”"]),
        (joined_texts(), {"prompt": "a fox, in snow"}, []),
        (
            wan(),
            {"width": 832, "height": 480, "frames": 81, "frame rate": 16.0},
            ["the picture it started from, start.png"],
        ),
    ],
    ids=["basic", "controlnet", "zero-out", "combine", "concat", "lora", "hires", "sdxl", "joined", "wan"],
)
def test_a_graph_is_read_value_by_value(
    graph: dict[str, Any], changes: dict[str, Any], left_out: list[str]
) -> None:
    found = from_graph(graph)
    assert (found.values, list(found.left_out)) == (BASIC | changes, left_out)


@pytest.mark.parametrize(
    ("graph", "changes"),
    [
        (flux(), {"negative prompt": None, "cfg scale": 3.5}),
        (cfg_guider(), {"negative prompt": "blur", "cfg scale": 4.5}),
    ],
    ids=["basic guider", "cfg guider"],
)
def test_a_sampler_in_parts_is_read_from_its_parts(graph: dict[str, Any], changes: dict[str, Any]) -> None:
    expected = {
        "prompt": "a fox",
        "seed": 219670278747233,
        "steps": 24,
        "sampler": "euler",
        "schedule": "simple",
        "denoising strength": 1.0,
        "width": 1024,
        "height": 768,
        "model": "flux1-dev.safetensors",
    }
    wanted = {key: value for key, value in (expected | changes).items() if value is not None}
    assert from_graph(graph).values == wanted


def test_a_refiner_is_a_second_pass() -> None:
    found = from_graph(advanced())
    told = {name: found.values.get(name) for name in ("seed", "steps", "cfg scale", "sampler", "width")}
    assert told == {"seed": 11, "steps": 25, "cfg scale": 7.0, "sampler": "dpmpp_2m_sde", "width": 512}
    assert len(found.left_out) == 1


def test_wires_crossed_on_purpose_stay_crossed() -> None:
    """The output a wire comes from decides: whoever plugs the negative output into the positive input gets that."""
    graph = controlled()
    graph["3"]["inputs"] |= {"positive": ["20", 1], "negative": ["20", 0]}
    values = from_graph(graph).values
    assert (values["prompt"], values["negative prompt"]) == ("blur", "a fox")


# ---- graphs that would hold the reader up ----


def itself(wires: int) -> dict[str, Any]:
    return {
        "1": {
            "inputs": {"steps": 1, "cfg": 1, "positive": ["1", 0], **{str(i): ["1", 0] for i in range(wires)}}
        }
    }


def test_a_picture_of_266_bytes_with_six_to_the_twelfth_ways_is_read_at_once() -> None:
    """Its one node is wired to itself six times; every way through it was walked, for hours."""
    data = png_with(prompt=json.dumps(itself(5)))
    assert len(data) < 400
    assert (read(data).recipe or {})["num_inference_steps"] == 1


def mesh(layers: int, width: int) -> dict[str, Any]:
    """Every node of a layer is wired to every node of the next: width ** layers ways."""
    graph = {
        "s": node(
            "KSampler",
            steps=1,
            cfg=1,
            positive=["0-0", 0],
            negative=["0-0", 1],
            model=["0-0", 2],
            latent_image=["0-0", 0],
        )
    }
    for layer in range(layers):
        for place in range(width):
            wires = {f"conditioning_{i + 1}": [f"{layer + 1}-{i}", i] for i in range(width)}
            graph[f"{layer}-{place}"] = node("X", clip=["s", 0], **wires)
    return graph


def chain(length: int, kind: str, name: str) -> dict[str, Any]:
    graph = {
        "s": node(
            "KSampler",
            steps=1,
            cfg=1,
            positive=["0", 0],
            negative=["0", 0],
            model=["0", 0],
            latent_image=["0", 0],
        )
    }
    return graph | {str(i): node(kind, **{name: [str(i + 1), 0]}) for i in range(length)}


def encoders(count: int) -> dict[str, Any]:
    """Each of many encoders reads its text through one long line of nodes."""
    graph = chain(count, "Reroute", "")
    joined = {f"conditioning_{i}": [f"e{i}", 0] for i in range(1, 9)}
    graph["s"]["inputs"]["positive"] = ["c0", 0]
    for i in range(count):
        graph[f"c{i}"] = node(
            "ConditioningCombine", conditioning_1=[f"e{i}", 0], conditioning_2=[f"c{i + 1}", 0]
        )
        graph[f"e{i}"] = node("CLIPTextEncode", text=["0", 0], clip=["e0", 0])
    graph["j"] = node("ConditioningCombine", **joined)
    return graph


def passes(count: int) -> dict[str, Any]:
    sampler = {"steps": 1, "cfg": 1, "positive": ["p", 0], "negative": ["p", 0], "model": ["p", 0]}
    graph = {str(i): node("KSampler", latent_image=[str(i + 1), 0], **sampler) for i in range(count)}
    return graph | {"p": node("CLIPTextEncode", text="x", clip=["p", 0])}


def tangle(count: int) -> dict[str, Any]:
    """Wires at random, names at random."""
    draw = random.Random(5)
    names = ["steps", "cfg", "positive", "negative", "model", "latent_image", "samples", "text", "conditioning", "string_a",
             "string_b", "guider", "noise", "sigmas", "sampler", "width", "height", "clip", "lora_name"]  # fmt: skip
    return {
        str(i): node(
            draw.choice(["KSampler", "Save", "X", "CLIPTextEncode"]),
            **{name: [str(draw.randrange(count)), draw.randrange(5)] for name in draw.sample(names, 9)},
        )
        for i in range(count)
    }


@pytest.mark.parametrize(
    "graph",
    [
        itself(5_000),
        mesh(12, 6),
        mesh(3, 80),
        chain(9_000, "Reroute", ""),
        chain(9_000, "LoraLoader", "model"),
        chain(9_000, "VAEDecode", "samples"),
        chain(9_000, "ConditioningZero", "conditioning"),
        encoders(3_000),
        passes(9_000),
        tangle(9_000),
    ],
    ids=[
        "itself",
        "mesh",
        "wide mesh",
        "reroutes",
        "loras",
        "latents",
        "conditions",
        "encoders",
        "passes",
        "tangle",
    ],
)
def test_the_work_grows_with_the_graph_and_not_with_the_ways_through_it(
    graph: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in visits, not in seconds: each is a step of the budget, and nothing else loops."""
    visits = 0
    spend = Nodes.spend

    def counted(nodes: Any, name: str) -> Any:
        nonlocal visits
        visits += 1
        return spend(nodes, name)

    monkeypatch.setattr(Nodes, "spend", counted)
    size = sum(1 + len(node["inputs"]) for node in graph.values())
    with contextlib.suppress(Tangled):
        from_graph(graph)
    assert visits <= 10_000 + 30 * size


def test_a_graph_of_more_nodes_than_anyone_draws_is_refused_by_its_number() -> None:
    found = read(png_with(prompt=json.dumps(chain(20_000, "Reroute", ""))))
    assert (found.recipe, found.source) == (None, "ComfyUI")
    assert "20,001 nodes, and 10,000 is the most" in found.reason


def test_a_graph_of_people_stays_far_below_its_budget() -> None:
    """A budget that real graphs could meet would lose settings: these take less than a tenth of it."""
    from studio.library import comfy

    for graph in (basic(), two_passes(), flux(), wan(), advanced()):
        nodes = Nodes(graph)
        before = nodes._budget
        comfy._settings(nodes, nodes.inputs(comfy._passes(nodes)[-1]))
        assert before - nodes._budget < (before - 10_000) / 2
