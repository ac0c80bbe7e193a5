import csv
import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pdsn.calibration.impostors import Impostors, look_at
from pdsn.calibration.rivals import GalleryRivals
from pdsn.calibration.strangers import Strangers
from pdsn.evaluation.enrolment import Enrolment
from pdsn.evaluation.evaluation import evaluate
from pdsn.evaluation.probes import Probes, aligned_probes
from pdsn.matchers.matcher import Faces
from pdsn.metrics import bootstrap_interval
from pdsn.occlusion.layouts import Box, Layout
from pdsn.occlusion.occluders import Block, Nothing, RandomBlock
from pdsn.report.table import cell, markdown, write_report
from tests.matchers.pixels import Pixels

TRIGGERS = Layout("LM2", (64, 48), {"top": Box(0, 0, 40, 48), "rest": Box(40, 0, 64, 48)}, {})


def pixels(careful: bool) -> Pixels:
    """Recognises by the pixels of free regions or, when careless, by the top ones come what may."""
    return Pixels(TRIGGERS, None if careful else slice(0, 40))


OCCLUDERS = {"clean": Nothing(), "top": Block((Box(0, 0, 40, 48),))}


def table(
    dataset, find_covered=None, make_probes=None, occluders=OCCLUDERS, share=0.5, draws=1, told=None,
    **matchers,
):  # fmt: skip
    enrolment = Enrolment.by_photo(dataset, "test")
    return evaluate(
        dataset,
        matchers,
        occluders,
        enrolment,
        Strangers.of(dataset),
        make_probes=make_probes or aligned_probes(dataset, enrolment.probes, 0),
        find_covered=find_covered,
        triggers=TRIGGERS,
        share=share,
        draws=draws,
        on_first_draw=lambda *seen: None if told is None else told.append(seen),
    )


def content(evaluation, records, split_by="photo"):
    return {"records": records, "segmentation": evaluation.segmentation, "config": {"split_by": split_by}}


def test_every_matcher_sees_the_same_probes_and_careful_ones_win(dataset):
    none, careful = pixels(False), pixels(True)
    evaluation = table(dataset, none=none, careful=careful)
    assert [(a.occlusion, a.strategy) for a in evaluation.answers] == [
        ("clean", "none"), ("clean", "careful"), ("top", "none"), ("top", "careful"),
    ]  # fmt: skip
    assert all(torch.equal(a, b) for a, b in zip(none.asked, careful.asked, strict=True))
    records = evaluation.records(bootstrap=200, seed=0)
    rates = {(r["occlusion"], r["strategy"]): r["rank1"] for r in records}
    assert rates["top", "careful"] > rates["top", "none"]
    gained = records[3]
    assert gained["gain"] == pytest.approx(rates["top", "careful"] - rates["top", "none"])
    assert gained["gain_ci95"][0] <= gained["gain"] <= gained["gain_ci95"][1]
    gain = evaluation.mean_gains(["clean", "top"], bootstrap=200, seed=0)
    assert list(gain) == ["careful"]
    assert gain["careful"]["gain"] == pytest.approx(np.mean([records[1]["gain"], records[3]["gain"]]))
    low, high = gain["careful"]["ci95"]
    assert low <= gain["careful"]["gain"] <= high


def test_answers_name_the_nearest_photo_and_the_rank_of_the_right_person(dataset):
    answer = table(dataset, none=pixels(False)).answers[0]
    gallery = dataset.rows("train")
    first = int(answer.rows[0])
    tops = dataset.tensor([first, *gallery])[:, :, :40].float().flatten(1) - 128
    distances = 1 - F.cosine_similarity(tops[:1], tops[1:]).numpy()
    assert answer.found[0] == gallery[distances.argmin()]
    nearest = {int(p): distances[dataset.labels[gallery] == p].min() for p in np.unique(dataset.labels)}
    own = nearest[int(dataset.labels[first])]
    assert answer.ranks[0] == sum(value <= own for value in nearest.values())


@pytest.mark.parametrize(("share", "triggered"), [(0.3, 1.0), (0.6, 0.0)])
def test_what_triggers_a_region_is_counted_by_the_share_asked_for(dataset, share, triggered):
    half = {"half of the top": Block((Box(0, 0, 20, 48),))}
    (found,) = table(dataset, occluders=half, share=share, none=pixels(False)).segmentation
    assert (found["triggered"], found["triggered_exact"]) == (triggered, triggered)


def test_reports_agree_with_the_records(dataset, tmp_path):
    evaluation = table(dataset, none=pixels(False), careful=pixels(True))
    records = evaluation.records(bootstrap=200, seed=0)
    write_report(tmp_path, evaluation, {**content(evaluation, records), "segmentation": []})
    assert json.loads((tmp_path / "table.json").read_text())["records"] == json.loads(json.dumps(records))
    text = (tmp_path / "table.md").read_text()
    assert text == markdown(records)
    assert f"| top | {100 * records[2]['rank1']:.2f} | {cell(records[3])} |" in text
    shown = (f"{100 * r['tpir10']:.1f} ({100 * r['fpir10']:.1f})" for r in records[2:])
    assert f"| top | {' | '.join(shown)} |" in text
    assert records[2]["tpir01"] is None, "12 strangers cannot tell 1 %"
    write_report(tmp_path, evaluation, content(evaluation, records, "person"))
    assert (tmp_path / "table.md").read_text().startswith("Rank-1 in %, people never seen in training; in")
    with (tmp_path / "probes.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 4 * len(dataset.rows("test"))


def test_people_without_a_gallery_photo_are_left_out_and_counted(dataset):
    from dataclasses import replace

    split = dataset.split.copy()
    split[(dataset.labels == 2) & (split == "train")] = "val"
    evaluation = table(replace(dataset, split=split), none=pixels(False))
    assert evaluation.left_out == ((dataset.labels == 2) & (split == "test")).sum()
    assert not (dataset.labels[evaluation.answers[0].rows] == 2).any()


def test_open_set_scores_leave_the_probe_s_own_person_out(dataset):
    evaluation = table(dataset, none=pixels(False))
    answer, gallery = evaluation.answers[0], dataset.rows("train")
    for index in (0, 5):
        others = gallery[dataset.labels[gallery] != dataset.labels[answer.rows[index]]]
        matcher = pixels(False)
        enrolled = matcher.prepare(Faces.free(dataset.tensor(others)), "gallery")
        probe = matcher.prepare(Faces.free(dataset.tensor(answer.rows[index : index + 1])), "probe")
        alone = matcher.compare(probe, enrolled)
        assert answer.stranger[index] == pytest.approx(float(alone.max()), abs=1e-5)


def test_thresholds_come_from_validation_photos_by_signature_as_identify_has_them(dataset):
    evaluation = table(dataset, none=pixels(False), careful=pixels(True))
    strangers, gallery = Strangers.of(dataset), dataset.rows("train")
    people = torch.from_numpy(dataset.labels)[gallery]
    limits = {}
    for strategy in ("none", "careful"):
        matcher = pixels(strategy == "careful")
        enrolled = matcher.prepare(Faces.free(dataset.tensor(gallery), people), "gallery")
        seen = look_at(strangers, {"": matcher}, None)[""]
        rivals = GalleryRivals(matcher, enrolled, dataset.people, people)
        impostors = Impostors(matcher, rivals, strangers, seen)
        for occlusion, signature in (("clean", (False, False)), ("top", (True, False))):
            answer = evaluation.find(occlusion, strategy)
            limits[strategy, occlusion] = impostors.threshold(signature, 0.1)
            assert answer.thresholds[0.1] == pytest.approx(limits[strategy, occlusion])
            assert np.isnan(answer.thresholds[0.01]).all()
            assert answer.normal == pytest.approx(np.tile(impostors.normal(signature), (len(answer.rows), 1)))
            record = next(
                r for r in evaluation.records(bootstrap=200, seed=0)
                if (r["occlusion"], r["strategy"]) == (occlusion, strategy)
            )  # fmt: skip
            named = (answer.ranks == 1) & (answer.cosine > limits[strategy, occlusion])
            assert record["tpir10"] == named.mean() <= record["rank1"]
            assert record["fpir10"] == (answer.stranger > limits[strategy, occlusion]).mean()
            assert record["tpir01"] is None and record["fpir01"] is None
    assert limits["careful", "clean"] != limits["careful", "top"]


def test_rank_5_by_photo_is_stricter_than_by_person(dataset):
    evaluation = table(dataset, none=pixels(False))
    answer = evaluation.find("top", "none")
    assert (answer.photo_ranks >= answer.ranks).all() and (answer.photo_ranks > answer.ranks).any()
    assert ((answer.photo_ranks == 1) == (answer.ranks == 1)).all()
    record = evaluation.records(bootstrap=200, seed=0)[1]
    assert record["rank5_photos"] == (answer.photo_ranks <= 5).mean() <= record["rank5"]


DRAWN = {"clean": Nothing(), "block": RandomBlock()}


def test_the_first_of_several_draws_is_the_only_one_there_was(dataset):
    told = []
    once = table(dataset, occluders=DRAWN, none=pixels(False))
    thrice = table(dataset, occluders=DRAWN, draws=3, told=told, none=pixels(False))
    one, three = once.find("block", "none"), thrice.find("block", "none")
    count = len(one.rows)
    assert three.draw.tolist() == [0] * count + [1] * count + [2] * count and three.draws == 3
    assert three.rows.tolist() == one.rows.tolist() * 3 and len(three.regions) == 3 * count
    assert np.array_equal(three.cosine[:count], one.cosine)
    assert len({tuple(three.cosine[part * count :][:count]) for part in range(3)}) == 3
    assert thrice.find("clean", "none").draws == 1, "nothing is left to chance on clean photos"
    # Pictures are of the first draw.
    assert [list(answers) for answers, _, _ in told] == [["none"], ["none"]]
    _, probes, _ = told[1]
    first = aligned_probes(dataset, one.rows, 0)("block", RandomBlock())
    assert torch.equal(probes.faces, first.faces)


def test_rates_are_means_over_photos_and_draws(dataset, tmp_path):
    evaluation = table(dataset, occluders=DRAWN, draws=3, none=pixels(False), careful=pixels(True))
    records = {(r["occlusion"], r["strategy"]): r for r in evaluation.records(bootstrap=200, seed=0)}
    answer, record = evaluation.find("block", "none"), records["block", "none"]
    assert (record["probes"], record["draws"]) == (len(dataset.rows("test")), 3)
    assert (records["clean", "none"]["probes"], records["clean", "none"]["draws"]) == (record["probes"], 1)
    hits, people = (answer.ranks == 1).reshape(3, -1), dataset.labels[dataset.rows("test")]
    assert record["rank1"] == pytest.approx(hits.mean())
    assert record["ci95"] == list(bootstrap_interval(hits.mean(0), people, (0, 1), draws=200, seed=0))
    careful = records["block", "careful"]
    assert careful["gain"] == pytest.approx(careful["rank1"] - record["rank1"])
    assert "careful" in evaluation.mean_gains(["clean", "block"], bootstrap=200, seed=0)
    assert evaluation.segmentation[1]["photos"] == record["probes"]
    write_report(tmp_path, evaluation, content(evaluation, list(records.values())))
    for name, strategies in (("probes", 2), ("segmentation", 1)):
        with (tmp_path / f"{name}.csv").open() as stream:
            rows = [row for row in csv.DictReader(stream) if row["occlusion"] == "block"]
        assert len(rows) == 3 * strategies * record["probes"]
        assert {row["draw"] for row in rows} == {"0", "1", "2"}


def test_five_equal_draws_tell_no_more_than_one(dataset):
    def stubborn(name, occluder, draw):
        return aligned_probes(dataset, dataset.rows("test"), 0)(name, occluder)

    def told(draws):
        evaluation = table(
            dataset,
            make_probes=stubborn,
            occluders=DRAWN,
            draws=draws,
            none=pixels(False),
            careful=pixels(True),
        )
        kept = ("rank1", "rank5", "rank1_per_person", "ci95", "gain", "gain_ci95", "tpir10")
        records = evaluation.records(bootstrap=200, seed=0)
        return [{name: r[name] for name in kept if name in r} for r in records], evaluation.mean_gains(
            ["clean", "block"], bootstrap=200, seed=0
        )

    assert told(5) == told(1)


def test_covered_pixels_come_from_the_finder_and_are_compared_with_the_exact_ones(dataset):
    def upper_half(faces):
        found = torch.zeros(len(faces), 64, 48, dtype=torch.bool)
        found[:, :32] = True
        return found

    careful = pixels(True)
    found = table(dataset, upper_half, none=pixels(False), careful=careful)
    exact = table(dataset, none=pixels(False), careful=pixels(True))
    assert found.segmentation[0] == {
        "occlusion": "clean", "photos": len(dataset.rows("test")), "pixel_accuracy": 0.5, "iou": None,
        "triggered": 1.0, "triggered_exact": 0.0,
    }  # fmt: skip
    assert found.segmentation[1]["iou"] == pytest.approx(32 / 40)
    assert found.segmentation[1]["pixel_accuracy"] == pytest.approx(56 / 64)
    assert exact.segmentation[1]["iou"] == 1.0
    ours, oracle = found.find("clean", "careful"), exact.find("clean", "careful")
    assert not np.array_equal(ours.cosine, oracle.cosine), "the matcher must be told what was found"


def test_a_missed_face_is_an_error_of_every_matcher(dataset, tmp_path):
    def blind(name, occluder, draw):
        made = aligned_probes(dataset, dataset.rows("test"), 0)(name, occluder, draw)
        found = np.ones(len(made.faces), bool)
        found[[0, 2]] = False
        return Probes(made.faces, made.exact, found)

    evaluation = table(dataset, make_probes=blind, none=pixels(False))
    answer = evaluation.find("clean", "none")
    assert answer.ranks[0] == len(dataset.people) + 1 and answer.found[2] == -1 and np.isnan(answer.cosine[0])
    records = evaluation.records(bootstrap=200, seed=0)
    assert records[0]["missed"] == 2
    assert records[0]["rank5"] <= 1 - 2 / len(answer.rows)
    assert evaluation.segmentation[0]["photos"] == len(answer.rows) - 2
    assert np.isnan(answer.stranger[[0, 2]]).all() and not np.isnan(answer.stranger[1])
    write_report(tmp_path, evaluation, content(evaluation, records))
    with (tmp_path / "probes.csv").open() as stream:
        missed = [row for row in csv.DictReader(stream) if not row["found_person"]]
    assert len(missed) == 4 and {row["cosine"] for row in missed} == {""}
    with (tmp_path / "segmentation.csv").open() as stream:
        photos = list(csv.DictReader(stream))
    assert len(photos) == 2 * len(answer.rows) and sum(not row["pixel_accuracy"] for row in photos) == 4
    covered = [float(row["iou"]) for row in photos if row["occlusion"] == "top" and row["iou"]]
    assert np.mean(covered) == pytest.approx(evaluation.segmentation[1]["iou"], abs=1e-4)
