"""The video pipeline: the plan of a prompt, keyframes of a real (tiny) model, frames between them, one exact file."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from pipelines import media
from pipelines.catalog import ModelSpec, Source
from pipelines.diffusion.image import ImagePipeline
from pipelines.errors import Cancelled, InvalidRequest, OutOfDisk, StudioError
from pipelines.media import ffmpeg
from pipelines.memory import MemoryManager
from pipelines.messages import Artifact, ImageRequest, Progress, VideoRequest
from pipelines.runtime.context import Context
from pipelines.runtime.device import TorchDevice
from pipelines.timeline.camera import Camera
from pipelines.timeline.storyboard import Line, read_lines, storyboard
from pipelines.video import video
from pipelines.video.keyframes import FrameStore
from pipelines.video.video import VideoPipeline
from tests import checkpoints, checkpoints_video

SMALL: dict[str, Any] = {
    "width": 64,
    "height": 64,
    "num_inference_steps": 3,
    "seed": 4,
    "seconds": 1.0,
    "keyframes_per_second": 3.0,
    "fps": "12",
}


@pytest.fixture(scope="module")
def manager() -> MemoryManager:
    return MemoryManager(TorchDevice("cpu"))


def request(prompt: str = "a red cat", **knobs: Any) -> VideoRequest:
    return VideoRequest(**{"prompt": prompt, **SMALL, **knobs})


def context(manager: MemoryManager, spool: Path, folder: Path | None = None, **more: Any) -> Context:
    folder = folder or checkpoints.sd15()
    spec = ModelSpec(
        f"local/{folder.name}", folder.name, ("image", "video"), "diffusers", Source(path=str(folder))
    )
    settings = {"emit": lambda event: None, "is_cancelled": lambda: False} | more
    return Context("job", spec, manager, spool=spool, **settings)


def make(
    manager: MemoryManager, spool: Path, prompt: str = "a red cat", folder: Path | None = None, **knobs: Any
) -> Artifact:
    (artifact,) = VideoPipeline().generate(request(prompt, **knobs), context(manager, spool, folder))
    return artifact


def frames(artifact: Artifact) -> np.ndarray:
    """(T, H, W, 3) of a finished clip, as a player shows them."""
    assert artifact.path is not None
    command = [
        ffmpeg(),
        "-loglevel",
        "error",
        "-i",
        artifact.path,
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    out = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(out, np.uint8).reshape(-1, artifact.facts["height"], artifact.facts["width"], 3)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


def coarse(frame: np.ndarray) -> np.ndarray:
    """Averages of 8 × 8 squares: what the encoder's colour subsampling cannot change in the noise of an untrained model."""
    return np.asarray(cv2.resize(frame, (8, 8), interpolation=cv2.INTER_AREA))


# ---- the plan ----


def lines(prompt: str, **knobs: Any) -> list[tuple[float, str]]:
    return [(float(line.at), line.text) for line in read_lines(request(prompt, seconds=6.0, **knobs))]


@pytest.mark.parametrize(
    ("prompt", "knobs", "expected"),
    [
        ("one", {}, [(0, "one")]),
        ("one\n\n two \nthree", {}, [(0, "one"), (3, "two"), (6, "three")]),
        ("one\ntwo\nthree", {"transition": "cut"}, [(0, "one"), (2, "two"), (4, "three")]),
        ("one\ntwo\nthree", {"loop": True}, [(0, "one"), (2, "two"), (4, "three")]),
        ("one\n0:02 two\nthree", {}, [(0, "one"), (2, "two"), (6, "three")]),
        ("0:00 one\nmiddle\n0:05.5 end", {}, [(0, "one"), (2.75, "middle"), (5.5, "end")]),
        ("[0:01] a - b\n0:02 — c", {}, [(1, "a - b"), (2, "c")]),
        ("10:30 is a time of day without words after it: no", {"seconds": 900.0}, None),
        ("4:3 pictures\n16:9 ones", {"transition": "cut"}, [(0, "4:3 pictures"), (3, "16:9 ones")]),
    ],
)
def test_lines_find_their_times(
    prompt: str, knobs: dict[str, Any], expected: list[tuple[float, str]] | None
) -> None:
    if expected is None:  # ten and a half minutes in
        with pytest.raises(InvalidRequest, match="outside the clip"):
            lines(prompt)
    else:
        assert lines(prompt, **knobs) == expected


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("", "nothing to show"),
        ("  \n ", "nothing to show"),
        ("0:03 a\n0:02 b", "0:02 does not come after"),
        ("a\n0:06 b", "0:06 is outside the clip"),
    ],
)
def test_impossible_times_are_refused(prompt: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        lines(prompt)
    assert caught.value.field == "prompt"
    assert caught.value.detail
    assert caught.value.hint


def test_shots_share_out_every_frame_exactly_once() -> None:
    for fps in ("24000/1001", "25", "7"):
        shots = storyboard(request("a\n0:00.30 b\nc\n0:05.01 d", seconds=5.5, fps=fps, transition="cut"))
        assert sum(shot.frames for shot in shots) == round(Fraction("5.5") * Fraction(fps))
        assert sum((shot.seconds for shot in shots), Fraction(0)) == Fraction("5.5")
        assert all(shot.start <= key <= shot.start + shot.seconds for shot in shots for key in shot.keys)


def test_every_shot_has_two_keyframes_and_none_more_than_frames() -> None:
    shots = storyboard(request("a\nb", transition="cut", keyframes_per_second=0.5, seconds=2.0))
    assert [len(shot.keys) for shot in shots] == [2, 2]
    (shot,) = storyboard(request("a", keyframes_per_second=60.0, fps="4", seconds=2.0))
    assert len(shot.keys) == shot.frames == 8


def test_a_shot_without_a_frame_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="too short to be seen"):
        storyboard(request("a\n0:00.01 b\n0:00.02 c", fps="2", transition="cut", seconds=2.0))


def test_words_travel_and_a_loop_travels_home() -> None:
    (shot,) = storyboard(request("a\nb", loop=True, seconds=4.0))
    assert [shot.words_at(Fraction(t)) for t in (0, 1, 2, 3)] == [
        ("a", "b", 0.0),
        ("a", "b", 0.5),
        ("b", "a", 0.0),
        ("b", "a", 0.5),
    ]
    (shot,) = storyboard(request("0:01 a\nb", seconds=3.0))
    assert shot.words_at(Fraction(0)) == ("a", "b", 0.0)
    assert shot.words_at(Fraction(3)) == ("b", "b", 0.0)
    assert shot.lines == (Line(Fraction(1), "a"), Line(Fraction(3), "b"))


# ---- the clip ----


def test_a_clip_has_the_frames_the_rate_and_the_facts_asked_for(
    manager: MemoryManager, tmp_path: Path
) -> None:
    artifact = make(manager, tmp_path, fps="24000/1001")
    assert len(frames(artifact)) == 24
    assert artifact.facts == {
        "width": 64,
        "height": 64,
        "seconds": 1.001,
        "fps": "24000/1001",
        "frames": 24,
        "keyframes": 3,
    }
    capture = cv2.VideoCapture(str(artifact.path))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(24000 / 1001, rel=1e-9)
    assert (artifact.kind, artifact.media_type, artifact.suffix) == ("video", "video/mp4", "mp4")
    assert [file.name for file in tmp_path.iterdir()] == ["job.mp4"]


@pytest.mark.parametrize(("format", "start"), [("webm", b"\x1aE\xdf\xa3"), ("gif", b"GIF89a")])
def test_other_formats_are_what_they_say(
    manager: MemoryManager, tmp_path: Path, format: str, start: bytes
) -> None:
    artifact = make(manager, tmp_path, format=format)
    assert artifact.path is not None
    assert Path(artifact.path).read_bytes().startswith(start)
    assert len(frames(artifact)) == 12


def test_the_same_seed_gives_the_same_clip(manager: MemoryManager, tmp_path: Path) -> None:
    first, second = (make(manager, tmp_path).path for _ in range(2))
    assert first is not None
    once = Path(first).read_bytes()
    make(manager, tmp_path, seed=5)
    other = Path(first).read_bytes()
    assert second == first
    assert once != other
    make(manager, tmp_path)
    assert Path(first).read_bytes() == once


def test_the_first_frame_is_the_picture_of_the_same_seed(manager: MemoryManager, tmp_path: Path) -> None:
    """Words and seed found on the Image tab can be taken over."""
    clip = frames(make(manager, tmp_path, "a red cat\na blue dog"))
    still = ImageRequest(
        prompt="a red cat",
        **{name: SMALL[name] for name in ("width", "height", "num_inference_steps", "seed")},
    )
    (artifact,) = ImagePipeline().generate(still, context(manager, tmp_path))
    assert artifact.data is not None
    picture = np.asarray(Image.open(io.BytesIO(artifact.data)))
    assert difference(coarse(clip[0]), coarse(picture)) < 2
    assert difference(coarse(clip[-1]), coarse(picture)) > 2.5


def test_travelling_ends_at_the_last_words(manager: MemoryManager, tmp_path: Path) -> None:
    there, home = (
        frames(make(manager, tmp_path, prompt)) for prompt in ("a red cat\na blue dog", "a red cat")
    )
    assert difference(there[0], home[0]) < 1
    assert difference(there[-1], home[-1]) > 1.5 * difference(there[0], home[0])


def test_a_loop_comes_round_without_a_jump(manager: MemoryManager, tmp_path: Path) -> None:
    clip = frames(make(manager, tmp_path, loop=True, seconds=2.0, camera="pan_right"))
    steps = [difference(a, b) for a, b in pairwise(clip)]
    assert difference(clip[-1], clip[0]) < 1.6 * float(np.median(steps)) + 0.5


def test_a_cut_shows_no_mixture_of_two_shots(manager: MemoryManager, tmp_path: Path) -> None:
    keys = [np.full((64, 64, 3), level, np.uint8) for level in (10, 12, 200, 202)]
    shots = storyboard(request("a\nb", transition="cut", keyframes_per_second=2.0))
    parts = [(shot, keys[2 * i : 2 * i + 2], None) for i, shot in enumerate(shots)]
    shown = [int(frame.mean()) for frame in video._frames(request(transition="cut"), parts)]
    assert len(shown) == 12
    assert all(level <= 12 for level in shown[:6])
    assert all(level >= 200 for level in shown[6:])


def test_the_clip_starts_with_the_start_picture(manager: MemoryManager, tmp_path: Path) -> None:
    y, x = np.indices((64, 64))
    picture = np.stack([x * 4, y * 4, np.full_like(x, 90)], axis=2).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "PNG")
    ctx = context(manager, tmp_path, inputs={"pic": data.getvalue()})
    (artifact,) = VideoPipeline().generate(request(init_image="pic", strength=0.9), ctx)
    clip = frames(artifact)
    assert difference(clip[0], picture) < 3
    assert difference(clip[-1], picture) > 10


def test_progress_covers_keyframes_and_frames_with_previews(manager: MemoryManager, tmp_path: Path) -> None:
    events: list[Progress] = []
    list(VideoPipeline().generate(request(), context(manager, tmp_path, emit=events.append)))
    denoise = [event for event in events if event.stage == "denoise"]
    assert [event.step for event in denoise] == sorted(event.step for event in denoise)
    assert (denoise[-1].step, denoise[-1].total) == (9, 9)
    last = [event for event in events if event.stage == "interpolate"][-1]
    assert (last.step, last.total) == (12, 12)
    previews = [event.preview for event in events if event.preview]
    assert previews
    assert all(preview.startswith(b"\xff\xd8") for preview in previews)


@pytest.mark.parametrize("stage", ["denoise", "interpolate"])
def test_a_cancel_is_heard_at_every_stage_and_leaves_nothing(
    manager: MemoryManager, tmp_path: Path, stage: str
) -> None:
    seen: list[str] = []
    ctx = context(
        manager, tmp_path, emit=lambda event: seen.append(event.stage), is_cancelled=lambda: stage in seen
    )
    with pytest.raises(Cancelled):
        list(VideoPipeline().generate(request(seconds=2.0), ctx))
    assert list(tmp_path.iterdir()) == []


def test_when_ffmpeg_breaks_the_job_fails_clearly_and_leaves_nothing(
    manager: MemoryManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = media.VIDEO_FILES["mp4"]
    broken = media.FileType(real.suffix, real.media_type, ("-c:v", "no-such-codec"))
    monkeypatch.setitem(media.VIDEO_FILES, "mp4", broken)
    with pytest.raises(StudioError, match="ffmpeg could not write") as caught:
        make(manager, tmp_path)
    assert "no-such-codec" in caught.value.detail
    assert list(tmp_path.iterdir()) == []


def test_a_clip_larger_than_the_disk_is_refused_before_any_work(
    manager: MemoryManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Any] = []
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(video.shutil, "disk_usage", lambda path: usage._replace(free=50_000))
    with pytest.raises(OutOfDisk, match="more room than the disk has") as caught:
        list(VideoPipeline().generate(request(seconds=5.0), context(manager, tmp_path, emit=events.append)))
    assert "15 keyframes" in caught.value.detail
    assert events == []


def test_a_gif_beyond_its_clock_is_refused_before_any_work(manager: MemoryManager, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="60 frames") as caught:
        make(manager, tmp_path, fps="60", format="gif")
    assert caught.value.field == "fps"


# ---- models that film ----


@pytest.mark.parametrize(
    ("build", "steps_of"), [(checkpoints_video.animatediff, 1), (checkpoints_video.ltx, 8)]
)
def test_a_model_that_films_fills_exactly_the_length_asked_for(
    manager: MemoryManager, tmp_path: Path, build: Any, steps_of: int
) -> None:
    artifact = make(manager, tmp_path, "a red cat", build(), seconds=0.75, fps="24", guidance_scale=2.0)
    clip = frames(artifact)
    assert len(clip) == artifact.facts["frames"] == 18
    assert (artifact.facts["keyframes"] - 1) % steps_of == 0
    assert difference(clip[0], clip[-1]) > 0


def test_a_model_that_sees_few_frames_says_that_motion_was_slowed(
    manager: MemoryManager, tmp_path: Path
) -> None:
    artifact = make(manager, tmp_path, "a", checkpoints_video.animatediff(), seconds=2.0, fps="12")
    assert artifact.facts["keyframes"] == 8
    assert artifact.facts["frames"] == 24
    assert any("at most 8 frames" in note for note in artifact.facts["notes"])


# ---- camera and store ----


@pytest.mark.parametrize("move", ["zoom_in", "zoom_out", "pan_left", "pan_right"])
def test_a_camera_move_never_shows_what_is_outside_the_picture(move: Any) -> None:
    frame = np.full((64, 96, 3), 100, np.uint8)
    frame[:1], frame[-1:], frame[:, :1], frame[:, -1:] = 255, 255, 255, 255
    camera = Camera(move, 4.0)
    for t in (0.0, 0.3, 0.5, 1.0):
        seen = camera(frame, t)
        scale, _ = camera.view(t)
        assert scale >= 1
        assert (seen[2:-2, 2:-2] == 100).mean() > 0.9


def test_a_pan_moves_the_picture_the_other_way_at_an_even_pace() -> None:
    frame = np.zeros((64, 256, 3), np.uint8)
    frame[:, 126:130] = 255
    camera = Camera("pan_right", 3.0)
    places = [
        float(np.average(np.arange(256), weights=camera(frame, t / 4)[32, :, 0].astype(float)))
        for t in range(5)
    ]
    moves = np.diff(places)
    assert (moves < 0).all()
    assert moves == pytest.approx(np.full(4, moves.mean()), abs=0.3)


def test_a_still_camera_changes_nothing_and_a_loop_meets_itself() -> None:
    frame = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    assert Camera("still", 3.0)(frame, 0.5) is frame
    camera = Camera("zoom_in", 3.0, loop=True)
    assert camera.view(0.0) == pytest.approx(camera.view(1.0))
    assert camera.view(0.5)[0] > camera.view(0.25)[0] > 1


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FrameStore]:
    made = FrameStore(tmp_path / "frames")
    yield made
    made.close()


def test_frames_on_disk_come_back_as_they_were(store: FrameStore) -> None:
    originals = [np.random.default_rng(i).integers(0, 255, (6, 8, 3), np.uint8) for i in range(5)]
    for frame in originals:
        store.append(frame)
    assert len(store) == 5
    assert all(np.array_equal(store[i], originals[i]) for i in (4, 0, 2))
    part = store[2:4]
    assert len(part) == 2
    assert np.array_equal(part[1], originals[3])
    with pytest.raises(IndexError):
        store[5]
