"""Every base keeps the contract: it is made, comes back as it was, and stays as it is while masks are learned."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from pdsn.bases.encoder import Encoder
from pdsn.bases.table import BASES
from pdsn.errors import UsageError
from pdsn.plugin import find_plugin
from stages.session import Session, Shared
from tests.conftest import SIZE, make_dataset
from tests.networks.imported.tiny import SOURCE

SETTINGS = """
[base]
arch = "resnet18"
width = 8
embedding = 16
epochs = 3
batch = 16
validate_every = 1
[arcface]
width = 8
stem_stride = 2
[senet]
side = 32
photos = 2
pair_epochs = 2
[masks]
epochs = 1
batch = 16
"""
IMPORTED = "imported"
TRAINED = [pytest.param(name, marks=pytest.mark.slow) if name == "senet" else name for name in BASES]
"""SENet50 has one size only, and takes half a minute here."""
KINDS = [*TRAINED, IMPORTED]


def session_of(folder: Path, kind: str, run: str = "run", *, force: bool = False, **base: object) -> Session:
    """A run with a base of a kind, made or to be made."""
    options = {"base": {"kind": kind, **base}} if kind != IMPORTED else {
        "pretrained": {"arch": str(folder / "tiny.py"), "weights": str(folder / "tiny.safetensors")}
    }  # fmt: skip
    shared = Shared(folder / run, data=str(folder / "data"), config=folder / "settings.toml", device="cpu")
    return Session(shared, options, force=force)


def make(session: Session) -> None:
    """Train or import the base."""
    from stages import base_import, base_train

    (base_import if session.settings.pretrained.arch else base_train).main(session)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces, settings, and a tiny recogniser that was trained elsewhere."""
    from safetensors.torch import save_file

    from tests.networks.imported.tiny import Tiny

    folder = tmp_path_factory.mktemp("bases")
    make_dataset(folder / "data", people=5, photos=10, size=SIZE)
    (folder / "settings.toml").write_text(SETTINGS)
    (folder / "tiny.py").write_text(SOURCE)
    torch.manual_seed(0)
    save_file(
        {name.replace("neck.", "fc."): value for name, value in Tiny().state_dict().items()},
        folder / "tiny.safetensors",
    )
    return folder


@pytest.fixture(scope="session", params=KINDS)
def made(request: pytest.FixtureRequest, prepared: Path) -> tuple[Path, str]:
    """A folder with a run that has a base of the kind; tests do not change it."""
    make(session_of(prepared, request.param, f"run-{request.param}"))
    return prepared, request.param


def test_its_plugin_says_what_it_is(made):
    _, kind = made
    if kind != IMPORTED:
        plugin = find_plugin(BASES, kind, "--base")
        assert plugin.name == kind and plugin.help and plugin.train is not None


def test_it_comes_back_as_it_was_and_has_the_shapes_that_it_declares(made):
    folder, kind = made
    session = session_of(folder, kind, f"run-{kind}")
    (model, name), (again, same) = session.base(), session.base()
    faces = session.dataset.tensor(range(4))
    found = [Encoder(net.net, session.accelerator) for net in (model, again)]
    maps, embeddings = found[0].maps(faces), found[0].embed_faces(faces)
    assert tuple(maps.shape) == (4, *model.net.map_shape) and model.net.size == session.dataset.size
    assert tuple(embeddings.shape) == (4, model.net.embedding)
    assert torch.isfinite(embeddings).all() and embeddings.std(0).max() > 0
    assert name == same and torch.equal(embeddings, found[1].embed_faces(faces))
    assert model.classifier.weight.shape == (len(session.training.people), model.net.embedding)


def test_its_head_works_on_masked_maps(made):
    folder, kind = made
    session = session_of(folder, kind, f"run-{kind}")
    model, _ = session.base()
    encoder = Encoder(model.net, session.accelerator)
    maps = encoder.maps(session.dataset.tensor(range(4)))
    fdm = torch.ones(model.net.map_shape)
    assert torch.equal(encoder.embed(maps, fdm), encoder.embed(maps))
    fdm[:, 0] = 0
    assert not torch.equal(encoder.embed(maps, fdm), encoder.embed(maps))


def test_a_second_call_trains_nothing(made, capsys):
    folder, kind = made
    run = folder / f"run-{kind}"
    before = (run / "base" / "model.safetensors").stat().st_mtime_ns
    make(session_of(folder, kind, run.name))
    assert "already" in capsys.readouterr().out
    assert (run / "base" / "model.safetensors").stat().st_mtime_ns == before


def test_it_is_frozen_while_masks_are_learned(made, tmp_path):
    from stages import build_dictionary, mask_train

    folder, kind = made
    shutil.copytree(folder / f"run-{kind}", folder / f"masks-{kind}")
    session = session_of(folder, kind, f"masks-{kind}")
    before = (session.run.base / "model.safetensors").read_bytes()
    mask_train.main(session, ["LM2"])
    build_dictionary.main(session, ["LM2"])
    assert (session.run.base / "model.safetensors").read_bytes() == before
    assert session.dictionary("LM2", session.base_folder.sha256()).binary.any()


@pytest.mark.slow
def test_it_can_be_written_as_onnx_and_answers_there_as_here(made, tmp_path):
    from pdsn.deploy.onnx import TOLERANCE, largest_difference, parts_of, write_part

    folder, kind = made
    session = session_of(folder, kind, f"run-{kind}")
    model, _ = session.base()
    faces = session.dataset.tensor(range(3)).float()
    trunk, head = parts_of(model.net, None, session.dataset.size)
    for part, inputs in ((trunk, faces), (head, trunk.network(faces).detach())):
        assert largest_difference(part, write_part(part, tmp_path), inputs) <= TOLERANCE


@pytest.mark.parametrize("kind", TRAINED)
def test_a_training_that_was_killed_ends_with_the_same_weights(prepared, kind, monkeypatch):
    import pdsn.training.loop as loop

    session = session_of(prepared, kind, f"killed-{kind}")
    kept = loop.TrainingFolder.save_state

    def killed(self, state):
        kept(self, state)
        if state["epoch"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop.TrainingFolder, "save_state", killed)
    with pytest.raises(KeyboardInterrupt):
        make(session)
    monkeypatch.setattr(loop.TrainingFolder, "save_state", kept)
    make(session_of(prepared, kind, f"killed-{kind}"))
    whole = session_of(prepared, kind, f"whole-{kind}")
    make(whole)
    weights = [session_of(prepared, kind, f"{run}-{kind}").base_folder.load() for run in ("killed", "whole")]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize("kind", TRAINED)
def test_other_settings_and_another_base_are_refused(prepared, kind):
    make(session_of(prepared, kind, f"other-{kind}"))
    with pytest.raises(UsageError, match="epochs"):
        make(session_of(prepared, kind, f"other-{kind}", epochs=4))
    another = next(name for name in BASES if name != kind)
    with pytest.raises(
        UsageError, match=f"kind is '{kind}' there and '{another}' here.* choose another --run"
    ):
        make(session_of(prepared, another, f"other-{kind}"))
    make(session_of(prepared, another, f"{another}-in-another-run"))
