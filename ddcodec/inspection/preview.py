"""The picture of a file: its poster with the class grid, and some patches with their labels."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from ..codecs.registry import CODECS
from ..codecs.shared.grid import cell_edges
from ..runtime.world import neutral
from .pixels import Pixels, patches_of, visible_images, visible_posters

if TYPE_CHECKING:
    from ..codecs.base import Pictures
    from ..data.dataset import DistilledDataset

WIDTH = 1600  # pixels of the picture
MARGIN = 64
INNER = WIDTH - 2 * MARGIN
POSTER_HEIGHT = 1472  # at most; a square poster fills the width, and names fit more cells
EXAMPLES = 8  # patches shown with their labels
SHEET = 128  # stored images shown
BARS = 3  # classes shown for each of them
LEGEND_COLUMNS = 5
LEGEND_CLASSES = 250  # more classes get no legend

PAPER, INK, FADED = (255, 255, 255), (33, 37, 41), (108, 114, 122)
TRACK, ACCENT = (233, 236, 239), (37, 99, 155)

TITLE, TEXT, SMALL, LEAST = 40, 24, 20, 15  # font sizes, pixels


@neutral()
def render(ds: DistilledDataset) -> Image.Image:
    """Return the picture of a file, RGB, 1600 pixels wide.

    A poster is drawn with the classes of its cells: names, or numbers with a legend where names
    do not fit. Of stored images a sheet is drawn. Colours and contrast are those of ``pixels``,
    patches as their poster shows them.
    """
    names = [printable(name, index) for index, name in enumerate(ds.classes)]
    legend: list[Image.Image] = []
    drawn, wholes = shown_whole(ds)
    height = POSTER_HEIGHT // len(wholes)
    drawings = [enlarge(Image.fromarray(whole), INNER, height) for whole in wholes]
    shown = spread(len(ds), EXAMPLES)
    if drawn.posters:
        numbered = [draw_class_grid(d, drawn.grid, drawn.cells, names) for d in drawings]
        if any(numbered) and len(names) <= LEGEND_CLASSES:
            legend = [draw_legend(names)]
        _, *size = ds.image_shape
        examples = list(patches_of(drawn, wholes, (size[0], size[1]), shown))
    else:
        examples = visible_images(ds, shown)
    return stack(
        [
            draw_title(ds),
            *drawings,
            *legend,
            draw_heading(f"{len(shown)} of {len(ds):,} {drawn.noun} and their labels"),
            draw_examples(examples, [ds.soft_labels[i].numpy() for i in shown], names),
        ]
    )


@neutral()
def portrait(ds: DistilledDataset, side: int) -> Image.Image:
    """Return the first poster of a file alone, or its sheet of images, coloured as by ``render``.

    RGB, at most ``side`` pixels wide and high.
    """
    _, wholes = shown_whole(ds)
    return enlarge(Image.fromarray(wholes[0]), side, side)


def shown_whole(ds: DistilledDataset) -> tuple[Pictures, list[Pixels]]:
    """Return what a file has to draw, and its posters, or one sheet of images, (H, W, 3) each."""
    manifest = ds.manifest
    drawn = CODECS[manifest.codec["name"]].pictures(manifest, ds.file.arrays, len(ds))
    if drawn.posters:
        return drawn, visible_posters(drawn, manifest.image["preprocessing"])
    places = [drawn.samples[i] for i in spread(len(drawn.samples), SHEET)]
    return drawn, [sheet_of(visible_images(ds, places))]


def sheet_of(images: Sequence[Pixels]) -> Pixels:
    """Return images (H, W, 3) side by side as one, with white in between.

    A row has 16 images at most, and as many as make the sheet about twice as wide as high.
    """
    count, (height, width, _) = len(images), images[0].shape
    columns = min(count, 16, max(1, round((2 * count * height / width) ** 0.5)))
    gap = max(1, min(height, width) // 16)
    down, across = height + gap, width + gap
    sheet = np.full((-(-count // columns) * down - gap, columns * across - gap, 3), 255, np.uint8)
    for place, image in enumerate(images):
        y, x = divmod(place, columns)
        sheet[y * down : y * down + height, x * across : x * across + width] = image
    return sheet


def enlarge(picture: Image.Image, width: int, height: int) -> Image.Image:
    """Return a picture as large as fits: whole multiples with hard pixels, or reduced."""
    factor = min(width / picture.width, height / picture.height)
    if factor >= 1:
        return ImageOps.scale(picture, int(factor), Image.Resampling.NEAREST)
    size = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
    return picture.resize(size, Image.Resampling.LANCZOS)


def draw_class_grid(
    picture: Image.Image, grid: tuple[int, int], cells: Sequence[int], names: Sequence[str]
) -> bool:
    """Draw borders between classes and a tag in each cell; return whether tags are numbers.

    Cells are those of the class order, scaled with the poster. A tag is the class name, at a size
    where all of them fit, or else the class index, or nothing where not even that fits.
    """
    draw = ImageDraw.Draw(picture, "RGBA")
    columns, rows = grid
    left, top = cell_edges(picture.width, columns), cell_edges(picture.height, rows)
    for x in left[1:-1]:
        draw.line([(x, 0), (x, picture.height)], fill=(255, 255, 255, 190), width=2)
    for y in top[1:-1]:
        draw.line([(0, y), (picture.width, y)], fill=(255, 255, 255, 190), width=2)
    room = picture.width // columns - 12, picture.height // rows - 8
    tags, numbered = list(names), False
    size = fitting_size(tags, *room)
    if size is None:
        tags, numbered = [str(index) for index in range(len(names))], True
        size = fitting_size(tags, *room)
    if size is None:
        return False
    for cell, owner in enumerate(cells):
        row, column = divmod(cell, columns)
        draw_tag(draw, (left[column] + 4, top[row] + 4), tags[owner], size)
    return numbered


def fitting_size(texts: Sequence[str], width: int, height: int) -> int | None:
    """Return the largest font size at which every text fits, or None below the least."""
    for size in range(SMALL, LEAST - 1, -1):
        widest = max(font(size).getlength(text) for text in texts)
        if widest + 8 <= width and size + 6 <= height:
            return size
    return None


def draw_tag(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int) -> None:
    """Write ``text`` on a light chip whose top left corner is at ``place``."""
    x, y = place
    width = font(size).getlength(text)
    draw.rounded_rectangle((x, y, x + width + 9, y + size + 5), 4, fill=(255, 255, 255, 205))
    draw.text((x + 5, y + 2 + size / 2), text, fill=INK, font=font(size), anchor="lm")


def draw_title(ds: DistilledDataset) -> Image.Image:
    """Return the head of the picture: what it is made from, then its figures."""
    manifest = ds.manifest
    image = manifest.image
    described = CODECS[manifest.codec["name"]].describe(manifest, ds.file.sizes)
    ipc = described.pixels / (len(ds.classes) * image["height"] * image["width"])
    if poster := described.facts.get("poster"):
        count = len(described.facts.get("stages", [0]))
        times = f"{count} posters, each" if count > 1 else "poster,"
        size = f"{poster['width']} x {poster['height']} pixels"
        if grown := poster.get("expanded"):
            size = f"{size} expanded to {grown[1]} x {grown[0]}"
        if coded := poster.get("transform"):
            size = f"{size} from {coded['block']} x {coded['block']} coefficients"
        what = f"{manifest.codec['name']} {times} {size}"
    else:
        what = f"{len(ds):,} images of {image['width']} x {image['height']} pixels"
    facts = (
        f"{what}   ·   {len(ds.classes)} classes   ·   {ipc:.3g} images per class   ·   "
        f"{ds.file.sizes.total:,} bytes"
    )
    strip = Image.new("RGB", (INNER, TITLE + TEXT + 28), PAPER)
    draw = ImageDraw.Draw(strip)
    name = printable(str(manifest.source.get("name") or "distilled data set"), 0)
    draw.text((0, TITLE / 2), name, fill=INK, font=font(TITLE), anchor="lm")
    draw.text((0, TITLE + 14 + TEXT / 2), facts, fill=FADED, font=font(TEXT), anchor="lm")
    return strip


def draw_heading(text: str) -> Image.Image:
    strip = Image.new("RGB", (INNER, TEXT + 24), PAPER)
    place = (0, strip.height - TEXT / 2 - 4)
    ImageDraw.Draw(strip).text(place, text, fill=FADED, font=font(TEXT), anchor="lm")
    return strip


def draw_legend(names: Sequence[str]) -> Image.Image:
    """Return the class names by number, in columns that are read downwards."""
    rows = -(-len(names) // LEGEND_COLUMNS)
    line, column_width = LEAST + 7, INNER // LEGEND_COLUMNS
    strip = Image.new("RGB", (INNER, rows * line + 8), PAPER)
    draw = ImageDraw.Draw(strip)
    for index, name in enumerate(names):
        column, row = divmod(index, rows)
        x, y = column * column_width, row * line + line / 2
        draw.text((x + 34, y), str(index), fill=FADED, font=font(LEAST), anchor="rm")
        text = shorten(name, column_width - 56, LEAST)
        draw.text((x + 44, y), text, fill=INK, font=font(LEAST), anchor="lm")
    return strip


def draw_examples(
    images: Sequence[Pixels], labels: Sequence[NDArray[np.float32]], names: Sequence[str]
) -> Image.Image:
    """Return a row of samples, each over bars of the largest shares of its label."""
    gap = 24
    side = (INNER - gap * (EXAMPLES - 1)) // EXAMPLES
    pictures = [enlarge(Image.fromarray(image), side, side) for image in images]
    tallest = max(picture.height for picture in pictures)
    bar = SMALL + 24
    strip = Image.new("RGB", (INNER, tallest + 14 + BARS * bar), PAPER)
    for place, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        x = place * (side + gap)
        strip.paste(picture, (x, 0))
        draw_bars(ImageDraw.Draw(strip), (x, tallest + 14), side, label, names)
    return strip


def draw_bars(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    width: int,
    label: NDArray[np.float32],
    names: Sequence[str],
) -> None:
    x, y = place
    for owner in np.argsort(-label, kind="stable")[:BARS]:
        share = float(label[owner])
        if share < 0.005:
            break
        percent = f"{share:.0%}"
        room = width - int(font(SMALL).getlength(percent)) - 10
        text = shorten(names[owner], room, SMALL)
        draw.text((x, y + SMALL / 2), text, fill=INK, font=font(SMALL), anchor="lm")
        draw.text((x + width, y + SMALL / 2), percent, fill=FADED, font=font(SMALL), anchor="rm")
        level = y + SMALL + 5
        draw.rectangle((x, level, x + width - 1, level + 7), fill=TRACK)
        draw.rectangle((x, level, x + max(1, round(share * width)) - 1, level + 7), fill=ACCENT)
        y += SMALL + 24


def stack(parts: Sequence[Image.Image]) -> Image.Image:
    gap = 20
    height = sum(part.height for part in parts) + gap * (len(parts) - 1) + 2 * MARGIN
    sheet = Image.new("RGB", (WIDTH, height), PAPER)
    y = MARGIN
    for part in parts:
        sheet.paste(part, (MARGIN, y))
        y += part.height + gap
    return sheet


def spread(count: int, most: int) -> list[int]:
    """Return up to ``most`` of the indices 0..count - 1, spread evenly."""
    shown = min(most, count)
    return [index * (count - 1) // max(1, shown - 1) for index in range(shown)]


def printable(name: str, index: int) -> str:
    """Return a name in letters of Pillow's own font; "class INDEX" where none is left."""
    plain = unicodedata.normalize("NFKD", name[:80]).encode("ascii", "ignore").decode()
    plain = " ".join("".join(c if c.isprintable() else " " for c in plain).split())
    return plain or f"class {index}"


def shorten(text: str, width: int, size: int) -> str:
    if font(size).getlength(text) <= width:
        return text
    starts = (text[:length] + "…" for length in range(len(text), 0, -1))
    return next((start for start in starts if font(size).getlength(start) <= width), "…")


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that comes with Pillow, so that the picture is the same everywhere."""
    return ImageFont.load_default(size)
