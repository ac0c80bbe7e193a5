"""Annotated photos: who is where, what is covered, and whose photo is nearest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pdsn.files import atomic_path
from pdsn.fonts import lettering
from pdsn.people.gallery import Gallery, readable
from pdsn.people.identification import NEAREST, IdentifiedFace
from pdsn.people.photo import SearchedPhoto
from pdsn.people.verification import Verification

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

WIDEST, NARROWEST, TALLEST = 1400, 560, 1100
"""Pixels: bounds of the photo in the picture; a small one is enlarged."""
MOST_CARDS = 12
"""Faces that get a card; of more the largest."""
FACE_HEIGHT = 128
"""Pixels: height of an aligned face in the picture."""
FEW = 3
"""Faces up to which all of the nearest people are shown."""
CARD_WIDTH = 236
MARGIN, GAP = 12, 4
KNOWN, UNKNOWN, TINT = (27, 138, 58), (192, 57, 43), (230, 60, 200)
PAPER, INK, FAINT = (255, 255, 255), (25, 25, 25), (110, 110, 110)


def draw_identification(
    photo: SearchedPhoto, faces: Sequence[IdentifiedFace], gallery: Gallery
) -> Image.Image:
    """The photo with a numbered box around each face, and a card for each below it.

    A card shows the aligned face, what is covered tinted, beside the nearest gallery photo of each of the
    nearest people (of the nearest alone where there are more than `FEW` faces). Of more than `MOST_CARDS`
    faces the largest get a card; the numbers count from left to right.
    """
    picture = _scaled(photo.pixels)
    ratio = np.tile(np.array(picture.size) / photo.pixels.shape[1::-1] / photo.scale, 2)
    pen = ImageDraw.Draw(picture)
    boxes = [face.found.box * ratio for face in faces]
    for number, (face, box) in enumerate(zip(faces, boxes, strict=True), 1):
        _outline(pen, box, face, number, alone=len(faces) == 1)
    largest = sorted(range(len(faces)), key=lambda index: -faces[index].found.area)[:MOST_CARDS]
    shown = min(NEAREST if len(faces) <= FEW else 1, len(gallery.people))
    cards = [_card(faces[index], index + 1, gallery, shown) for index in sorted(largest)]
    note = f"and {len(faces) - len(cards)} smaller faces, in the JSON" if len(faces) > len(cards) else ""
    return _sheet(picture, cards, note)


def draw_verification(answer: Verification) -> Image.Image:
    """Both faces side by side, what is covered tinted, with the verdict below."""
    parts = [
        _face(photo.faces[0].crop, covered, 2 * FACE_HEIGHT)
        for photo, covered in zip(answer.photos, answer.covered_pixels, strict=True)
    ]
    lines = [
        (
            "same person" if answer.same else "not shown to be the same person",
            KNOWN if answer.same else UNKNOWN,
        ),
        (f"cosine {answer.cosine:.3f}, threshold {answer.threshold:.3f}", INK),
        (_covered(answer.covered), FAINT),
    ]
    names = [readable(photo.path.name) for photo in answer.photos]
    width = max(sum(part.width for part in parts) + 3 * MARGIN, 420)
    picture = Image.new("RGB", (width, parts[0].height + 5 * 22 + 2 * MARGIN), PAPER)
    pen = ImageDraw.Draw(picture)
    left = (width - sum(part.width for part in parts) - MARGIN) // 2
    for part, name in zip(parts, names, strict=True):
        picture.paste(part, (left, MARGIN))
        _write(pen, (left, part.height + MARGIN + 4), name, FAINT, 12, part.width)
        left += part.width + MARGIN
    top = parts[0].height + MARGIN + 30
    for place, (text, colour) in enumerate(lines):
        _write(pen, (MARGIN, top + 24 * place), text, colour, 18 if place == 0 else 14, width - 2 * MARGIN)
    return picture


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture as PNG, whatever the name's ending, atomically."""
    with atomic_path(path) as temporary:
        picture.save(temporary, format="PNG")


def _outline(
    pen: ImageDraw.ImageDraw, box: np.ndarray, face: IdentifiedFace, number: int, *, alone: bool
) -> None:
    colour = UNKNOWN if face.person is None else KNOWN
    width = float(box[2] - box[0])
    pen.rectangle([*box.tolist()], outline=colour, width=3 if width > 60 else 2)
    size = 16 if width > 60 else 11
    name = face.person or "unknown"
    # In a crowd there is room for the number alone.
    text = name if alone else f"{number} {name}" if width > 70 else str(number)
    text, font = _lettered(text, size, max(width * 1.6, 40))
    left, top, right, bottom = font.getbbox(text)
    at = (max(float(box[0]), 0), max(float(box[1]) - (bottom - top) - 8, 0))
    pen.rectangle([at[0], at[1], at[0] + right - left + 8, at[1] + bottom - top + 8], fill=colour)
    pen.text((at[0] + 4 - left, at[1] + 4 - top), text, font=font, fill=PAPER)


def _card(face: IdentifiedFace, number: int, gallery: Gallery, shown: int) -> Image.Image:
    """The aligned face beside the nearest photo of each of `shown` people, and the answer below."""
    probe = _face(face.found.crop, face.covered_pixels, FACE_HEIGHT)
    step = probe.width + GAP
    width = max(CARD_WIDTH, step + GAP + shown * step - GAP)
    card = Image.new("RGB", (width, FACE_HEIGHT + 92), PAPER)
    card.paste(probe, (0, 0))
    pen = ImageDraw.Draw(card)
    known = face.person is not None
    for place, match in enumerate(face.nearest[:shown]):
        left = (place + 1) * step + GAP
        neighbour = gallery.faces[match.row].permute(1, 2, 0).numpy()
        card.paste(_face(neighbour, None, FACE_HEIGHT), (left, 0))
        colour = KNOWN if known and place == 0 else FAINT
        _write(pen, (left, FACE_HEIGHT + 2), f"{match.cosine:.2f} {match.person}", colour, 10, probe.width)
    lines = [
        (f"{number}  {face.person or 'unknown'}", KNOWN if known else UNKNOWN, 16),
        (f"nearest {face.cosine:.3f}, known above {face.threshold:.3f}", INK, 12),
        (_covered(face.covered), FAINT, 12),
    ]
    top = FACE_HEIGHT + 20
    for text, colour, size in lines:
        _write(pen, (0, top), text, colour, size, card.width)
        top += size + 8
    return card


def _sheet(picture: Image.Image, cards: list[Image.Image], note: str) -> Image.Image:
    """The photo above rows of cards."""
    card_width = max(card.width for card in cards)
    columns = max(1, min(len(cards), (max(picture.width, WIDEST // 2) + MARGIN) // (card_width + MARGIN)))
    rows = -(-len(cards) // columns)
    width = max(picture.width, columns * (card_width + MARGIN) - MARGIN) + 2 * MARGIN
    height = picture.height + rows * (cards[0].height + MARGIN) + 2 * MARGIN + (24 if note else 0)
    sheet = Image.new("RGB", (width, height), PAPER)
    sheet.paste(picture, ((width - picture.width) // 2, MARGIN))
    for place, card in enumerate(cards):
        row, column = divmod(place, columns)
        left = MARGIN + column * (card_width + MARGIN)
        sheet.paste(card, (left, picture.height + 2 * MARGIN + row * (card.height + MARGIN)))
    if note:
        _write(ImageDraw.Draw(sheet), (MARGIN, height - 28), note, FAINT, 14, width)
    return sheet


def _scaled(pixels: np.ndarray) -> Image.Image:
    photo = Image.fromarray(pixels)
    bound = min(WIDEST / photo.width, TALLEST / photo.height)
    scale = min(max(NARROWEST / photo.width, 1.0), bound)
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    return photo.resize(size, Image.Resampling.LANCZOS)


def _face(crop: np.ndarray, covered: np.ndarray | None, height: int) -> Image.Image:
    """An aligned face (H, W, 3) at a height in pixels, its covered pixels (H, W) tinted."""
    shown = crop.astype(np.float32)
    if covered is not None:
        shown[covered] = 0.55 * shown[covered] + 0.45 * np.array(TINT, np.float32)
    size = (max(1, round(crop.shape[1] * height / crop.shape[0])), height)
    return Image.fromarray(shown.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def _covered(regions: Sequence[str]) -> str:
    return f"covered: {', '.join(regions)}" if regions else "covered: none found"


def _write(
    pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, colour: tuple[int, int, int], size: int, width: float
) -> None:  # fmt: skip
    text, font = _lettered(text, size, width)
    pen.text(at, text, font=font, fill=colour)


def _lettered(text: str, size: int, width: float) -> tuple[str, FreeTypeFont]:
    """The text, shortened so that it is at most `width` pixels long, and the font that has its letters."""
    text, file = lettering(text)
    font = ImageFont.truetype(file, size)
    if font.getlength(text) <= width:
        return text, font
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…", font
