"""New photos compared by matchers that are trained: from the command line and from Python."""

from __future__ import annotations

import json

import numpy as np
import pytest

import pdsn.api
from pdsn.api import load_run
from tests.people.photos import PlainDetector, save_photo
from tests.stages.conftest import give
from tests.stages.test_matcher_train import CPU, train


@pytest.fixture
def photo(copied, tmp_path, monkeypatch):
    """A photo of one of the run's people, and a run with xcos."""
    monkeypatch.setattr(pdsn.api, "Detector", PlainDetector)
    assert train(copied, "xcos").code == 0
    dataset = load_run(copied, strategy="none", device="cpu", precision="fp32").dataset
    row = int(dataset.rows("train")[0])
    return save_photo(tmp_path / "a.png", dataset.faces[row]), dataset.people[dataset.labels[row]]


@pytest.mark.parametrize("strategy", ["xcos", "LM2+xcos"])
def test_faces_are_named_by_them(copied, photo, strategy):
    path, person = photo
    words = (
        "identify",
        path,
        "--run",
        copied,
        "--strategy",
        strategy,
        "--fpr",
        0.2,
        "--json",
        "--no-draw",
        *CPU,
    )
    answers = [json.loads(give(*words).out) for _ in range(2)]  # the second one takes what the first has kept
    assert answers[0] == answers[1] and answers[0]["strategy"] == strategy
    assert answers[0]["photos"][0]["faces"][0]["nearest"][0]["person"] == person


def test_what_was_kept_of_another_training_is_not_taken(copied, photo):
    path, _ = photo
    words = (
        "identify",
        path,
        "--run",
        copied,
        "--strategy",
        "xcos",
        "--fpr",
        0.2,
        "--json",
        "--no-draw",
        *CPU,
    )
    before = json.loads(give(*words).out)
    assert train(copied, "xcos", "--force", "--lr", 0.1).code == 0
    after = json.loads(give(*words).out)
    told = [answer["photos"][0]["faces"][0] for answer in (before, after)]
    assert told[0]["threshold"] != told[1]["threshold"]


def test_the_two_maps_come_with_the_score(copied, photo, refused, tmp_path):
    path, _ = photo
    picture = tmp_path / "both.png"
    words = ("verify", path, path, "--run", copied, "--fpr", 0.2, *CPU)
    said = give(*words, "--strategy", "xcos", "--json", "--maps", "--picture", picture)
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    attention, cosine = (np.array(answer["maps"][name]) for name in ("attention", "cosine"))
    assert attention.shape == cosine.shape and attention.sum() == pytest.approx(1, abs=1e-4)
    assert (attention * cosine).sum() == pytest.approx(answer["cosine"], abs=1e-4)
    wide = picture.stat().st_size
    assert give(*words, "--strategy", "xcos", "--json", "--picture", picture).code == 0
    assert picture.stat().st_size < wide
    line = refused(2, *words, "--strategy", "LM2", "--maps")
    assert "--maps: LM2 does not say where its score comes from; give --strategy xcos" in line
