"""A picture as PNG, painted by Pillow (extra `png`), whose only door is this file.

Left out: anything that SVG can do and a box or a line of text cannot.
"""

import io

from answerable.exposure.charts import Picture, Text
from answerable.exposure.plain import plain
from answerable.kernel.errors import Unavailable

SCALE = 2
"""Dots to a pixel of the picture."""
_ANCHOR = {"start": "ls", "middle": "ms", "end": "rs"}


class NoPainter(Unavailable):
    """Pillow is not installed."""


def png(picture: Picture) -> bytes:
    """Paint a picture.

    Raises:
        NoPainter: without the extra.
    """
    try:
        from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415  an extra
    except ImportError as error:
        raise NoPainter(
            "PNG needs the extra: pip install 'answerable[png]'; or write SVG"
        ) from error
    canvas = Image.new("RGB", (picture.width * SCALE, picture.height * SCALE), "#ffffff")
    draw = ImageDraw.Draw(canvas)
    for shape in picture.shapes:
        x, y = shape.x * SCALE, shape.y * SCALE
        if isinstance(shape, Text):
            font = ImageFont.load_default(shape.size * SCALE)
            at, text = _ANCHOR[shape.anchor], plain(shape.text)
            draw.text((x, y), text, fill=shape.colour, font=font, anchor=at)
        else:
            size = (x + shape.width * SCALE - 1, y + shape.height * SCALE - 1)
            draw.rectangle((x, y, *size), fill=shape.colour)
    made = io.BytesIO()
    canvas.save(made, "PNG", optimize=True)
    return made.getvalue()
