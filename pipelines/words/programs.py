"""Programs that come with our packages."""

from __future__ import annotations


def ffmpeg() -> str:
    """Where ffmpeg is: `IMAGEIO_FFMPEG_EXE`, the one bundled with imageio-ffmpeg, or the system's; "" when there is none."""
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        return ""
