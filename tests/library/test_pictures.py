"""Whatever kind a picture is, a worker and the page get it as 8 bits a channel, right way up, or a sentence why not."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from studio.library import Library, UnreadableFile
from studio.library.reader import Reader
from tests.library.conftest import png

FILES = Path(__file__).parent / "files"
RED, BLUE = (200, 30, 30), (30, 30, 200)


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.close()


def saved(picture: Image.Image, format: str, **options: Any) -> bytes:
    data = io.BytesIO()
    picture.save(data, format, **options)
    return data.getvalue()


def read(reader: Reader, data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(reader.picture(data)))
    picture.load()
    assert picture.format == "PNG"
    return picture


def halves(size: tuple[int, int] = (64, 32)) -> Image.Image:
    """Blue on the left, red on the right."""
    picture = Image.new("RGB", size, RED)
    picture.paste(BLUE, (0, 0, size[0] // 2, size[1]))
    return picture


def near(got: Any, wanted: tuple[int, ...], by: int = 3) -> bool:
    return max(abs(a - b) for a, b in zip(got, wanted, strict=True)) <= by


def ramp(most: float, kind: Any) -> Image.Image:
    """Grey from 0 on the left to `most` on the right, 256 wide."""
    return Image.fromarray(np.tile(np.linspace(0, most, 256), (4, 1)).astype(kind))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_tones(reader: Reader, format: str) -> None:
    """Clipped instead of scaled it was white from the first thousandth on."""
    got = read(reader, saved(ramp(65535, np.uint16), format))
    assert got.mode == "RGB"
    assert [got.getpixel((x, 0))[0] for x in (0, 64, 128, 255)] == [0, 64, 128, 255]  # type: ignore[index]


@pytest.mark.parametrize("most", [1.0, 255.0, 65535.0, 300.0])
def test_floats_are_scaled_by_their_range(reader: Reader, most: float) -> None:
    got = read(reader, saved(ramp(most, np.float32), "TIFF"))
    wanted = [round(x * (most / 65535 if most == 300.0 else 1)) for x in (0, 64, 128, 255)]
    assert [got.getpixel((x, 0))[0] for x in (0, 64, 128, 255)] == wanted  # type: ignore[index]


def test_floats_that_are_no_numbers_or_below_nothing_are_pictures_too(reader: Reader) -> None:
    values = np.array([[np.nan, -1.0, 0.0, 1.0, np.inf]], np.float32)
    got = read(reader, saved(Image.fromarray(values), "TIFF"))
    assert [got.getpixel((x, 0))[0] for x in range(5)] == [128, 0, 128, 255, 128]  # type: ignore[index]


def test_thirty_two_bit_whole_numbers_are_scaled(reader: Reader) -> None:
    got = read(reader, saved(ramp(2**31 - 1, np.int32), "TIFF"))
    assert [got.getpixel((x, 0))[0] for x in (0, 128, 255)] == [0, 128, 255]  # type: ignore[index]


MODES = {
    "PNG": ("1", "L", "LA", "P", "RGBA"),
    "JPEG": ("L", "CMYK", "YCbCr"),
    "TIFF": ("1", "L", "LA", "P", "CMYK", "RGBA"),
}


@pytest.mark.parametrize(
    ("format", "mode"), [(format, mode) for format, modes in MODES.items() for mode in modes]
)
def test_every_mode_becomes_colours(reader: Reader, mode: str, format: str) -> None:
    picture = halves().convert(mode)
    got = read(reader, saved(picture, format, **({"quality": 95} if format == "JPEG" else {})))
    has_alpha = mode in ("LA", "RGBA")
    assert got.mode == ("RGBA" if has_alpha else "RGB")
    wanted = picture.convert("RGB")
    for place in ((5, 5), (60, 5)):
        assert near(got.convert("RGB").getpixel(place), wanted.getpixel(place), 12)  # type: ignore[arg-type]


def test_transparency_of_palettes_and_of_single_colours_is_kept(reader: Reader) -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    assert read(reader, saved(palette, "PNG", transparency=0)).getdata()[0][3] == 0
    assert read(reader, saved(palette, "GIF", transparency=1)).getdata()[1][3] == 0
    assert read(reader, saved(Image.new("RGB", (2, 1), RED), "PNG", transparency=RED)).getdata()[0][3] == 0


def test_an_embedded_profile_is_followed(reader: Reader) -> None:
    """The same numbers mean another colour in another space; in this one the red and the blue lamp changed places."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "sBGR".encode("utf-16-be"))
    plain = read(reader, saved(halves(), "PNG"))
    assert read(reader, saved(halves(), "PNG", icc_profile=srgb)).tobytes() == plain.tobytes()
    assert read(reader, saved(halves(), "PNG", icc_profile=b"no profile")).tobytes() == plain.tobytes()
    got = read(reader, saved(halves(), "PNG", icc_profile=swapped))
    assert near(got.getpixel((5, 5)), RED, 8)  # type: ignore[arg-type]
    assert near(got.getpixel((60, 5)), BLUE, 8)  # type: ignore[arg-type]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_comes_right_way_up(reader: Reader, orientation: int, format: str) -> None:
    """Facts, thumbnail and picture of a turned file all tell what a person sees."""
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(halves(), format, exif=exif)
    with Image.open(io.BytesIO(data)) as opened:
        wanted = ImageOps.exif_transpose(opened).convert("RGB")
    got = read(reader, data)
    assert got.size == wanted.size
    for place in ((3, 3), (wanted.width - 3, wanted.height - 3)):
        assert near(got.getpixel(place), wanted.getpixel(place), 8)  # type: ignore[arg-type]
    facts = reader.examine(data, "a").facts
    assert (facts["width"], facts["height"]) == wanted.size
    with Image.open(io.BytesIO(reader.thumbnail(data, "image"))) as thumbnail:
        assert thumbnail.size == wanted.size


def test_a_heic_is_a_picture_and_right_way_up(library: Library) -> None:
    """It was filed as a film of one frame. This one lies on its side, as a phone writes it."""
    asset = library.add_upload((FILES / "turned.heic").read_bytes(), "IMG_0001.HEIC")
    assert (asset.kind, asset.media_type, asset.file.rpartition(".")[2]) == ("image", "image/heic", "heic")
    assert (asset.facts["width"], asset.facts["height"]) == (32, 64)
    got = Image.open(io.BytesIO(library.picture(asset)))
    assert (got.size, near(got.getpixel((5, 5)), RED), near(got.getpixel((5, 60)), BLUE)) == (
        (32, 64),
        True,
        True,
    )


def test_of_an_animation_the_first_frame_counts(reader: Reader) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    for format in ("GIF", "WEBP", "AVIF", "PNG"):
        data = saved(frames[0], format, save_all=True, append_images=frames[1:])
        assert near(read(reader, data).convert("RGB").getpixel((2, 2)), RED, 12), format  # type: ignore[arg-type]


def test_a_huge_picture_is_reduced_on_its_way(reader: Reader) -> None:
    got = read(reader, saved(halves((9000, 3000)), "PNG"))
    assert got.width * got.height <= 4096 * 4096
    assert got.width == pytest.approx(got.height * 3, rel=0.001)


def test_a_huge_picture_keeps_its_transparency_when_it_is_reduced(reader: Reader) -> None:
    palette = Image.new("P", (4200, 4200))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    with Image.open(io.BytesIO(reader.thumbnail(saved(palette, "PNG", transparency=0), "image"))) as small:
        assert (small.mode, small.size, small.getpixel((9, 9))[3]) == ("RGBA", (384, 384), 0)  # type: ignore[index]
    clear = Image.new("RGBA", (6400, 6400), (*RED, 0))
    with Image.open(io.BytesIO(reader.thumbnail(saved(clear, "PNG"), "image"))) as small:
        assert (small.mode, small.getpixel((9, 9))[3]) == ("RGBA", 0)  # type: ignore[index]


@pytest.mark.parametrize("format", ["TIFF", "HEIC"])
def test_what_browsers_cannot_show_has_a_view(library: Library, format: str) -> None:
    """A TIFF was a broken picture on the page; the file itself stays as it is."""
    data = saved(halves(), "TIFF") if format == "TIFF" else (FILES / "turned.heic").read_bytes()
    asset = library.add_upload(data, f"a.{format}")
    shown = library.shown(asset)
    with library.open(shown) as file, Image.open(file) as view:
        assert (view.format, shown.media_type) == ("WEBP", "image/webp")
        assert view.size == (asset.facts["width"], asset.facts["height"])
    assert library.read(asset) == data
    library.trash(asset.id)
    library.delete(asset.id)
    assert not library.store.has(shown.file)
    made = library.add_upload(png(), "a.png")
    assert library.shown(made) == made


def test_a_picture_too_large_to_open_is_told_with_its_numbers(reader: Reader) -> None:
    import struct
    import zlib

    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0)
    data = png()[:8] + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + png()[33:]
    with pytest.raises(UnreadableFile, match=r"a\.png cannot be read.*too large") as caught:
        reader.examine(data, "a.png")
    assert "20000 × 10000 pixels; 150 million" in caught.value.detail
