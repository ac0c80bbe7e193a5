"""What was made before a setting existed is opened with what reproduces it, not refused.

The settings below are as version 0.1.0 wrote them down; the names in `LATER` it had not had from its start.
"""

from __future__ import annotations

import json
import typing
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pdsn.artefact import TrainingFolder, completed, done_from
from pdsn.bases.imported import import_folder
from pdsn.bases.lmcl import base_folder
from pdsn.bases.settings import BaseConfig, PretrainedConfig
from pdsn.coverage.segmenter import segmenter_folder
from pdsn.coverage.settings import SegmentConfig
from pdsn.data.dataset import FaceDataset
from pdsn.data.made import asked, fingerprint
from pdsn.data.photos import PhotoFile
from pdsn.data.settings import PrepareConfig
from pdsn.errors import UsageError
from pdsn.evaluation.settings import EvalConfig
from pdsn.masks.generators import generator_folder
from pdsn.masks.head_tuning import open_head
from pdsn.masks.matched import matching_folder
from pdsn.masks.settings import HeadConfig, MaskConfig, MatchingConfig
from pdsn.occlusion.layouts import Box, Layout
from pdsn.occlusion.settings import RegionsConfig
from pdsn.run.directory import RunDir
from pdsn.run.pooling import check_poolable
from pdsn.run.settings import Settings, before, build
from pdsn.run.tables import RunTable

BANDS = Layout("LM2", (64, 48), {"eyes": Box(24, 0, 34, 48)}, {})

STORED: dict[str, dict[str, Any]] = {
    "base": {
        "arch": "resnet18",
        "width": 8,
        "stem": "fine",
        "last_stride": 2,
        "embedding": 32,
        "dropout": 0.4,
        "scale": 30.0,
        "margin": 0.35,
        "margin_warmup": 0.0,
        "epochs": 1,
        "batch": 16,
        "lr": 0.1,
        "weight_decay": 0.0005,
        "augment": 1.0,
        "occlude": 0.0,
        "masked": 0.0,
        "balance": 0.0,
        "average": 0.0,
        "validate_every": 1,
        "init": "",
        "seed": 0,
        "size": [64, 48],
        "people": 6,
    },
    "imported": {
        "kind": "pretrained",
        "arch": "mobilefacenet",
        "code": "",
        "weights": "e3704dc6",
        "classifier": "means",
        "scale": 30.0,
        "margin": 0.35,
        "seed": 0,
        "size": [64, 48],
        "people": 6,
    },
    "generator": {
        "weight": 10.0,
        "epochs": 1,
        "batch": 16,
        "lr": 0.01,
        "intensity": -1,
        "jitter": 0.0,
        "seed": 0,
    },
    "matched": {
        "steps": 4,
        "batch": 16,
        "lr": 0.1,
        "margin": 0.2,
        "draws": 1,
        "validations": 1,
        "share": 0.5,
        "seed": 0,
    },
    "head": {
        "strategy": "matched",
        "steps": 2,
        "batch": 16,
        "lr": 0.001,
        "weight_decay": 0.0005,
        "draws": 1,
        "validations": 1,
        "share": 0.5,
        "seed": 0,
    },
    "segmenter": {
        "encoder": "resnet18",
        "height": 32,
        "steps": 2,
        "batch": 4,
        "lr": 0.001,
        "validations": 1,
        "labels": "mask",
        "init": "",
        "seed": 0,
    },
    "dictionary": {
        "regions": {"forehead": [0, 0, 24, 48], "eyes": [24, 0, 34, 48]},
        "percentile": 30.0,
        "intensity": -1,
        "jitter": 0.0,
        "seed": 0,
    },
    "table": {
        "occlusions": ["eyes"],
        "split": "test",
        "source": "segmenter",
        "align": "clean",
        "mirror": True,
        "head": True,
        "compare": "nearest",
        "unmasked": 0.0,
        "bootstrap": 200,
        "enrol": 5,
        "draws": 1,
        "split_by": "photo",
        "strategies": ["LM2", "matched", "geometric"],
        "floor": 0.57,
        "share": 0.5,
        "seed": 0,
    },
}
"""The settings of each artefact as version 0.1.0 wrote them beside it."""

IN_USE: dict[str, Any] = {
    "seed": 0,
    "split": "photo",
    "prepare": {
        "size": [64, 48],
        "align": "similarity",
        "face": "centre",
        "min_photos": 10,
        "frontal": None,
        "split_seed": 0,
        "min_face": 40,
        "template": None,
    },
    "synthetic": {"people": 6, "photos": 14, "size": [64, 48], "seed": 0},
    "base": {name: value for name, value in STORED["base"].items() if name not in ("seed", "size", "people")},
    "pretrained": {"arch": "", "weights": "", "classifier": "means"},
    "regions": {"floor": 0.57, "share": 0.5},
    "masks": {"weight": 10.0, "epochs": 1, "batch": 16, "lr": 0.01, "intensity": -1, "jitter": 0.0},
    "matching": {"steps": 4, "batch": 16, "lr": 0.1, "margin": 0.2, "draws": 1, "validations": 1},
    "dictionary": {"strategies": ["LM2", "matched"], "percentile": -1.0, "regions": "LM2", "preferred": ""},
    "head": {
        "strategy": "matched",
        "steps": 2,
        "batch": 16,
        "lr": 0.001,
        "weight_decay": 0.0005,
        "draws": 1,
        "validations": 1,
    },
    "segment": {
        "encoder": "resnet18",
        "height": 32,
        "steps": 2,
        "batch": 4,
        "lr": 0.001,
        "validations": 1,
        "labels": "mask",
        "init": "",
    },
    "eval": {
        "occlusions": ["eyes"],
        "split": "test",
        "source": "segmenter",
        "align": "clean",
        "mirror": True,
        "head": True,
        "compare": "nearest",
        "unmasked": 0.0,
        "bootstrap": 200,
        "enrol": 5,
        "draws": 1,
    },
}
"""`in_use` of run.json as version 0.1.0 wrote it."""

LATER = {
    "base": ("last_stride", "margin_warmup", "occlude", "masked", "balance", "average"),
    "imported": ("code",),
    "generator": ("jitter",),
    "matched": (),
    "head": (),
    "segmenter": (),
    "dictionary": ("jitter",),
    "table": ("align", "head", "compare", "unmasked", "enrol", "draws", "matchers"),
}
"""Settings that each artefact had not had from the start."""

OLDER = [(name, ()) for name in STORED]
OLDER += [(name, (missing,)) for name, later in LATER.items() for missing in later]
OLDER += [(name, later) for name, later in LATER.items() if len(later) > 1]


def settings_of(kind: Any, stored: dict[str, Any]) -> Any:
    """The settings of a run that was made before whatever `stored` lacks."""
    return kind(**{name: value for name, value in {**kind.BEFORE, **stored}.items() if name in known(kind)})


def known(kind: Any) -> set[str]:
    return {field.name for field in fields(kind)}


def folder_of(artefact: str, root: Path, dataset: FaceDataset) -> TrainingFolder:
    """The folder of a training as the stages open it, asked for what is stored."""
    stored, seed = STORED[artefact], 0
    if artefact == "base":
        return base_folder(root, settings_of(BaseConfig, stored), dataset, seed)
    if artefact == "imported":
        config = PretrainedConfig("mobilefacenet", "gone.npz")
        return import_folder(root, config, BaseConfig(), dataset, seed)
    if artefact == "generator":
        return generator_folder(root, settings_of(MaskConfig, stored), BANDS, "eyes", "base", seed)
    if artefact == "matched":
        return matching_folder(root, settings_of(MatchingConfig, stored), BANDS, 0.5, "base", seed)
    if artefact == "head":
        settings = Settings(seed=seed, head=settings_of(HeadConfig, stored), regions=RegionsConfig(share=0.5))
        return open_head(root, root / "none.safetensors", settings, "base")
    return segmenter_folder(root, settings_of(SegmentConfig, stored), dataset, seed, None)


@pytest.mark.parametrize(
    ("artefact", "missing"), [one for one in OLDER if one[0] not in ("dictionary", "table")]
)
def test_a_training_made_before_a_setting_existed_is_opened(dataset, tmp_path, artefact, missing):
    stored = {name: value for name, value in STORED[artefact].items() if name not in missing}
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text(json.dumps({"config": stored, "inputs": {}}))
    folder = folder_of(artefact, tmp_path, dataset)
    (tmp_path / "config.json").write_text(json.dumps({"config": stored, "inputs": folder.inputs}))
    assert folder.open() is True
    found = folder.found_config()
    assert {name: found[name] for name in STORED[artefact]} == STORED[artefact]
    # It is still told from one that was asked for otherwise.
    asked = folder.config
    for name in missing:
        folder.config = {**asked, name: "another"}
        with pytest.raises(UsageError, match=f"{name} is .* there and 'another' here"):
            folder.open()


@pytest.mark.parametrize(("artefact", "missing"), [one for one in OLDER if one[0] in ("dictionary", "table")])
def test_what_is_done_is_known_as_done(tmp_path, artefact, missing):
    defaults = {"dictionary": MaskConfig, "table": EvalConfig}[artefact].BEFORE
    asked = {**(defaults if artefact == "table" else {}), **STORED[artefact]}
    stored = {name: value for name, value in STORED[artefact].items() if name not in missing}
    path = tmp_path / "about.json"
    path.write_text(json.dumps({"config": stored, "inputs": {"base": "b"}, "kept": 0.7}))
    found = done_from(path, asked, {"base": "b"}, defaults)
    assert found is not None and found["kept"] == 0.7 and found["config"] == asked
    for name in missing:
        assert done_from(path, {**asked, name: "another"}, {"base": "b"}, defaults) is None
    assert done_from(path, asked, {"base": "another"}, defaults) is None


def test_whoever_adds_a_setting_says_what_older_runs_have():
    for section, kind in typing.get_type_hints(Settings).items():
        if is_dataclass(kind):
            unsaid = known(kind) - set(IN_USE.get(section, ())) - set(kind.BEFORE)
            assert not unsaid, (
                f"add {unsaid} to {kind.__name__}.BEFORE: what reproduces a run made without it?"
            )
            assert set(kind.BEFORE) <= known(kind)
            build({section: kind.BEFORE})  # they can be set
    assert known(Settings) - set(IN_USE) <= set(Settings.BEFORE)
    assert set(Settings.BEFORE) <= known(Settings)


def test_a_run_keeps_what_it_was_made_with_whatever_the_default_is_now(tmp_path, monkeypatch):
    monkeypatch.setitem(MaskConfig.BEFORE, "jitter", 0.25)  # as if the default had become another
    made = {**IN_USE, "masks": {name: value for name, value in IN_USE["masks"].items() if name != "jitter"}}
    del made["head"]
    run = RunDir(tmp_path / "run")
    run.remember({}, preset="demo", preset_settings={"masks": {"epochs": 5}}, in_use=made)
    opened = RunDir.open(run.root)
    said = opened.preset_settings("demo")
    assert said["masks"] == {"epochs": 5, "jitter": 0.25, "shared": False, "patience": 0}
    assert said["base"] == {"kind": "lmcl", "optimizer": "sgd"}, "what the run had, it has"
    # A run without the copy of its preset takes today's, which may say more than it did then.
    del opened.about["preset_settings"]
    assert opened.preset_settings("lfw10")["masks"]["jitter"] == 0.25
    assert before(IN_USE).get("masks", {}).get("jitter") is None


def test_runs_of_before_and_after_a_setting_can_be_pooled(tmp_path):
    def table(name: str, seed: int, in_use: dict[str, Any], config: dict[str, Any]) -> RunTable:
        made = {"config": {**config, "seed": seed}, "inputs": {"data set": "d"}}
        return RunTable(tmp_path / name, {"in_use": in_use}, made, {}, {}, [], [])

    old = json.loads(json.dumps(IN_USE))
    del old["masks"]["jitter"], old["base"]["average"], old["split"]
    plain = {name: value for name, value in STORED["table"].items() if name != "unmasked"}
    new = table("new", 1, {**IN_USE, "masks": {**MaskConfig.BEFORE, **IN_USE["masks"]}}, STORED["table"])
    check_poolable([table("old", 0, old, plain), new])
    old["base"]["width"] = 9
    with pytest.raises(UsageError, match=r"base\.width is 8 in .*new and 9 in"):
        check_poolable([table("old", 0, old, plain), new])


@dataclass(frozen=True)
class _LaterPrepare(PrepareConfig):
    BEFORE: ClassVar[dict[str, object]] = {**PrepareConfig.BEFORE, "sharpen": False}
    sharpen: bool = True


def test_a_data_set_made_before_a_setting_existed_is_the_one_asked_for():
    listed = [PhotoFile("Ann", "Ann/1.jpg", 1000, 5)]
    # As version 0.1.0 wrote it into dataset.json.
    request = "d1236f985b4376945e906756f25867d97ee9c57dd3a88d0567a6867210b50541"
    method = "MTCNN of facenet-pytorch 2.5.3, method 1"
    assert fingerprint(asked(settings_of(PrepareConfig, {})), listed, method) == request
    assert fingerprint(asked(_LaterPrepare(detector="mtcnn", sharpen=False)), listed, method) == request
    assert fingerprint(asked(_LaterPrepare()), listed, method) != request


def test_only_settings_of_today_are_added():
    defaults = {"points": (1, 2), "gone": 0}
    assert completed({"a": 1}, {"a": 2, "points": None}, defaults) == {"a": 1, "points": [1, 2]}
    assert completed({"points": 3}, {"points": None}, defaults) == {"points": 3}
