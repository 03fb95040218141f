"""One request class for every task, in a file for the modality it makes."""

from pipelines.messages.requests.audio import AudioRequest
from pipelines.messages.requests.base import (
    MAX_SEED,
    REQUESTS,
    BaseRequest,
    parse_request,
    request_class,
)
from pipelines.messages.requests.code import CodeRequest, CodeTask
from pipelines.messages.requests.image import ImageRequest
from pipelines.messages.requests.shared import DiffusionRequest, SamplingRequest
from pipelines.messages.requests.text import ChatMessage, TextRequest
from pipelines.messages.requests.video import VideoRequest

__all__ = [
    "MAX_SEED",
    "REQUESTS",
    "AudioRequest",
    "BaseRequest",
    "ChatMessage",
    "CodeRequest",
    "CodeTask",
    "DiffusionRequest",
    "ImageRequest",
    "SamplingRequest",
    "TextRequest",
    "VideoRequest",
    "parse_request",
    "request_class",
]
