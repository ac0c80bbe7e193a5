"""Photos as rows of a table: a column for all that is known of them, and one of vectors for each signature."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pdsn.store.insertion import NewPhoto, now
from pdsn.store.lance.former import FORMER
from pdsn.store.packing import pack_counts, pack_pixels, unpack_counts, unpack_pixels
from pdsn.store.records import PhotoRecord

FORMAT = 2
"""Of a table; 1 is without former names, or with names that a pdsn which does not know them may write to."""
ABOUT = b"pdsn"
"""The key of the table's metadata under which it says what it was made with."""
TEXT = ("person", "source", "sha256", "pixels_sha256", "box", "covered", "notes", "added", "digest")
NUMBERS = ("probability", "size", "sharpness", "pose")
RECORD = ("id", *TEXT[:-1], *NUMBERS)
"""The columns of a `PhotoRecord`."""


def column(place: int) -> str:
    """The column with the embeddings of a signature, by its number: the bits of the number say which regions are covered."""
    return f"v{place:02}"


def schema_of(widths: Sequence[int], made: Mapping[str, Any] | None = None) -> pa.Schema:
    """The columns of a table.

    `id` follows from the content, see `number_of`. `box`, `covered` and `notes` are JSON, `digest` the SHA-256 of all embeddings, `counts`
    and `pixels` those of `NewPhoto`, null where nothing is covered. For `former` see there; an older table has no such column.

    Args:
        widths: numbers in each embedding.
        made: what the embeddings depend on; None leaves that out.
    """
    fields = [pa.field("id", pa.int64())]
    fields += [pa.field(name, pa.string()) for name in TEXT]
    fields += [pa.field(name, pa.float64()) for name in NUMBERS]
    fields += [pa.field(name, pa.binary()) for name in ("counts", "pixels")]
    fields += [pa.field(column(place), pa.list_(pa.float16(), width)) for place, width in enumerate(widths)]
    fields.append(pa.field(FORMER, pa.string()))
    about = {"format": FORMAT, "made": dict(made), "widths": list(widths)} if made is not None else {}
    return pa.schema(fields, {ABOUT: json.dumps(about, sort_keys=True).encode()} if about else None)


def about_of(table: Any) -> dict[str, Any]:
    """What a table says of itself, see `schema_of`; nothing where it is no people store."""
    return dict(json.loads((table.schema.metadata or {}).get(ABOUT, b"{}")))


def number_of(pixels_sha256: str, box: str) -> int:
    """The id of a face: 63 bits of the SHA-256 of its photo's pixels and its box, whoever enrols it and whenever."""
    digest = hashlib.sha256(f"{pixels_sha256} {box}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def box_of(photo: NewPhoto) -> str:
    """The box of a face as it is kept."""
    return json.dumps([round(edge, 1) for edge in photo.box])


def table_of(
    photos: Sequence[NewPhoto], widths: Sequence[int], former: Mapping[str, str | None] | None = None
) -> pa.Table:
    """Photos as rows; crops are left out.

    Args:
        photos: the photos.
        widths: numbers in each embedding.
        former: the column of that name, by person; None where nobody had another name.
    """
    boxes = [box_of(photo) for photo in photos]
    ids = [number_of(photo.pixels_sha256, box) for photo, box in zip(photos, boxes, strict=True)]
    files = ("name", "source", "sha256", "pixels_sha256")
    columns: list[Any] = [
        pa.array(ids, pa.int64()),
        *([getattr(photo, name) for photo in photos] for name in files),
        boxes,
        *([json.dumps(getattr(photo, name)) for photo in photos] for name in ("covered", "notes")),
        [now()] * len(photos),
        [digest_of(photo.vectors) for photo in photos],
        *([float(getattr(photo, name)) for photo in photos] for name in NUMBERS),
        [pack_counts(photo.counts) for photo in photos],
        [pack_pixels(photo.pixels) for photo in photos],
    ]
    vectors = np.stack([photo.vectors for photo in photos]) if photos else np.empty((0, sum(widths)))
    for width, part in zip(
        widths, np.split(vectors.astype("<f2"), np.cumsum(widths)[:-1], axis=1), strict=True
    ):
        columns.append(
            pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(part).reshape(-1)), width)
        )
    columns.append([(former or {}).get(photo.name) for photo in photos])
    schema = schema_of(widths)
    arrays = [
        one if isinstance(one, pa.Array) else pa.array(one, field.type)
        for one, field in zip(columns, schema, strict=True)
    ]
    return pa.table(arrays, schema=schema)


def photos_of(table: pa.Table, size: tuple[int, int]) -> list[NewPhoto]:
    """Rows of `table_of` as photos again.

    Args:
        table: the rows.
        size: (H, W) of the covered pixels.
    """
    places = [name for name in table.column_names if name.startswith("v") and name[1:].isdigit()]
    vectors = np.concatenate([vectors_of(table[name]) for name in places], axis=1)
    found = []
    for row, known in zip(vectors, table.drop_columns(places).to_pylist(), strict=True):
        pixels = counts = None
        if known["pixels"] is not None:
            pixels, counts = unpack_pixels(known["pixels"], size), unpack_counts(known["counts"])
        found.append(NewPhoto(**_kept(known), vectors=row, pixels=pixels, counts=counts))
    return found


def vectors_of(array: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """A column of vectors as an array (n, E) float16."""
    whole = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    width = whole.type.list_size
    return np.asarray(whole.flatten().to_numpy(zero_copy_only=False)).reshape(-1, width)


def record_of(known: Mapping[str, Any]) -> PhotoRecord:
    """What a row, of the columns `RECORD`, says of a photo."""
    return PhotoRecord(
        **_kept(known), id=known["id"], person=person_number(known["person"]), added=known["added"], crop=None
    )


def _kept(known: Mapping[str, Any]) -> dict[str, Any]:
    """What a row says of the face itself: the fields of `KeptFace`."""
    same = ("source", "sha256", "pixels_sha256", "probability", "size", "sharpness", "pose")
    return {
        **{field: known[field] for field in same},
        "name": known["person"],
        "box": tuple(json.loads(known["box"])),
        "covered": json.loads(known["covered"]),
        "notes": json.loads(known["notes"]),
    }


def person_number(name: str) -> int:
    """The id of a person, which follows from the name: another name is another id."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1


def digest_of(vectors: np.ndarray) -> str:
    """SHA-256 of the embeddings (sum of the widths,) of a photo, in float16."""
    return hashlib.sha256(np.ascontiguousarray(vectors, "<f2").tobytes()).hexdigest()
