"""Frames and samples → files people can open, the recipe inside: MP4, WebM, GIF; WAV, MP3, FLAC, Opus, AAC.

One encoder for all of them: ffmpeg as a child process, fed through a pipe, so memory stays flat however long the clip is.
A file appears under its own name only when it is whole; after an error or a cancel nothing is left behind.
"""

from pipelines.media.film import GIF_MAX_FPS, VIDEO_FILES, Frame, VideoWriter
from pipelines.media.process import FileType, disk_error, ffmpeg, recipe_tags
from pipelines.media.sound import (
    AUDIO_FILES,
    RECIPE_CHUNK,
    Samples,
    change_tempo,
    encode_audio,
    loudness,
    wav_bytes,
)

__all__ = [
    "AUDIO_FILES",
    "GIF_MAX_FPS",
    "RECIPE_CHUNK",
    "VIDEO_FILES",
    "FileType",
    "Frame",
    "Samples",
    "VideoWriter",
    "change_tempo",
    "disk_error",
    "encode_audio",
    "ffmpeg",
    "loudness",
    "recipe_tags",
    "wav_bytes",
]
