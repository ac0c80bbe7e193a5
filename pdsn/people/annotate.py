"""Annotated photos: who is where, what is covered, and whose photo is nearest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from PIL import Image, ImageDraw

from pdsn.people.gallery import readable
from pdsn.people.identification import NEAREST, IdentifiedFace, IdentifiedPhoto, Match
from pdsn.people.photo import SearchedPhoto
from pdsn.people.tracks import IdentifiedTrack, IdentifiedVideo, clock
from pdsn.people.verification import Verification
from pdsn.pictures import (
    FAINT,
    INK,
    PAPER,
    RIGHT,
    WRONG,
    face_picture,
    fitted,
    heat_picture,
    text_width,
    write,
)

WIDEST, NARROWEST, TALLEST = 1400, 560, 1100
"""Pixels: bounds of the photo in the picture; a small one is enlarged."""
MOST_CARDS = 12
"""Faces that get a card; of more the largest."""
MOST_TRACKS = 100
"""Faces of a film that get a card; of more those that are seen longest."""
FACE_HEIGHT = 128
"""Pixels: height of an aligned face in the picture."""
FEW = 3
"""Faces up to which all of the nearest people are shown."""
CARD_WIDTH = 236
LINE = 12
"""Pixels: size of the names of those of whom there is no picture."""
MARGIN, GAP = 12, 4

CropOf = Callable[[Match], "np.ndarray | None"]
"""The aligned face (H, W, 3) uint8 of a nearest photo; None where there is no picture of it."""


def draw_answer(answer: IdentifiedPhoto | IdentifiedVideo, crop_of: CropOf) -> Image.Image:
    """The picture of an answer: see `draw_identification`, and for a video `draw_tracks`."""
    if isinstance(answer, IdentifiedVideo):
        return draw_tracks(answer.tracks)
    return draw_identification(answer.photo, answer.faces, crop_of)


def draw_identification(
    photo: SearchedPhoto, faces: Sequence[IdentifiedFace], crop_of: CropOf
) -> Image.Image:
    """The photo with a numbered box around each face, and a card for each below it.

    A card shows the aligned face, what is covered tinted, beside the nearest gallery photo of each of the
    nearest people (of the nearest alone where there are more than `FEW` faces). `crop_of` gives the picture; without one the
    name and the cosine are a line of text.
    Of more than `MOST_CARDS` faces the largest get a card; the numbers count from left to right.
    """
    picture = _scaled(photo.pixels)
    ratio = np.tile(np.array(picture.size) / photo.pixels.shape[1::-1] / photo.scale, 2)
    pen = ImageDraw.Draw(picture)
    boxes = [face.found.box * ratio for face in faces]
    for number, (face, box) in enumerate(zip(faces, boxes, strict=True), 1):
        _outline(pen, box, face, number, alone=len(faces) == 1)
    largest = sorted(range(len(faces)), key=lambda index: -faces[index].found.area)[:MOST_CARDS]
    shown = min(NEAREST if len(faces) <= FEW else 1, max(len(face.nearest) for face in faces))
    cards = [_card(faces[index], index + 1, crop_of, shown) for index in sorted(largest)]
    note = f"and {len(faces) - len(cards)} smaller faces, in the JSON" if len(faces) > len(cards) else ""
    return _sheet(picture, cards, note)


def draw_tracks(tracks: Sequence[IdentifiedTrack]) -> Image.Image:
    """A card for each face of a film, in the order of the tracks: the best sighting, what is covered tinted, and the answer.

    Of more than `MOST_TRACKS` those seen in the most frames get one; the numbers count all.
    """
    longest = sorted(range(len(tracks)), key=lambda row: -tracks[row].track.frames)[:MOST_TRACKS]
    cards = [_track_card(tracks[row], row + 1) for row in sorted(longest)]
    if not cards:
        cards = [Image.new("RGB", (CARD_WIDTH, 40), PAPER)]
        write(ImageDraw.Draw(cards[0]), (0, 10), "no face found", FAINT, 14, CARD_WIDTH)
    columns = min(len(cards), WIDEST // (CARD_WIDTH + MARGIN))
    height = cards[0].height + MARGIN
    sheet = Image.new(
        "RGB", (columns * (CARD_WIDTH + MARGIN) + MARGIN, -(-len(cards) // columns) * height + MARGIN), PAPER
    )
    for place, card in enumerate(cards):
        row, column = divmod(place, columns)
        sheet.paste(card, (MARGIN + column * (CARD_WIDTH + MARGIN), MARGIN + row * height))
    return sheet


def _track_card(track: IdentifiedTrack, number: int) -> Image.Image:
    card = Image.new("RGB", (CARD_WIDTH, FACE_HEIGHT + 96), PAPER)
    card.paste(face_picture(track.best.found.crop, FACE_HEIGHT, track.best.covered_pixels), (0, 0))
    pen = ImageDraw.Draw(card)
    lines = [
        (f"{number}  {track.person or 'unknown'}", RIGHT if track.person else WRONG, 16),
        (f"{clock(track.track.first)} to {clock(track.track.last)}", INK, 12),
        (f"score {track.score:.2f}, known above {track.threshold:.2f}", INK, 12),
        (_covered(track.best.covered), FAINT, 12),
    ]
    top = FACE_HEIGHT + 6
    for text, colour, size in lines:
        write(pen, (0, top), text, colour, size, CARD_WIDTH)
        top += size + 8
    return card


def draw_verification(answer: Verification, *, maps: bool = False) -> Image.Image:
    """Both faces side by side, what is covered tinted, with the verdict below.

    Args:
        answer: what was found.
        maps: beside them the two maps that the score comes from, where the matcher has any: how much each cell counts, and
            how alike the two faces are in it.
    """
    parts = [
        face_picture(photo.faces[0].crop, 2 * FACE_HEIGHT, covered)
        for photo, covered in zip(answer.photos, answer.covered_pixels, strict=True)
    ]
    verdict = "same person" if answer.same else "not shown to be the same person"
    names = [readable(photo.path.name) for photo in answer.photos]
    if maps and answer.maps is not None:
        pictures, captions = map_pictures(answer.photos[0].faces[0].crop, answer.maps, 2 * FACE_HEIGHT)
        parts += pictures
        names += captions
    return side_by_side(parts, names, verdict, answer)


class Verdict(Protocol):
    """What a picture tells of a verification, see `Verification`."""

    @property
    def same(self) -> bool:
        """Whether it is yes."""
        ...

    @property
    def cosine(self) -> float:
        """What was measured."""
        ...

    @property
    def threshold(self) -> float:
        """What it had to pass."""
        ...

    @property
    def covered(self) -> Sequence[str]:
        """Regions that count as covered."""
        ...


def side_by_side(
    parts: Sequence[Image.Image], names: Sequence[str], verdict: str, answer: Verdict
) -> Image.Image:
    """Pictures of faces, all of one height, with their names, and the verdict below."""
    lines = [
        (verdict, RIGHT if answer.same else WRONG),
        (f"cosine {answer.cosine:.3f}, threshold {answer.threshold:.3f}", INK),
        (_covered(answer.covered), FAINT),
    ]
    width = max(sum(part.width for part in parts) + (len(parts) + 1) * MARGIN, 420)
    picture = Image.new("RGB", (width, parts[0].height + 5 * 22 + 2 * MARGIN), PAPER)
    pen = ImageDraw.Draw(picture)
    left = (width - sum(part.width for part in parts) - (len(parts) - 1) * MARGIN) // 2
    for part, name in zip(parts, names, strict=True):
        picture.paste(part, (left, MARGIN))
        write(pen, (left, part.height + MARGIN + 4), name, FAINT, 12, part.width)
        left += part.width + MARGIN
    top = parts[0].height + MARGIN + 30
    for place, (text, colour) in enumerate(lines):
        write(pen, (MARGIN, top + 24 * place), text, colour, 18 if place == 0 else 14, width - 2 * MARGIN)
    return picture


def map_pictures(
    face: np.ndarray, maps: tuple[np.ndarray, np.ndarray], height: int
) -> tuple[list[Image.Image], list[str]]:
    """Attention and local cosine (h, w) over a face (H, W, 3), at a height in pixels, and their captions."""
    attention, local = maps
    shown = (attention / max(float(attention.max()), 1e-12), local)
    captions = [f"counts, most {100 * attention.max():.0f} %", "cosine, 0 to 1"]
    return [heat_picture(face, cells, height) for cells in shown], captions


def _outline(
    pen: ImageDraw.ImageDraw, box: np.ndarray, face: IdentifiedFace, number: int, *, alone: bool
) -> None:
    colour = WRONG if face.person is None else RIGHT
    width = float(box[2] - box[0])
    pen.rectangle([*box.tolist()], outline=colour, width=3 if width > 60 else 2)
    size = 16 if width > 60 else 11
    name = face.person or "unknown"
    # In a crowd there is room for the number alone.
    text = name if alone else f"{number} {name}" if width > 70 else str(number)
    text, font = fitted(text, size, max(width * 1.6, 40))
    left, top, right, bottom = font.getbbox(text)
    at = (max(float(box[0]), 0), max(float(box[1]) - (bottom - top) - 8, 0))
    pen.rectangle([at[0], at[1], at[0] + right - left + 8, at[1] + bottom - top + 8], fill=colour)
    pen.text((at[0] + 4 - left, at[1] + 4 - top), text, font=font, fill=PAPER)


def _card(face: IdentifiedFace, number: int, crop_of: CropOf, shown: int) -> Image.Image:
    """The aligned face beside the nearest photo of each of `shown` people, and the answer below.

    Those of whom there is no picture are lines of text, right of the pictures: there is no gap for them.
    """
    probe = face_picture(face.found.crop, FACE_HEIGHT, face.covered_pixels)
    pictures = [(match, crop_of(match)) for match in face.nearest[:shown]]
    seen = [(match, crop) for match, crop in pictures if crop is not None]
    told = [match for match, crop in pictures if crop is None]
    step = probe.width + GAP
    edge = step + GAP + len(seen) * step
    room = min(max((text_width(_match(match), LINE) for match in told), default=0), CARD_WIDTH)
    card = Image.new("RGB", (max(CARD_WIDTH, edge + room), FACE_HEIGHT + 92), PAPER)
    card.paste(probe, (0, 0))
    pen = ImageDraw.Draw(card)
    known = face.person is not None

    def colour(match: Match) -> tuple[int, int, int]:
        return RIGHT if known and match is face.nearest[0] else FAINT

    for place, (match, crop) in enumerate(seen):
        left = (place + 1) * step + GAP
        card.paste(face_picture(crop, FACE_HEIGHT), (left, 0))
        write(pen, (left, FACE_HEIGHT + 2), _match(match), colour(match), 10, probe.width)
    for place, match in enumerate(told):
        write(pen, (edge, place * (LINE + 10)), _match(match), colour(match), LINE, room)
    lines = [
        (f"{number}  {face.person or 'unknown'}", RIGHT if known else WRONG, 16),
        (f"nearest {face.cosine:.3f}, known above {face.threshold:.3f}", INK, 12),
        (_covered(face.covered), FAINT, 12),
    ]
    top = FACE_HEIGHT + 20
    for text, ink, size in lines:
        write(pen, (0, top), text, ink, size, card.width)
        top += size + 8
    return card


def _match(match: Match) -> str:
    return f"{match.cosine:.2f} {match.person}"


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
        write(ImageDraw.Draw(sheet), (MARGIN, height - 28), note, FAINT, 14, width)
    return sheet


def _scaled(pixels: np.ndarray) -> Image.Image:
    photo = Image.fromarray(pixels)
    bound = min(WIDEST / photo.width, TALLEST / photo.height)
    scale = min(max(NARROWEST / photo.width, 1.0), bound)
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    return photo.resize(size, Image.Resampling.LANCZOS)


def _covered(regions: Sequence[str]) -> str:
    return f"covered: {', '.join(regions)}" if regions else "covered: none found"
