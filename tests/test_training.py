"""The training loop: what a killed run leaves behind, and that resuming repeats the undisturbed run."""

import json
import math
import time

import pytest
import torch

from pdsn.artefact import TrainingFolder
from pdsn.config import BaseConfig
from pdsn.data.augment import Augmentation
from pdsn.errors import PdsnError, UsageError
from pdsn.models.base import FaceBatches, base_folder, load_base, train_base
from pdsn.runtime import start
from pdsn.training import Schedule, ahead, fit, read_metrics, shuffled

CONFIG = BaseConfig(arch="resnet18", width=8, embedding=16, epochs=4, batch=16, validate_every=2, lr=0.05)


class Killed(BaseException):
    """Stands for kill -9: nothing in the program catches it."""


def train(dataset, root, *, kill_after=None, monkeypatch=None, seed=0):
    folder = base_folder(root, CONFIG, dataset, seed)
    folder.open()
    if kill_after is not None:
        save = TrainingFolder.save_state
        saved = []

        def save_and_die(self, state):
            save(self, state)
            saved.append(state["epoch"])
            if state["epoch"] == kill_after:
                raise Killed

        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(TrainingFolder, "save_state", save_and_die)
            train_base(dataset, CONFIG, folder, start("cpu", "fp32"), seed)
        assert saved == list(range(1, kill_after + 1))
        return folder
    train_base(dataset, CONFIG, folder, start("cpu", "fp32"), seed)
    return folder


def without_times(rows):
    return [{name: value for name, value in row.items() if not name.startswith("seconds")} for row in rows]


@pytest.mark.parametrize("kill_after", [1, 2, 4])
def test_a_killed_training_ends_bit_for_bit_like_an_undisturbed_one(
    dataset, tmp_path, monkeypatch, kill_after
):
    whole = train(dataset, tmp_path / "whole")
    killed = train(dataset, tmp_path / "killed", kill_after=kill_after, monkeypatch=monkeypatch)
    assert not killed.model.exists() and killed.state.exists()
    # A kill between the metrics and the state leaves a line too many.
    with killed.metrics.open("a") as stream:
        stream.write(json.dumps({"epoch": kill_after + 1, "loss": -1.0}) + "\n")
    train(dataset, tmp_path / "killed")
    assert killed.model.read_bytes() == whole.model.read_bytes()
    assert without_times(read_metrics(killed)) == without_times(read_metrics(whole))
    assert not killed.state.exists()


def test_another_seed_gives_another_network(dataset, tmp_path):
    first, second = (train(dataset, tmp_path / str(seed), seed=seed) for seed in (0, 1))
    assert first.model.read_bytes() != second.model.read_bytes()


def test_training_learns_and_keeps_the_best_epoch(dataset, tmp_path):
    folder = train(dataset, tmp_path)
    rows = read_metrics(folder)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["loss"] < rows[0]["loss"]
    validated = {row["epoch"]: row["val_score"] for row in rows if "val_score" in row}
    assert list(validated) == [2, 4]
    assert folder.best()["score"] == max(validated.values())
    assert load_base(folder).classifier.weight.shape == (6, 16)


def test_other_settings_are_refused_and_nothing_is_lost(dataset, tmp_path):
    folder = train(dataset, tmp_path)
    before = folder.model.read_bytes()
    other = base_folder(tmp_path, BaseConfig(**{**CONFIG.__dict__, "epochs": 5}), dataset, 0)
    with pytest.raises(UsageError, match="epochs is 4 there and 5 here"):
        other.open()
    assert folder.model.read_bytes() == before
    assert other.open(force=True) is False
    assert folder.model.read_bytes() == before  # until a training begins that may replace it
    other.begin()
    assert not folder.model.exists() and json.loads(other.described.read_text())["config"]["epochs"] == 5


def test_a_setting_that_an_older_version_did_not_know_has_its_default(dataset, tmp_path):
    folder = train(dataset, tmp_path)
    described = json.loads(folder.described.read_text())
    del described["config"]["occlude"]
    folder.described.write_text(json.dumps(described))
    assert folder.open() is True
    other = base_folder(tmp_path, BaseConfig(**{**CONFIG.__dict__, "occlude": 0.5}), dataset, 0)
    with pytest.raises(UsageError, match="occlude is 0.0 there and 0.5 here"):
        other.open()


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_made_ahead_come_in_order_and_each_once(workers):
    made = []

    def make(step):
        time.sleep(0.003 if step % 2 else 0)
        made.append(step)
        return step * 10

    found = ahead(make, range(5, 45), workers=workers)
    assert next(found) == 50
    assert len(made) < 40, "not everything may be made before it is wanted"
    assert list(found) == [step * 10 for step in range(6, 45)]
    assert sorted(made) == list(range(5, 45))


def test_an_error_while_making_a_batch_reaches_the_training():
    def fail(step):
        raise ValueError(step)

    with pytest.raises(ValueError, match="3"):
        next(ahead(fail, range(3, 9)))


def test_the_base_sees_the_share_of_occluded_photos_that_was_asked_for(dataset):
    rows = dataset.rows("train")
    still = Augmentation(0, 0, 0, 0, 0)
    accelerator = start("cpu", "fp32")

    def changed(occlude, seed=0):
        batches = FaceBatches(dataset, rows, 16, still, seed, accelerator, occlude)
        clean = FaceBatches(dataset, rows, 16, still, seed, accelerator)
        pairs = [zip(batches.epoch(n), clean.epoch(n), strict=True) for n in range(3)]
        return torch.cat([(a[0] != b[0]).flatten(1).any(1) for pair in pairs for a, b in pair])

    assert not changed(0.0).any()
    share = changed(0.5).float().mean()
    assert 0.3 < share < 0.7
    assert changed(1.0).float().mean() > 0.95
    assert torch.equal(changed(0.5), changed(0.5)) and not torch.equal(changed(0.5), changed(0.5, seed=1))


def test_another_data_set_is_refused(dataset, tmp_path):
    folder = train(dataset, tmp_path)
    other = TrainingFolder(tmp_path, folder.config, {"data set": "another"}, "pdsn base-train")
    with pytest.raises(UsageError, match="was made from another data set"):
        other.open()
    with pytest.raises(
        PdsnError, match="belongs to another data set: rebuild it with `pdsn base-train --force`"
    ):
        other.load()
    assert folder.open() is True


def test_a_damaged_state_says_what_to_do(dataset, tmp_path, monkeypatch):
    folder = train(dataset, tmp_path, kill_after=1, monkeypatch=monkeypatch)
    folder.state.write_bytes(b"garbage")
    with pytest.raises(PdsnError, match=r"last\.pt cannot be read .*--force"):
        train(dataset, tmp_path)


def test_a_pickle_in_place_of_the_state_is_not_run(dataset, tmp_path, monkeypatch):
    import pickle

    folder = train(dataset, tmp_path, kill_after=1, monkeypatch=monkeypatch)
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return (marker.write_text, ("x",))

    folder.state.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(PdsnError):
        train(dataset, tmp_path)
    assert not marker.exists()


def test_weights_that_do_not_fit_their_description_are_refused(dataset, tmp_path):
    folder = train(dataset, tmp_path)
    about = json.loads(folder.described.read_text())
    about["config"]["width"] = 16
    folder.described.write_text(json.dumps(about))
    with pytest.raises(PdsnError, match="does not fit config.json"):
        load_base(folder)


class _Diverging(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, x):
        return {"loss": (self.weight * x).sum() * math.inf}


class _OneBatch:
    def __len__(self):
        return 1

    def epoch(self, number):
        yield (torch.ones(3),)


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    module = _Diverging()
    folder = TrainingFolder(tmp_path, {}, {}, "pdsn x")
    folder.open()
    with pytest.raises(PdsnError, match="loss is inf in epoch 1; train anew with a lower --lr"):
        fit(
            module, _OneBatch(), lambda: {"score": 0.0}, schedule=Schedule(2, 0.1), folder=folder,
            accelerator=start("cpu", "fp32"), seed=0, title="x", weights=module.state_dict,
            load_weights=module.load_state_dict,
        )  # fmt: skip
    assert not folder.model.exists()


def test_schedule_warms_up_and_falls_to_zero():
    schedule = Schedule(epochs=10, lr=0.4, warmup=0.25, validate_every=4)
    assert schedule.rate(0.0) == 0
    assert schedule.rate(0.125) == pytest.approx(0.2)
    assert schedule.rate(0.25) == pytest.approx(0.4)
    assert schedule.rate(0.625) == pytest.approx(0.2)
    assert schedule.rate(1.0) == pytest.approx(0, abs=1e-12)
    assert [e + 1 for e in range(10) if schedule.validates(e)] == [2, 6, 10]


def test_processes_share_each_batch_and_cover_it():
    alone = shuffled(50, 8, seed=3, epoch=2)
    shares = [shuffled(50, 8, seed=3, epoch=2, rank=rank, world=3) for rank in range(3)]
    assert len(alone) == 6
    for whole, *parts in zip(alone, *shares, strict=True):
        assert sorted(torch.cat(parts).tolist()) == sorted(whole.tolist())
    assert len(torch.cat(alone).unique()) == 48
    assert not torch.equal(torch.cat(alone), torch.cat(shuffled(50, 8, seed=3, epoch=3)))


def test_fewer_photos_than_a_batch_are_one_batch():
    assert [len(rows) for rows in shuffled(5, 64, seed=0, epoch=0)] == [5]
