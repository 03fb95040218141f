"""Pictures people bring along: read, turned upright, made RGB, and fitted to the size that is asked for."""

from __future__ import annotations

import io

from PIL import Image, ImageOps

from pipelines.errors import InvalidRequest
from pipelines.messages import ImageRequest
from pipelines.runtime.context import Context


def start_image(
    ctx: Context, asset_id: str, width: int, height: int, field: str = "init_image"
) -> tuple[Image.Image, list[str]]:
    """The picture of an asset as RGB, scaled and cropped around its middle to (width, height), and a note if that changed it.

    Transparency becomes white. Raises InvalidRequest when the file is missing or no picture.
    """
    image = _opened(ctx, asset_id, field, "start image")
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    image = image.convert("RGB")
    if image.size == (width, height):
        return image, []
    note = f"The start image of {image.width}×{image.height} was scaled and cropped to {width}×{height}."
    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS), [note]


def check_has_start(request: ImageRequest) -> None:
    """Raises InvalidRequest for a mask with no picture under it."""
    if request.mask_image and not request.init_image:
        raise InvalidRequest(
            "There is a mask but no start image.",
            field="mask_image",
            detail="A mask says which part of the start image is painted anew.",
            hint="Add the start image, or remove the mask.",
        )


def mask_image(ctx: Context, asset_id: str, width: int, height: int) -> Image.Image:
    """The mask of an asset, mode L, fitted like the start picture: 255 where to paint anew. Transparent means white.

    Raises InvalidRequest when the file is missing or no picture, or when nothing in it is white.
    """
    image = _opened(ctx, asset_id, "mask_image", "mask")
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    image = image.convert("L")
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    if not image.getbbox():
        raise InvalidRequest(
            "The mask is black all over, so nothing would be painted.",
            field="mask_image",
            detail=f"None of its {width}×{height} pixels is lighter than black.",
            hint="Make white what should be painted anew, or remove the mask.",
        )
    return image


def _opened(ctx: Context, asset_id: str, field: str, name: str) -> Image.Image:
    data = ctx.inputs.get(asset_id)
    if data is None:
        raise InvalidRequest(
            f"The {name} is not in the library any more.", field=field, hint="Choose another picture."
        )
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidRequest(
            f"The {name} cannot be read.",
            field=field,
            detail=f"{len(data):,} bytes: {type(error).__name__}: {error}"[:300],
            hint="Choose a PNG, JPEG or WebP picture.",
        ) from None
    return ImageOps.exif_transpose(image)
