"""A stranger's picture → 8 bits a channel, RGB or RGBA, right way up. The one place that decodes pictures, in the reader process.

16-bit and float pictures are scaled by their range, CMYK and other colour spaces go through their ICC profile, palettes and 1-bit
become colours, of an animation the first frame counts.
"""

from __future__ import annotations

import io
import math
import warnings
from typing import IO, TYPE_CHECKING

from studio.library.errors import UnreadableFile
from studio.library.media import READABLE, Sniffed, sniff

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_PIXELS = 150_000_000  # 12 000 × 12 000; about 450 MB once decoded
MAX_AREA = 4096 * 4096  # pixels of what leaves here: more than any model takes, and a bound on what crosses
MANY_PIXELS = 40_000_000  # from there on speed matters more than the last bit of smoothness
VIEW_SIDE = 2048  # of what is shown in place of a picture that browsers cannot show
DECODERS = {
    "png": "PNG", "jpg": "JPEG", "gif": "GIF", "tif": "TIFF", "bmp": "BMP", "webp": "WEBP", "avif": "AVIF",
    "heic": "HEIF",
}  # fmt: skip
ORIENTATION, TURNED = 0x0112, (5, 6, 7, 8)
# Of whatever a decoder stumbles over: what Pillow raises for damaged files is not one family
DAMAGE = (OSError, ValueError, SyntaxError, EOFError, KeyError, TypeError, IndexError, AttributeError, RuntimeError,
          ArithmeticError, AssertionError)  # fmt: skip


def open_picture(source: IO[bytes]) -> Picture:
    """A Pillow image, not yet decoded, by the one decoder its first bytes name; raises UnreadableFile."""
    from PIL import Image

    source.seek(0)
    found = sniff(source.read(64))
    source.seek(0)
    if found is None or found.suffix not in DECODERS:
        raise UnreadableFile("This is not a picture.", hint=f"What can be read: {READABLE}")
    if found.suffix == "heic" and "HEIF" not in Image.OPEN:
        raise UnreadableFile("HEIC pictures need pi-heif.", hint="pip install pi-heif, or save it as JPEG.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of large and of odd files: our own bound follows, with its numbers
            picture = Image.open(source, formats=[DECODERS[found.suffix]])
    except Image.DecompressionBombError:
        raise _too_large(f"more than {MAX_PIXELS // 1_000_000} million") from None
    except DAMAGE as error:
        raise _damaged(error) from None
    if picture.width * picture.height > MAX_PIXELS:
        raise _too_large(f"{picture.width} × {picture.height}")
    return picture


def check(source: IO[bytes], found: Sniffed) -> Sniffed:
    """Decode the whole picture to see that it can be; what was sniffed, with its size as it is seen. Raises UnreadableFile."""
    with open_picture(source) as picture:
        whole = picture.size
        # an eighth of a JPEG tells as much of its damage, in a fraction of the time
        is_reduced = picture.draft(None, (whole[0] // 8, whole[1] // 8)) is not None
        _load(picture)
        # asked now: Pillow turns a TIFF while it loads
        size = whole if is_reduced else picture.size
        width, height = size[:: -1 if _orientation(picture) in TURNED else 1]
        return Sniffed(found.kind, found.media_type, found.suffix, {"width": width, "height": height})


def upright(source: IO[bytes], *, most_area: int = MAX_AREA, most_side: int = 0) -> Picture:
    """The picture as RGB, or RGBA where something is transparent, right way up; reduced to the bounds if it is larger.

    Pixels of an 8-bit RGB picture within the bounds are exactly the file's.
    """
    from PIL import ImageOps

    with open_picture(source) as picture:
        size = _within(picture.size, most_area, most_side)
        picture.draft("RGB", size)  # a JPEG is decoded at the size it is needed
        _load(picture)
        try:
            turned = ImageOps.exif_transpose(_eight_bit(_reduced(picture, size)))
        except DAMAGE as error:
            raise _damaged(error) from None
        turned.info = {}
        return turned


def png(picture: Picture) -> bytes:
    """The picture as a PNG without any metadata; packed fast, since it only crosses between two processes."""
    return _saved(picture, "PNG", compress_level=1)


def webp(picture: Picture, quality: int = 80) -> bytes:
    return _saved(picture, "WEBP", quality=quality, method=4)


def _saved(picture: Picture, format: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def _load(picture: Picture) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture.load()
    except DAMAGE as error:
        raise _damaged(error) from None


def _orientation(picture: Picture) -> int:
    try:
        return int(picture.getexif().get(ORIENTATION, 1))
    except DAMAGE:  # a picture whose EXIF is damaged is shown as it lies
        return 1


def _within(size: tuple[int, int], most_area: int, most_side: int) -> tuple[int, int]:
    """The size, or the largest of the same shape within the bounds."""
    width, height = size
    scale = min(1.0, math.sqrt(most_area / (width * height)), (most_side or math.inf) / max(size))
    return (width, height) if scale == 1.0 else (max(1, int(width * scale)), max(1, int(height * scale)))


def _reduced(picture: Picture, size: tuple[int, int]) -> Picture:
    """Made smaller before anything is converted: a conversion has a second copy of all pixels in memory."""
    from PIL import Image

    if picture.width <= size[0] and picture.height <= size[1]:
        return picture
    info = picture.info
    if picture.mode.startswith("I;16"):  # Pillow mixes no 16-bit numbers
        picture = picture.resize(size, Image.Resampling.NEAREST)
    has_indices = picture.mode in ("P", "PA", "1")  # colours cannot be mixed by their numbers
    if has_indices or (picture.width * picture.height > MANY_PIXELS and picture.mode in ("RGBA", "LA")):
        # four times as many as wanted are enough of them, and mixing transparent ones copies all of them first
        near = (min(picture.width, 2 * size[0]), min(picture.height, 2 * size[1]))
        picture = picture.resize(near, Image.Resampling.NEAREST)
        picture.info = info
        picture = _plain(picture)
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    picture.info = info
    return picture


def _eight_bit(picture: Picture) -> Picture:
    """RGB or RGBA of 8 bits a channel, whatever came."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return _by_range(picture)
    if (profile := picture.info.get("icc_profile")) and (converted := _by_profile(picture, profile)):
        return converted
    return _plain(picture)


def _plain(picture: Picture) -> Picture:
    info = picture.info
    wanted = "RGBA" if picture.has_transparency_data else "RGB"
    converted = picture if picture.mode == wanted else picture.convert(wanted)
    converted.info = info  # the orientation is still needed
    return converted


def _by_range(picture: Picture) -> Picture:
    """Grey values of 16 bits or floats as 8 bits: 0–1, 0–255 and 0–65535 by their own scale, anything else from least to most."""
    import numpy as np
    from PIL import Image

    is_whole = picture.mode.startswith("I;16")
    values = np.nan_to_num(np.asarray(picture).astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    least, most = float(values.min()), float(values.max())
    if is_whole:
        low, high = 0.0, 65535.0
    else:
        scales = (1.0, 255.0, 65535.0) if picture.mode == "F" else (255.0, 65535.0)
        high = next((scale for scale in scales if least >= 0 and most <= scale), most)
        low = 0.0 if least >= 0 and most <= 65535 else least
    grey = ((values - low) * (255.0 / max(high - low, 1e-12))).round().clip(0, 255).astype(np.uint8)
    converted = Image.fromarray(grey).convert("RGB")
    converted.info = picture.info
    return converted


def _by_profile(picture: Picture, profile: bytes) -> Picture | None:
    """The colours as its ICC profile means them, in sRGB; None where that says nothing or cannot be done."""
    from PIL import Image, ImageCms

    if picture.mode not in ("RGB", "RGBA", "CMYK", "L", "LAB"):
        return None
    try:
        given, wanted = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        if "sRGB" in ImageCms.getProfileDescription(given):
            return None
        source = picture.convert("RGB") if picture.mode == "RGBA" else picture
        converted = ImageCms.profileToProfile(source, given, wanted, outputMode="RGB")
    except (ImageCms.PyCMSError, *DAMAGE):
        return None
    if picture.mode == "RGBA":
        converted = Image.merge("RGBA", (*converted.split(), picture.getchannel("A")))
    converted.info = picture.info
    return converted


def _too_large(pixels: str) -> UnreadableFile:
    return UnreadableFile(
        "The picture is too large to open.",
        detail=f"It has {pixels} pixels; {MAX_PIXELS // 1_000_000} million is the most.",
        hint="Make it smaller and try again.",
    )


def _damaged(error: BaseException) -> UnreadableFile:
    return UnreadableFile(
        "The picture cannot be read.",
        detail=f"It is damaged: {type(error).__name__}: {error}"[:200],
        hint=f"What can be read: {READABLE}",
    )
