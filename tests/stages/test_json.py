"""`--json` prints JSON alone on standard output, the same as the files have."""

import json

from skimage import data

from tests.stages.conftest import give

COMMON = ("--device", "cpu", "--precision", "fp32")


def test_eval_prints_its_table(copied):
    said = give("eval", "--occlusion", "eyes", "--strategy", "LM2", "--run", copied, "--json", *COMMON)
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert answer.pop("format") == 1 and "Rank-1" in said.err
    [folder] = (copied / "eval/asked").iterdir()
    assert answer == json.loads((folder / "table.json").read_text())


def test_prepare_says_what_was_kept_and_what_not(tmp_path):
    from PIL import Image

    face = data.astronaut()[:260, 90:350]
    for person in ("Ann", "Bea"):
        (tmp_path / "photos" / person).mkdir(parents=True)
        for number in range(4):
            pixels = face[:, :, ::-1] if person == "Bea" else face
            Image.fromarray(pixels[2 * number :]).save(tmp_path / f"photos/{person}/{number}.png")
    (tmp_path / "photos/Ann/broken.jpg").write_text("no photo")
    words = (
        "prepare",
        tmp_path / "photos",
        "--data",
        tmp_path / "set",
        "--min-photos",
        "3",
        "--size",
        "64x48",
    )
    said = give(*words, "--json", "--device", "cpu")
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert answer["format"] == 1 and answer["people"] == 2 and answer["size"] == [64, 48]
    assert answer["faces"] + len(answer["skipped"]) == answer["photos"] == 9
    assert sum(answer["split"].values()) == answer["faces"] and not answer["reused"]
    assert any(one["photo"].endswith("broken.jpg") for one in answer["skipped"])
    assert json.loads(give(*words, "--json", "--device", "cpu").out)["reused"]
