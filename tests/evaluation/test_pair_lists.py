"""Lists of pairs in each of their forms, and what is said of one that cannot be used."""

from pathlib import Path

import pytest

from pdsn.errors import UsageError
from pdsn.evaluation.pair_lists import read_pairs


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name, count, ending in (("Ann Lee", 3, "jpg"), ("Bob", 2, "png"), ("Zoë", 1, "jpg")):
        (folder / name).mkdir(parents=True)
        for number in range(1, count + 1):
            (folder / name / f"{name}_{number:04d}.{ending}").touch()
    (folder / "a.jpg").touch()
    return folder


def listed(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "pairs.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_two_files_and_a_number(tmp_path, photos):
    found = read_pairs(
        listed(tmp_path, "Bob/Bob_0001.png Bob/Bob_0002.png 1\n\na.jpg\tBob/Bob_0001.png\t0\n"), photos
    )
    assert found.files == ["Bob/Bob_0001.png", "Bob/Bob_0002.png", "a.jpg"]
    assert found.pairs.tolist() == [[0, 1], [2, 0]] and found.same.tolist() == [True, False]
    assert found.folds is None
    people = found.people()
    assert people[0] == people[1] != people[2]


def test_lfws_list_with_its_folds_and_names_with_spaces(tmp_path, photos):
    text = "2\t1\nAnn Lee\t1\t3\nAnn Lee\t1\tBob\t2\nBob\t1\t2\nZoë\t1\tBob\t1\n"
    found = read_pairs(listed(tmp_path, text), photos)
    assert found.folds.tolist() == [0, 0, 1, 1] and found.same.tolist() == [True, False, True, False]
    assert [found.files[place] for place in found.pairs[1]] == [
        "Ann Lee/Ann Lee_0001.jpg",
        "Bob/Bob_0002.png",
    ]
    assert len(set(found.people().tolist())) == 3


def test_the_same_without_a_first_line_has_no_folds(tmp_path, photos):
    found = read_pairs(listed(tmp_path, "Bob 1 2\nBob 1 Zoë 1\n"), photos)
    assert found.folds is None and found.same.tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Bob 1 2\nBob 1 Eve 1\n", r"pairs.txt, line 2: .*Eve_0001.\* is not there; --photos says"),
        ("Bob 1 9\n", r"line 1: .*Bob_0009.\* is not there"),
        ("Bob/Bob_0001.png b.jpg 1\n", r"line 1: .*b.jpg is no file; --photos says"),
        ("Bob\n", "line 1 is no pair: write `a.jpg b.jpg 1`"),
        ("a.jpg a.jpg 2\n", "line 1 is no pair"),
        ("Bob 1 2\n", "has no pairs of two people: both kinds are needed"),
        ("Bob 1 Zoë 1\n", "has no pairs of one person: both kinds are needed"),
        ("", "has no pairs of one person"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path, photos, text, said):
    with pytest.raises(UsageError, match=said):
        read_pairs(listed(tmp_path, text), photos)


def test_a_list_that_is_not_there_or_no_text(tmp_path, photos):
    with pytest.raises(UsageError, match="--pairs .*none.txt cannot be read: No such file"):
        read_pairs(tmp_path / "none.txt", photos)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="it is no UTF-8 text"):
        read_pairs(tmp_path / "binary", photos)
