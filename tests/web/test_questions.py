"""The open questions on disk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from pdsn.errors import PdsnError
from pdsn.web.questions import DAYS, MOST, Question, Questions

PICTURE = np.random.default_rng(0).bytes(20_000)


def question(face: str, person: int | None = None, days: float = 0) -> Question:
    asked = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
    return Question(0, face, asked, "door.jpg", person, None, 0.5, 0.6, ["eyes"], (3.0, 4.5))


def test_a_question_comes_back_as_it_was(tmp_path):
    questions = Questions(tmp_path / "q.sqlite")
    number = questions.ask(question("a", 7), PICTURE)
    found, picture = questions.get(number)
    assert picture == PICTURE
    assert (found.face, found.person, found.covered, found.middle) == ("a", 7, ["eyes"], (3.0, 4.5))
    assert questions.waiting({7}.__contains__) == [found]


@pytest.mark.parametrize("rejected", [False, True])
def test_no_byte_of_an_answered_picture_is_left(tmp_path, rejected):
    questions = Questions(tmp_path / "q.sqlite")
    number = questions.ask(question("a"), PICTURE)
    files = lambda: b"".join(path.read_bytes() for path in tmp_path.iterdir())  # noqa: E731
    pieces = [PICTURE[start : start + 32] for start in range(0, len(PICTURE) - 32, 500)]
    assert any(piece in files() for piece in pieces)
    questions.close(number, rejected=rejected)
    assert not any(piece in files() for piece in pieces)
    assert (questions.ask(question("a"), PICTURE) is None) == rejected


def test_old_ones_and_those_about_people_who_are_gone_are_deleted(tmp_path):
    questions = Questions(tmp_path / "q.sqlite")
    for face, person, days in (
        ("old", None, DAYS + 1),
        ("gone", 3, 0),
        ("known", 4, 0),
        ("nobody", None, DAYS - 1),
    ):
        questions.ask(question(face, person, days), PICTURE)
    assert [one.face for one in questions.waiting({4}.__contains__)] == ["known", "nobody"]


def test_no_more_wait_than_anybody_answers(tmp_path):
    questions = Questions(tmp_path / "q.sqlite")
    given = [questions.ask(question(str(number)), b"x") for number in range(MOST + 1)]
    assert None not in given[:-1] and given[-1] is None


def test_a_damaged_file_is_one_line(tmp_path: Path):
    path = tmp_path / "q.sqlite"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(PdsnError, match="delete it, and open questions begin anew"):
        Questions(path)
    path.unlink()
    assert Questions(path).waiting(bool) == []
