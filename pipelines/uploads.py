"""Pictures people bring along: read, turned upright, made RGB, and fitted to the size that is asked for."""

from __future__ import annotations

import io

from PIL import Image, ImageOps

from pipelines.context import Context
from pipelines.errors import InvalidRequest


def start_image(
    ctx: Context, asset_id: str, width: int, height: int, field: str = "init_image"
) -> tuple[Image.Image, list[str]]:
    """The picture of an asset as RGB, scaled and cropped around its middle to (width, height), and a note if that changed it.

    Transparency becomes white. Raises InvalidRequest when the file is missing or no picture.
    """
    data = ctx.inputs.get(asset_id)
    if data is None:
        raise InvalidRequest(
            "The start image is not in the library any more.", field=field, hint="Choose another picture."
        )
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidRequest(
            "The start image cannot be read.",
            field=field,
            detail=f"{len(data):,} bytes: {type(error).__name__}: {error}"[:300],
            hint="Choose a PNG, JPEG or WebP picture.",
        ) from None
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    image = image.convert("RGB")
    if image.size == (width, height):
        return image, []
    note = f"The start image of {image.width}×{image.height} was scaled and cropped to {width}×{height}."
    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS), [note]
