import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pdsn.errors import PdsnError
from pdsn.occlusion import artwork
from pdsn.occlusion.artwork import SPLITS, Style, folder, levels, styles, styles_of
from pdsn.occlusion.worn import KINDS

ASSETS = Path(__file__).parents[2] / "assets"


def silhouette(style: Style) -> np.ndarray:
    """What the style covers of a plane of face units, 24 pixels each."""
    alpha = levels(style.file, style.unit)[0].pixels[3]
    y, x = np.mgrid[-3.2:4:300j, -2.6:2.6:217j]
    row = np.round((y - style.start[1]) * style.unit).astype(int)
    column = np.round((x - style.start[0]) * style.unit).astype(int)
    inside = (row >= 0) & (column >= 0) & (row < alpha.shape[0]) & (column < alpha.shape[1])
    plane = np.zeros(x.shape, dtype=bool)
    plane[inside] = alpha[row[inside], column[inside]] >= 0.5
    return plane


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union with the more similar of the other and its mirror image."""
    return max((a & c).sum() / (a | c).sum() for c in (b, b[:, ::-1]))


def framed(plane: np.ndarray) -> np.ndarray:
    """The silhouette stretched to a square: what is left is its outline, whatever its place and size."""
    rows, columns = np.flatnonzero(plane.any(1)), np.flatnonzero(plane.any(0))
    steps = (np.arange(64) + 0.5) / 64
    row = rows[0] + (steps * (rows[-1] + 1 - rows[0])).astype(int)
    column = columns[0] + (steps * (columns[-1] + 1 - columns[0])).astype(int)
    return plane[row][:, column]


def test_every_kind_has_enough_styles_in_every_split():
    least = {"face-mask": (9, 2), "sunglasses": (8, 2), "scarf": (5, 1), "cap": (5, 1), "hand": (5, 1)}
    assert {style.kind for style in styles()} == set(KINDS) == set(least)
    for kind, (total, test) in least.items():
        counts = [len(styles_of(kind, split)) for split in SPLITS]
        assert sum(counts) >= total and counts[1] >= 1 and counts[2] >= test
        assert counts[0] > max(counts[1:]), "most styles are for training"
    for split in ("train", "test"):
        assert any(style.below_nose for style in styles_of("face-mask", split))


def test_a_style_belongs_to_one_split():
    names = [(style.kind, style.name) for style in styles()]
    assert len(names) == len(set(names)) == sum(len(styles_of(k, s)) for k in KINDS for s in SPLITS)
    assert len({style.file for style in styles()}) == len(names)
    assert {file.name for file in folder().glob("*.png")} == {style.file.name for style in styles()}


@pytest.mark.parametrize("kind", KINDS)
def test_outlines_differ_between_splits(kind):
    planes = {style: silhouette(style) for style in styles() if style.kind == kind}
    for one, plane in planes.items():
        for other, plane2 in planes.items():
            if one.split != other.split:
                assert likeness(plane, plane2) < 0.9, f"{one.name} and {other.name}"
                assert likeness(framed(plane), framed(plane2)) < 0.92, (
                    f"{one.name} and {other.name}, stretched"
                )


def test_likeness_knows_the_same_outline_in_another_place_and_size():
    distance = np.hypot(*np.mgrid[-1:1:400j, -1.5:1.5:400j])
    disc, moved = distance < 0.6, np.roll(distance < 0.3, 90, axis=1)
    assert likeness(disc, moved) < 0.5
    assert likeness(framed(disc), framed(moved)) > 0.95


def test_pictures_are_halved_without_a_shift():
    for style in styles():
        sizes = levels(style.file, style.unit)
        assert len(sizes) >= 4
        centres = []
        for level in sizes[:3]:
            alpha = level.pixels[3]
            # Places in face units from the picture's corner.
            x = (np.arange(alpha.shape[1]) + 0.5) / level.unit
            centres.append((alpha.sum(0) * x).sum() / alpha.sum())
        assert np.ptp(centres) < 0.02
        # Painted once more over black and white, colours times alpha must not exceed alpha.
        assert (sizes[0].pixels[:3] <= 255 * sizes[0].pixels[3] + 1e-3).all()


def test_artwork_is_small():
    assert sum(file.stat().st_size for file in folder().iterdir()) < 1.5e6


def test_missing_artwork_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(artwork, "__file__", str(tmp_path / "pdsn" / "occlusion" / "artwork.py"))
    with pytest.raises(PdsnError, match="install the package again"):
        folder()
    checkout = tmp_path / "assets" / "occluders"
    checkout.mkdir(parents=True)
    (checkout / "styles.json").write_text("[]")
    assert folder() == checkout
    wheel = tmp_path / "pdsn" / "artwork"
    wheel.mkdir(parents=True)
    (wheel / "styles.json").write_text("[]")
    assert folder() == wheel, "what is installed with the code comes first"


def test_an_unreadable_picture_names_itself(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    with pytest.raises(PdsnError, match=r"broken\.png"):
        levels(broken, 100)


@pytest.fixture
def drawing(monkeypatch):
    monkeypatch.syspath_prepend(str(ASSETS))
    return importlib.import_module("draw_occluders")


@pytest.mark.parametrize(
    ("kind", "name"),
    [("sunglasses", "cat-eye"), ("face-mask", "checked"), ("scarf", "shawl"), ("cap", "beanie")],
)
def test_the_script_draws_the_committed_picture(kind, name, drawing):
    picture, entry = drawing.draw(kind, name)
    committed = json.loads((ASSETS / "occluders" / "styles.json").read_text())
    # Through JSON, for a tuple is a list there.
    assert json.loads(json.dumps(entry)) in committed
    assert np.array_equal(np.asarray(Image.open(ASSETS / "occluders" / entry["file"])), picture)


@pytest.mark.slow
def test_the_script_reproduces_every_file(drawing, tmp_path):
    drawing.main(tmp_path)
    drawn = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert drawn == {file.name: file.read_bytes() for file in (ASSETS / "occluders").iterdir()}


def test_the_version_changes_with_every_picture_and_with_the_index(tmp_path, monkeypatch):
    place = Path(shutil.copytree(artwork.folder(), tmp_path / "artwork"))
    monkeypatch.setattr(artwork, "folder", lambda: place)
    found = []
    for path in [None, *sorted(place.glob("*.png"))[:1], place / artwork.INDEX]:
        if path is not None:
            path.write_bytes(path.read_bytes() + b" ")
        artwork.version.cache_clear()
        found.append(artwork.version())
    (place / "note.txt").write_text("no artwork")
    artwork.version.cache_clear()
    assert artwork.version() == found[-1] and len(set(found)) == 3
    artwork.version.cache_clear()
