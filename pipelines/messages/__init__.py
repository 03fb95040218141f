"""All that crosses between server and worker: requests, commands, events, artifacts.

A knob is declared once, here, as a field with bounds and help; the form, the API, the command line, the recipe and the
docs derive from it. `knob(..., simple=True)` puts it among the six controls everyone sees. Imports no torch.

A field that was left out takes the chosen model's own default (`Catalog.complete`), then the one written here.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from fractions import Fraction
from typing import IO, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator, model_validator

from pipelines.errors import InvalidRequest, Problem
from pipelines.words.texts import CODE_CHARS, MESSAGE_CHARS, PROMPT_CHARS, check_total, has_words

Modality = Literal["text", "code", "image", "audio", "video"]
MODALITIES: tuple[Modality, ...] = ("text", "code", "image", "audio", "video")
MAX_SEED = 2**32 - 1


def knob(
    default: Any, description: str, *, simple: bool = False, label: str = "", widget: str = "", **bounds: Any
) -> Any:
    """A request field with what a form needs to know about it.

    widget: "" (from the type), "lines" (multi-line text), "code", "slider", "asset:image" (an asset id of that kind).
    """
    return Field(
        default,
        description=description,
        json_schema_extra={"simple": simple, "label": label, "widget": widget},
        **bounds,
    )


class BaseRequest(BaseModel):
    """What someone asks for, whatever the modality. Frozen: a stored request is the recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = knob(
        "", "What to make, in your own words.", simple=True, widget="lines", max_length=PROMPT_CHARS
    )
    model: str = knob("", "The model that makes it.", simple=True, max_length=300)
    seed: int = knob(-1, "Same seed, same result. -1 draws a new one.", label="Seed", ge=-1, le=MAX_SEED)

    @field_validator(
        "prompt", "negative_prompt", "system", "code", "suffix", mode="before", check_fields=False
    )
    @classmethod
    def _a_mark_of_byte_order_is_no_letter(cls, value: Any) -> Any:
        return value.removeprefix("\ufeff") if isinstance(value, str) else value

    @model_validator(mode="after")
    def _texts_are_bounded(self) -> Self:
        check_total(self.model_dump())
        return self

    def check_has_something_to_do(self) -> None:
        """Raise InvalidRequest beside the field that is empty: the one rule for form, API, queue and worker."""
        if not self.prompt.strip():
            raise InvalidRequest("The prompt is empty.", field="prompt", hint="Write what to make.")


class SamplingRequest(BaseRequest):
    """Knobs every language model has."""

    max_tokens: int = knob(
        512,
        "Longest answer, in tokens (about ¾ of a word each).",
        simple=True,
        label="Length",
        widget="slider",
        ge=1,
        le=32_768,
    )
    temperature: float = knob(
        0.7,
        "Low is careful, high is surprising; 0 always takes the likeliest word.",
        simple=True,
        label="Creativity",
        widget="slider",
        ge=0.0,
        le=2.0,
    )
    top_p: float = knob(
        0.95, "Consider only the likeliest words that together reach this share.", ge=0.01, le=1.0
    )
    top_k: int = knob(0, "Consider only this many words; 0 for no limit.", ge=0, le=1000)
    min_p: float = knob(0.0, "Drop words less likely than this share of the likeliest one.", ge=0.0, le=1.0)
    repetition_penalty: float = knob(1.0, "Above 1 discourages repeating itself.", ge=0.5, le=2.0)
    avoid_loops: bool = knob(False, "Never write the same passage three times in a row.")
    stop: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = knob(
        (), "Stop when one of these texts appears (at most four).", max_length=4
    )


class ChatMessage(BaseModel):
    """One earlier turn of a conversation."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    role: Literal["user", "assistant"]
    content: str = Field(max_length=MESSAGE_CHARS)


class TextRequest(SamplingRequest):
    """Writing and chat."""

    modality: Literal["text"] = "text"
    system: str = knob(
        "", "How the assistant should behave.", label="System prompt", widget="lines", max_length=PROMPT_CHARS
    )
    history: tuple[ChatMessage, ...] = knob((), "Earlier turns of this conversation.", max_length=500)


CodeTask = Literal["write", "complete", "explain", "find_bugs", "fix", "translate", "tests"]


class CodeRequest(SamplingRequest):
    """Programming tasks on a language model."""

    modality: Literal["code"] = "code"
    task: CodeTask = knob("write", "What to do.", simple=True, label="Task")
    code: str = knob(
        "",
        "The code to work on; for *complete*, what stands before the cursor.",
        simple=True,
        widget="code",
        max_length=CODE_CHARS,
    )
    suffix: str = knob(
        "",
        "For *complete*: what stands after the cursor.",
        label="Code after the cursor",
        widget="code",
        max_length=CODE_CHARS,
    )
    language: str = knob("python", "The language of the code.", simple=True, max_length=40)
    target_language: str = knob("javascript", "For *translate*: the language to translate to.", max_length=40)
    temperature: float = knob(
        0.2,
        "Low is careful, high is surprising; 0 always takes the likeliest word.",
        label="Creativity",
        widget="slider",
        ge=0.0,
        le=2.0,
    )

    @property
    def given_code(self) -> str:
        """The code to work on; where only the prompt was filled in, that is it."""
        return self.code if self.code.strip() or self.task == "write" else self.prompt

    def check_has_something_to_do(self) -> None:
        if self.task == "write":
            if not self.prompt.strip():
                raise InvalidRequest(
                    "The prompt is empty.", field="prompt", hint="Write what the code should do."
                )
            return
        gap = self.suffix if self.task == "complete" else ""
        if not (self.given_code.strip() or gap.strip()):
            raise InvalidRequest(
                "There is no code to work on.", field="code", hint="Paste the code, or pick the task *write*."
            )


class DiffusionRequest(BaseRequest):
    """Knobs every diffusion model has; image and video share them."""

    negative_prompt: str = knob(
        "", "What should not be in the picture.", widget="lines", max_length=PROMPT_CHARS
    )
    width: int = knob(512, "Pixels across.", simple=True, label="Width", ge=64, le=4096, multiple_of=8)
    height: int = knob(512, "Pixels down.", simple=True, label="Height", ge=64, le=4096, multiple_of=8)
    num_inference_steps: int = knob(
        30, "More steps, more detail, more time.", label="Steps", widget="slider", ge=1, le=200
    )
    guidance_scale: float = knob(
        5.0, "How strictly to follow the prompt.", label="Match prompt", widget="slider", ge=0.0, le=30.0
    )
    scheduler: str = knob(
        "",
        "How noise becomes a picture; empty for the model's own. Programs send the name of the diffusers class.",
        label="Sampler",
        max_length=80,
    )
    init_image: str = knob(
        "", "A picture to start from.", label="Start image", widget="asset:image", max_length=64
    )
    strength: float = knob(
        0.6,
        "How far to move away from the start image: 0 keeps it, 1 ignores it.",
        widget="slider",
        ge=0.0,
        le=1.0,
    )


class ImageRequest(DiffusionRequest):
    """Text to image, image to image when `init_image` is given, and only a part of it when `mask_image` is given too."""

    modality: Literal["image"] = "image"
    mask_image: str = knob(
        "",
        "With a start image: what is white here is painted anew, what is black stays.",
        label="Mask",
        widget="asset:image",
        max_length=64,
    )
    num_images: int = knob(
        1,
        "How many pictures; each has its own seed, counted up from the first.",
        simple=True,
        label="Pictures",
        widget="slider",
        ge=1,
        le=16,
    )
    format: Literal["png", "jpeg", "webp"] = knob("png", "File format.", simple=True)

    def single(self, index: int) -> ImageRequest:
        """The request for picture `index` of the batch alone: its own seed, counted up from the first."""
        return self.model_copy(update={"seed": (self.seed + index) % (MAX_SEED + 1), "num_images": 1})


class AudioRequest(BaseRequest):
    """Speech, or music when the model makes music."""

    modality: Literal["audio"] = "audio"
    voice: str = knob("", "Who speaks; empty for the model's own voice.", simple=True, max_length=100)
    speed: float = knob(
        1.0, "1 is normal, 2 is twice as fast.", simple=True, widget="slider", ge=0.25, le=4.0
    )
    pitch: float = knob(0.0, "Higher or lower, in semitones.", widget="slider", ge=-12.0, le=12.0)
    pause_seconds: float = knob(
        0.25, "Silence between sentences.", label="Pause", widget="slider", ge=0.0, le=3.0
    )
    as_written: bool = knob(
        False,
        "Speak every sign as it stands: Markdown, addresses, tags and time codes too.",
        label="As written",
    )
    seconds: float = knob(
        8.0, "Length of the music.", label="Music length (s)", widget="slider", ge=1.0, le=120.0
    )
    temperature: float = knob(
        0.7, "Liveliness of the sampled voice (Bark, MusicGen).", widget="slider", ge=0.01, le=2.0
    )
    guidance_scale: float = knob(
        3.0, "How strictly music follows the prompt (MusicGen).", widget="slider", ge=1.0, le=15.0
    )
    format: Literal["wav", "mp3", "flac", "opus", "aac"] = knob("wav", "File format.", simple=True)

    def check_has_something_to_do(self) -> None:
        super().check_has_something_to_do()
        if not has_words(self.prompt):
            raise InvalidRequest(
                "The text has nothing to say.",
                field="prompt",
                detail=f"There is no letter and no digit in its {len(self.prompt)} characters.",
                hint="Write at least one word.",
            )


class VideoRequest(DiffusionRequest):
    """Prompts in, a clip out: keyframes by diffusion, the frames between them by interpolation."""

    modality: Literal["video"] = "video"
    prompt: str = knob(
        "",
        "What to show. One line per moment; start a line with a time like `0:02` to place it.",
        simple=True,
        widget="lines",
        max_length=PROMPT_CHARS,
    )
    seconds: float = knob(
        3.0, "Length of the clip.", simple=True, label="Seconds", widget="slider", ge=0.2, le=600.0
    )
    fps: str = knob(
        "24", "Frames a second, whole or exact like 24000/1001.", label="Frame rate", max_length=20
    )
    keyframes_per_second: float = knob(
        2.0,
        "Pictures the model draws per second; the rest is interpolated.",
        widget="slider",
        ge=0.1,
        le=60.0,
    )
    transition: Literal["travel", "cut"] = knob("travel", "Between two lines: travel smoothly, or cut.")
    camera: Literal["still", "zoom_in", "zoom_out", "pan_left", "pan_right"] = knob("still", "Camera move.")
    loop: bool = knob(False, "End where it began, so that it plays for ever.")
    format: Literal["mp4", "webm", "gif"] = knob("mp4", "File format.", simple=True)

    @field_validator("fps", mode="before")
    @classmethod
    def _fps_may_be_a_number(cls, value: Any) -> Any:
        return f"{value:.12g}" if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("fps")
    @classmethod
    def _fps_is_a_rate(cls, value: str) -> str:
        try:
            rate = Fraction(value.strip())
        except (ValueError, ZeroDivisionError):
            raise ValueError(f"{value!r} is not a frame rate; write 24, 29.97 or 30000/1001") from None
        if not 1 <= rate <= 120:
            raise ValueError(f"{value} is outside 1 to 120 frames a second")
        return value.strip()

    @property
    def frame_rate(self) -> Fraction:
        return Fraction(self.fps)


Request = Annotated[
    TextRequest | CodeRequest | ImageRequest | AudioRequest | VideoRequest, Field(discriminator="modality")
]
REQUESTS: dict[Modality, type[BaseRequest]] = {
    "text": TextRequest,
    "code": CodeRequest,
    "image": ImageRequest,
    "audio": AudioRequest,
    "video": VideoRequest,
}
request_adapter: TypeAdapter[Any] = TypeAdapter(Request)


def parse_request(data: dict[str, Any]) -> Any:
    """The request a plain dict describes; raises pydantic.ValidationError with one entry per bad field."""
    return request_adapter.validate_python(data)


# ---- what a job makes -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Artifact:
    """Encoded media on its way to the library.

    data: the encoded bytes, or None when `path` names a spool file (long video) that the server moves into the library.
    suffix: file ending without the dot. facts: width, height, seconds, fps, sample_rate, tokens, words, … as plain JSON.
    recipe: the request that makes exactly this one again (its own seed, a batch of one); None means the job's request.
    """

    kind: Modality
    media_type: str
    suffix: str
    data: bytes | None = None
    path: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    recipe: Any = None


# ---- server → worker --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WorkerConfig:
    """What a worker is told when it starts, before any command.

    spool: a folder for files too large to send. cache: a folder for what was learned about this machine, empty to keep nothing.
    Budgets in bytes, 0 for all there is; reserve None for a tenth, at most 1 GB.
    keep_alive_seconds: how long an idle model stays, negative for ever. warm_up: load the libraries at once instead of with
    the first job that needs them.
    """

    spool: str
    device: str = "auto"
    vram_budget_bytes: int = 0
    reserve_vram_bytes: int | None = None
    ram_budget_bytes: int = 0
    keep_alive_seconds: float = 600.0
    with_metadata: bool = True
    warm_up: bool = True
    cache: str = ""


@dataclass(frozen=True)
class Run:
    """Carry out a job. spec: the `ModelSpec` of request.model; inputs: asset id → encoded bytes of media it names."""

    job_id: str
    request: Any
    spec: Any
    inputs: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Cancel:
    job_id: str


@dataclass(frozen=True)
class Plan:
    """Would this request fit, and what would leave? Answered by `Planned` with the same query_id."""

    query_id: str
    request: Any
    spec: Any


@dataclass(frozen=True)
class Hint:
    """The next jobs in the queue, soonest first: (request, spec) pairs."""

    upcoming: tuple[tuple[Any, Any], ...]


@dataclass(frozen=True)
class Unload:
    """Drop an idle model from the device; model_id "" means all idle ones."""

    model_id: str = ""


@dataclass(frozen=True)
class Pin:
    model_id: str
    pinned: bool = True


@dataclass(frozen=True)
class Stop:
    pass


Command = Run | Cancel | Plan | Hint | Unload | Pin | Stop

# ---- worker → server --------------------------------------------------------------------------------------------------

STAGES = ("queued", "load", "encode", "denoise", "generate", "interpolate", "decode", "save")


@dataclass(frozen=True)
class Ready:
    """The worker has its libraries and device. seconds: how long that took."""

    device: str
    seconds: float


@dataclass(frozen=True)
class Progress:
    """Where a job stands. preview: a small encoded JPEG or PNG, or None."""

    job_id: str
    stage: str
    step: int = 0
    total: int = 0
    preview: bytes | None = None


@dataclass(frozen=True)
class TextDelta:
    job_id: str
    text: str


@dataclass(frozen=True)
class Produced:
    job_id: str
    artifact: Artifact


@dataclass(frozen=True)
class Finished:
    """The job is over. status: completed, failed or cancelled."""

    job_id: str
    status: Literal["completed", "failed", "cancelled"]
    problem: Problem | None = None


@dataclass(frozen=True)
class Planned:
    """The answer to `Plan`.

    evicts: keys that would leave. how: "full", or "streamed" when the keys in `streamed` pass through the device piece by piece.
    way: what the pipeline does to save memory, "" for nothing. load_seconds: until everything is on the device.
    """

    query_id: str
    fits: bool
    need_bytes: int
    free_bytes: int
    evicts: tuple[str, ...] = ()
    problem: Problem | None = None
    how: str = "full"
    streamed: tuple[str, ...] = ()
    load_seconds: float = 0.0
    way: str = ""


@dataclass(frozen=True)
class Telemetry:
    """What the memory manager holds: its `snapshot()` as plain JSON."""

    snapshot: dict[str, Any]


Event = Ready | Progress | TextDelta | Produced | Finished | Planned | Telemetry

# ---- on the wire ------------------------------------------------------------------------------------------------------


def write_message(stream: IO[bytes], message: Any) -> None:
    """Send one message: its length, then its pickle. Raises OSError when the other side is gone."""
    data = pickle.dumps(message, protocol=5)
    stream.write(len(data).to_bytes(8, "big"))
    stream.write(data)
    stream.flush()


def read_message(stream: IO[bytes]) -> Any:
    """The next message; raises EOFError (or OSError) when the other side is gone.

    Pickle, because both ends are this program: a worker is a child process on a pipe nobody else holds.
    """
    head = stream.read(8)
    data = stream.read(int.from_bytes(head, "big")) if len(head) == 8 else b""
    if len(head) < 8 or len(data) < int.from_bytes(head, "big"):
        raise EOFError("the other side is gone")
    return pickle.loads(data)
