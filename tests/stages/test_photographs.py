"""`pdsn eval --gallery DIR --probes DIR` on a tiny run."""

import json

import pytest

from tests.stages.conftest import give

CPU = ("--device", "cpu", "--precision", "fp32", "--bootstrap", "100")


@pytest.fixture
def folders(copied, tmp_path, monkeypatch):
    """A run, and photos of some of its people: a gallery, probes as they are, and probes with a grey lower half."""
    import pdsn.data.detector
    from pdsn.data.dataset import FaceDataset
    from tests.people.photos import PlainDetector, save_photo

    monkeypatch.setattr(pdsn.data.detector, "Detector", PlainDetector)
    dataset = FaceDataset.load(copied / "data")
    for person in range(4):
        rows = [row for row in dataset.rows("train") if dataset.labels[row] == person]
        for number, row in enumerate(rows[:4]):
            side = "known" if number < 3 else "plain"
            save_photo(tmp_path / f"{side}/p{person}/{number}.png", dataset.faces[row])
        covered = dataset.faces[rows[3]].copy()
        covered[covered.shape[0] // 2 :] = 200
        save_photo(tmp_path / f"covered/p{person}/3.png", covered)
    save_photo(tmp_path / "covered/p0/none.png")
    save_photo(tmp_path / "covered/stranger/1.png", dataset.faces[0])
    return copied, tmp_path


def test_photographs_are_recognised_as_they_are(folders):
    run, folder = folders
    words = ("--gallery", folder / "known", "--probes", folder / "plain", "--probes", folder / "covered")
    said = give("eval", "--run", run, *words, "--strategy", "LM2", *CPU, columns=80)
    assert said.code == 0, said.err
    assert "Rank-1, % of 9 photographs" in said.out
    assert "12 photos of 4 people enrolled; probes: plain 4, covered 5" in said.out
    assert "1 photos without a face (covered/p0/none.png): probes among them count as errors" in said.out
    assert "left out: 1 photos of people who are not enrolled" in said.out
    assert "What the segmentation found" not in said.out, "nobody knows what covers them"
    (path,) = (run / "eval/asked").glob("*gallery=known-*/table.json")
    table = json.loads(path.read_text())
    rows = {(r["occlusion"], r["strategy"]): r for r in table["records"]}
    assert {key[0] for key in rows} == {"plain", "covered"} and rows["covered", "none"]["probes"] == 5
    assert rows["covered", "none"]["missed"] == 1 and rows["covered", "LM2"]["rank1"] <= 4 / 5
    assert rows["plain", "none"]["rank1"] >= 0.5, "they were trained on, and one in four is chance"
    assert (path.parent / "figures/probes-covered.png").is_file()
    # The run's own table is as it was, and the same question goes to the same place; other strangers are another question.
    again = give("eval", "--run", run, *words, "--strategy", "LM2", *CPU)
    assert again.code == 0 and len(list((run / "eval/asked").glob("*gallery=known-*"))) == 1
    other = give("eval", "--run", run, *words, "--strategy", "LM2", "--strangers", folder / "known", *CPU)
    assert other.code == 0, other.err
    (path,) = (run / "eval/asked").glob("*gallery=known-*_strangers=known-*/table.json")
    theirs = {(r["occlusion"], r["strategy"]): r for r in json.loads(path.read_text())["records"]}
    for key, row in rows.items():
        assert theirs[key]["rank1"] == row["rank1"]
    # Twelve strangers tell a tenth, and not a hundredth.
    assert theirs["plain", "none"]["fpir01"] is None and theirs["plain", "none"]["fpir10"] is not None


def test_rows_may_be_called_as_bands_are_and_are_no_mean_of_these(folders, refused):
    run, folder = folders
    for old, new in (("plain", "eyes"), ("covered", "mouth")):
        (folder / old).rename(folder / new)
    words = ("--gallery", folder / "known", "--probes", folder / "eyes", "--probes", folder / "mouth")
    said = give("eval", "--run", run, *words, "--strategy", "LM2", *CPU)
    assert said.code == 0, said.err
    assert "points over no FDM, mean of" not in said.out
    (path,) = (run / "eval/asked").glob("*gallery=known-*")
    line = refused(2, "compare", run, run, "--table", path.name, "--device", "cpu")
    assert "is of photographs, other ones in each row" in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--strangers", "{}/known"),
            "--strangers DIR is for photographs: give --gallery DIR and --probes DIR",
        ),
        (("--gallery", "{}/known"), "--gallery DIR and --probes DIR go together"),
        (("--probes", "{}/plain"), "--gallery DIR and --probes DIR go together"),
        (
            ("--gallery", "{}/known", "--probes", "{}/plain", "--occlusion", "eyes"),
            "--occlusion says what is painted",
        ),
        (("--gallery", "{}/known", "--probes", "{}/plain", "--align", "occluded"), "--align says when"),
        (("--gallery", "{}/known", "--probes", "{}/plain", "--draws", "3"), "--draws says how often"),
        (("--gallery", "{}/known", "--probes", "{}/known"), "is the --gallery: each photo would find itself"),
        (
            ("--gallery", "{}/known", "--probes", "{}/plain", "--occlusion-source", "oracle"),
            "with --gallery take segmenter",
        ),
    ],
)
def test_what_does_not_go_with_photographs_is_refused(folders, refused, words, said):
    run, folder = folders
    assert said in refused(2, "eval", "--run", run, *(word.format(folder) for word in words))
