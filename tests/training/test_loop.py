"""The training loop: what a killed run leaves behind, and that resuming repeats the undisturbed run."""

import json
import math
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pdsn.artefact import TrainingFolder, load_tensors
from pdsn.bases.lmcl import FaceBatches, base_folder, train_base
from pdsn.bases.opening import load_base
from pdsn.bases.settings import BaseConfig
from pdsn.bases.trained import new_base, occluded_faces
from pdsn.errors import PdsnError, UsageError
from pdsn.files import sole_use
from pdsn.runtime import start
from pdsn.training.augment import Augmentation
from pdsn.training.loop import RunningMean, Schedule, fit, read_metrics

CONFIG = BaseConfig(arch="resnet18", width=8, embedding=16, epochs=4, batch=16, validate_every=2, lr=0.05)


class Killed(BaseException):
    """Stands for kill -9: nothing in the program catches it."""


def train(dataset, root, *, kill_after=None, monkeypatch=None, seed=0, **settings):
    config = replace(CONFIG, **settings)
    folder = base_folder(root, config, dataset, seed)
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
            train_base(dataset, config, folder, start("cpu", "fp32"), seed)
        assert saved == list(range(1, kill_after + 1))
        return folder
    train_base(dataset, config, folder, start("cpu", "fp32"), seed)
    return folder


def without_times(rows):
    return [{name: value for name, value in row.items() if not name.startswith("seconds")} for row in rows]


@pytest.mark.parametrize(
    ("kill_after", "more"), [(1, {}), (2, {}), (4, {}), (3, {"average": 0.9, "balance": 0.5})]
)
def test_a_killed_training_ends_bit_for_bit_like_an_undisturbed_one(
    dataset, tmp_path, monkeypatch, kill_after, more
):
    whole = train(dataset, tmp_path / "whole", **more)
    killed = train(dataset, tmp_path / "killed", kill_after=kill_after, monkeypatch=monkeypatch, **more)
    assert not killed.model.exists() and killed.state.exists()
    # A kill between the metrics and the state leaves a line too many.
    with killed.metrics.open("a") as stream:
        stream.write(json.dumps({"epoch": kill_after + 1, "loss": -1.0}) + "\n")
    train(dataset, tmp_path / "killed", **more)
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


def test_a_base_that_sees_occlusion_is_judged_by_occluded_photos_too(dataset, tmp_path):
    rows = [row for row in read_metrics(train(dataset, tmp_path, occlude=0.5)) if "val_score" in row]
    assert len(rows) == 2
    for row in rows:
        mean = (row["val_rank1"] + row["val_occluded"]) / 2
        assert row["val_score"] == pytest.approx(mean + 1e-3 * row["val_rank5"])
    val = dataset.rows("val")
    occluded, clean = occluded_faces(dataset, val), dataset.tensor(val)
    assert torch.equal(occluded, occluded_faces(dataset, val))  # the same in every run
    assert torch.equal(occluded[1:], occluded_faces(dataset, val[1:]))  # and whatever else is looked at
    assert (occluded != clean).flatten(1).any(1).float().mean() > 0.9


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


def test_the_running_mean_is_validated_and_training_goes_on_from_the_weights_themselves():
    weights = {"w": torch.zeros(2), "steps": torch.tensor(0)}
    mean = RunningMean(0.5)
    for step in range(30):
        weights["w"] += 1
        weights["steps"] += 1
        mean.add(lambda: weights, step)
    # The fixed point of m <- (m + w) / 2 under w growing by 1 lags by 1.
    assert torch.allclose(mean.weights["w"], torch.full((2,), 29.0), atol=1e-3)
    assert mean.weights["steps"] == 30
    with mean.in_place(lambda: weights, lambda given: [weights[name].copy_(given[name]) for name in given]):
        assert weights["w"][0] < 30
    assert weights["w"][0] == 30
    none = RunningMean(0)
    none.add(lambda: weights, 0)
    assert none.weights is None


def test_the_kept_weights_are_the_mean_s(dataset, tmp_path):
    plain, mean = (train(dataset, tmp_path / str(a), average=a, epochs=1) for a in (0.0, 0.9))
    assert read_metrics(plain)[0]["loss"] == read_metrics(mean)[0]["loss"]
    assert plain.model.read_bytes() != mean.model.read_bytes()


def test_the_base_sees_the_share_of_occluded_photos_that_was_asked_for(dataset):
    rows = dataset.rows("train")
    still = Augmentation(0, 0, 0, 0, 0)
    accelerator = start("cpu", "fp32")

    def changed(occlude, seed=0):
        config = BaseConfig(batch=16, occlude=occlude)
        batches = FaceBatches(dataset, rows, config, still, seed, accelerator)
        clean = FaceBatches(dataset, rows, BaseConfig(batch=16), still, seed, accelerator)
        pairs = [zip(batches.epoch(n), clean.epoch(n), strict=True) for n in range(3)]
        return torch.cat([(a[0] != b[0]).flatten(1).any(1) for pair in pairs for a, b in pair])

    assert not changed(0.0).any()
    share = changed(0.5).float().mean()
    assert 0.3 < share < 0.7
    assert changed(1.0).float().mean() > 0.95
    assert torch.equal(changed(0.5), changed(0.5)) and not torch.equal(changed(0.5), changed(0.5, seed=1))


def test_what_is_dropped_of_the_map_lies_under_what_is_covered(dataset):
    rows = dataset.rows("train")
    still = Augmentation(0, 0, 0, 0, 0)
    config = BaseConfig(batch=16, occlude=1.0, masked=0.5)
    accelerator = start("cpu", "fp32")
    (faces, _, _, dropped), *_ = FaceBatches(dataset, rows, config, still, 0, accelerator).epoch(0)
    clean = next(FaceBatches(dataset, rows, BaseConfig(batch=16), still, 0, accelerator).epoch(0))[0]
    told = dropped.flatten(1).any(1)
    assert 0.1 < told.float().mean() < 0.9
    changed = (faces != clean).any(1)
    assert not (dropped & ~changed).any()  # all that is dropped was painted
    # What is worn shades the skin about it too, by a little.
    assert (changed & ~dropped)[told].float().mean() < 0.05
    # Mirrored faces have mirrored masks.
    mirror = Augmentation(1.0, 0, 0, 0, 0)
    (turned, _, _, along), *_ = FaceBatches(dataset, rows, config, mirror, 0, accelerator).epoch(0)
    assert torch.equal(along, dropped.flip(2)) and torch.equal(turned, faces.flip(3))


def test_dropped_cells_count_as_nothing():
    model = new_base(BaseConfig("resnet18", 8, stem="fine", embedding=16), (64, 48), 3).eval()
    faces, labels = torch.rand(2, 3, 64, 48) * 255, torch.tensor([0, 2])
    dropped = torch.zeros(2, 64, 48, dtype=torch.bool)
    dropped[0, 40:] = True  # rows 48 to 64 are the fourth cell; of the third, 32 to 48, just half is under it
    with torch.no_grad():
        maps = model.net.features(faces)
        maps[0, :, 3] = 0
        wanted = model.classifier(model.net.head(maps), labels)
        assert float(model(faces, labels, 1.0, dropped)["loss"]) == pytest.approx(float(wanted), rel=1e-5)
        assert float(model(faces, labels)["loss"]) != pytest.approx(float(wanted), rel=1e-5)


def test_the_margin_grows_in_even_steps_and_then_stays(dataset):
    config = BaseConfig(batch=16, epochs=4, margin_warmup=0.5)
    batches = FaceBatches(dataset, dataset.rows("train"), config, Augmentation(), 0, start("cpu", "fp32"))
    shares = torch.stack([batch[2] for number in range(4) for batch in batches.epoch(number)])
    half = 2 * len(batches)
    assert torch.allclose(shares[:half], torch.arange(half) / half)
    assert torch.equal(shares[half:], torch.ones(half))


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


SEVERAL = """
import json, sys
from pathlib import Path
import torch
from pdsn.artefact import TrainingFolder
from pdsn.runtime import start
from pdsn.training.loop import Schedule, fit, seed_everything

accelerator = start("cpu", "fp32")
rank = accelerator.process_index

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.linear = torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1)
    def forward(self, x):
        return {"loss": self.linear(self.norm(x)).square().mean()}

class Shares:
    def __len__(self):
        return 2
    def epoch(self, number):
        for step in range(2):
            generator = torch.Generator().manual_seed(10 * number + step)
            yield (torch.randn(4, 3, generator=generator) + 5 * rank,)  # each process sees others

seed_everything(0)
net = Net()
asked = []

def validate():
    asked.append(rank)
    # The better, the more of process 1's statistics there are; later epochs of process 0 are worse.
    return {"score": float(net.norm.running_mean.mean()) * (1 if rank else -1), "rank": float(rank)}

folder = TrainingFolder(Path(sys.argv[1]), {}, {}, "pdsn x")
folder.open()
average = float(sys.argv[2])
best = fit(
    net, Shares(), validate, schedule=Schedule(3, 0.1, average=average), folder=folder, accelerator=accelerator,
    seed=0, title="x", weights=net.state_dict, load_weights=net.load_state_dict,
)
weights = {name: value.tolist() for name, value in net.state_dict().items()}
Path(sys.argv[1], f"{rank}.json").write_text(json.dumps([best, weights, asked]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("average", [0.0, 0.5])
def test_several_processes_validate_and_keep_the_main_one_s_network(tmp_path, average):
    script = tmp_path / "several.py"
    script.write_text(SEVERAL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(2):
        env = {**os.environ, "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
        env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2", "MASTER_PORT": str(port)}
        env["PYTHONPATH"] = str(Path(__file__).parent.parent)
        command = [sys.executable, str(script), str(tmp_path / "net"), str(average)]
        started.append(subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True))
    for process in started:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err[-3000:]
    main, other = (json.loads((tmp_path / f"net/{rank}.json").read_text()) for rank in range(2))
    assert main[2] == [0, 0, 0] and other[2] == [], "validated once, by the main process"
    assert main[:2] == other[:2]
    assert main[0]["rank"] == 0.0
    kept = load_tensors(tmp_path / "net/model.safetensors", "pdsn x")[0]
    assert {name: value.tolist() for name, value in kept.items()} == main[1]
    # It is the main process's own: the statistics of what it saw, which lies about 0 and not about 5.
    assert abs(float(kept["norm.running_mean"].mean())) < 1
    assert main[0]["score"] == pytest.approx(-float(kept["norm.running_mean"].mean()), abs=1e-6)


def test_one_command_at_a_time_trains_in_a_folder(dataset, tmp_path):
    with sole_use(tmp_path), pytest.raises(PdsnError, match="is being trained by another command: wait"):
        train(dataset, tmp_path, epochs=2)
    assert not (tmp_path / "metrics.jsonl").exists()
    assert train(dataset, tmp_path, epochs=2).model.is_file()  # free again


def test_a_killed_training_keeps_nobody_out(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from pdsn.files import sole_use\n"
        f"with sole_use(Path({str(tmp_path)!r})) as sole: print(sole, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True\n"
    with sole_use(tmp_path) as sole:
        assert sole
