import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pdsn.errors import PdsnError
from pdsn.networks.imported.architecture import Architecture
from pdsn.networks.imported.net import PretrainedNet
from pdsn.networks.imported.table import find_architecture
from pdsn.networks.imported.weights import load_weights, read_weights
from tests.networks.imported.tiny import SOURCE
from tests.networks.imported.tiny import architecture as TINY


def tiny(seed: int, architecture: Architecture = TINY) -> PretrainedNet:
    torch.manual_seed(seed)
    net = PretrainedNet(architecture)
    net.network.trunk[1].running_mean.uniform_(-1, 1)
    return net.eval()


def published(net: PretrainedNet) -> dict[str, torch.Tensor]:
    """Its weights as its author names them: the last layer is `fc`."""
    return {name.replace("neck.", "fc."): value.clone() for name, value in net.network.state_dict().items()}


def write(path, weights) -> None:
    if path.suffix == ".safetensors":
        save_file(weights, path)
    elif path.suffix == ".npz":
        np.savez(path, **{name: value.numpy() for name, value in weights.items()})
    else:
        torch.save(weights, path)


@pytest.fixture
def faces():
    return torch.randint(
        0, 256, (3, 3, 64, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


@pytest.mark.parametrize("name", ["a.safetensors", "a.npz", "a.pth", "a.pt", "a.ckpt", "a.PTH"])
def test_weights_come_back_whole_from_every_kind_of_file(tmp_path, faces, name):
    own = tmp_path / "own.py"
    own.write_text(SOURCE)
    architecture = find_architecture(str(own))
    first, second = tiny(0, architecture), tiny(1, architecture)
    assert not torch.allclose(first(faces), second(faces))
    write(tmp_path / name, published(first))
    found = read_weights(tmp_path / name)
    assert found["trunk.1.num_batches_tracked"].shape == ()
    load_weights(second, architecture, found, name)
    assert torch.equal(first(faces), second(faces))


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "net_state_dict", "net"])
def test_a_checkpoint_of_a_parallel_training_is_unwrapped(tmp_path, wrapper):
    weights = {f"module.{name}": value for name, value in published(tiny(0)).items()}
    torch.save({"epoch": 3, wrapper: weights, "optimizer": {"lr": 0.1}}, tmp_path / "a.ckpt")
    found = read_weights(tmp_path / "a.ckpt")
    assert found.keys() == published(tiny(0)).keys()


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "backbone.", "_orig_mod.module.", "model.backbone."]
)
def test_what_training_code_puts_around_a_network_is_taken_off(faces, prefix):
    first, second = tiny(0), tiny(1)
    weights = {prefix + name: value for name, value in published(first).items()}
    # Beside the network the classifier of its training, as checkpoints of Lightning have it.
    weights |= {"head.weight": torch.ones(9, 7), "loss.margin": torch.ones(1)}
    load_weights(second, TINY, weights, "last.ckpt")
    assert torch.equal(first(faces), second(faces))


def test_a_classifier_beside_the_network_is_left_out_but_nothing_else_is(faces):
    first, second = tiny(0), tiny(1)
    load_weights(second, TINY, {**published(first), "classifier.weight": torch.ones(9, 7)}, "a.pth")
    assert torch.equal(first(faces), second(faces))
    with pytest.raises(PdsnError, match="1 tensor is not expected \\(adapter.weight\\)"):
        load_weights(second, TINY, {**published(first), "adapter.weight": torch.ones(2)}, "a.pth")


def test_a_prefixed_network_that_is_not_whole_is_refused_by_the_names_as_they_are():
    weights = {f"backbone.{name}": value for name, value in published(tiny(0)).items()}
    del weights["backbone.trunk.0.bias"]
    with pytest.raises(PdsnError, match="tensors are missing"):
        load_weights(tiny(1), TINY, weights, "a.pth")


def test_a_prefix_of_some_names_only_stays(tmp_path):
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "a.pt")
    assert list(read_weights(tmp_path / "a.pt")) == ["module.a", "b"]


def test_arrays_of_the_other_byte_order_are_read(tmp_path):
    np.savez(tmp_path / "a.npz", big=np.array([1.5, -2.0], dtype=">f4"), note=np.array("by hand"))
    found = read_weights(tmp_path / "a.npz")
    assert found.keys() == {"big"} and found["big"].tolist() == [1.5, -2.0]


class Code:
    """What unpickling would run."""

    def __reduce__(self):
        return (pytest.fail, ("the file's code ran",))


def test_files_that_cannot_be_read(tmp_path):
    def refused(name: str, content: bytes | None, message: str) -> None:
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(PdsnError, match=message) as caught:
            read_weights(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)

    refused("a.safetensors", None, "is missing")
    refused("a.h5", b"", r"files that end in \.safetensors, \.npz, \.pth, \.pt, \.ckpt, \.onnx$")
    for name in ("b.safetensors", "b.npz", "b.pth", "b.ckpt"):
        refused(name, b"no weights at all", "is damaged")
        refused(name, b"", "is damaged")
        good = tmp_path / f"good{(tmp_path / name).suffix}"
        write(good, published(tiny(0)))
        refused(name, good.read_bytes()[: good.stat().st_size // 2], "is damaged")
    code = "holds more than tensors and would run code: convert it to safetensors$"
    refused("c.pth", pickle.dumps({"a": Code()}), code)
    for zipped in (True, False):
        torch.save(
            {"a": torch.ones(1), "b": Code()}, tmp_path / "d.pt", _use_new_zipfile_serialization=zipped
        )
        refused("d.pt", None, code)
    np.savez(tmp_path / "e.npz", a=np.array([Code()], dtype=object))
    refused("e.npz", None, code)
    for empty in ({}, {"epoch": 3}, {"state_dict": {"lr": 0.1}}, [torch.ones(1)], torch.ones(1)):
        torch.save(empty, tmp_path / "f.pt")
        refused("f.pt", None, "holds no tensors by name")
    np.savez(tmp_path / "g.npz", note=np.array("nothing"))
    refused("g.npz", None, "holds no tensors by name")


def without(*names):
    return lambda weights: [weights.pop(name) for name in names]


def more(**added):
    return lambda weights: weights.update({name.replace("__", "."): value for name, value in added.items()})


UNFIT = "a.npz does not fit tiny: "


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("trunk.0.bias"), UNFIT + "1 tensor is missing (trunk.0.bias)"),
        (
            without("trunk.0.bias", "trunk.0.weight", "fc.weight", "fc.bias"),
            UNFIT + "4 tensors are missing (trunk.0.weight, trunk.0.bias, neck.weight, …)",
        ),
        (more(other__weight=torch.ones(2)), UNFIT + "1 tensor is not expected (other.weight)"),
        (
            more(fc__weight=torch.ones(5, 7)),
            UNFIT + "1 tensor is of another shape (neck.weight is (5, 7), the network's is (5, 192))",
        ),
        (
            lambda weights: weights.update(other=weights.pop("fc.bias")),
            UNFIT + "1 tensor is missing (neck.bias); 1 tensor is not expected (other)",
        ),
        (
            more(fc__bias=torch.ones(5, dtype=torch.int8)),
            UNFIT + "1 tensor is not floating-point (neck.bias)",
        ),
        (
            more(fc__bias=torch.tensor([0, 0, float("nan"), 0, 0])),
            "a.npz is damaged: 1 tensor is not finite (NaN or infinity) (neck.bias)",
        ),
        (
            more(fc__bias=torch.full((5,), 1e300, dtype=torch.float64)),
            "a.npz is damaged: 1 tensor is not finite (NaN or infinity) (neck.bias)",
        ),
    ],
)
def test_weights_that_do_not_fit_change_nothing(change, message):
    net = tiny(1)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    weights = published(tiny(0))
    change(weights)
    with pytest.raises(PdsnError) as caught:
        load_weights(net, TINY, weights, "a.npz")
    assert str(caught.value) == message
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_rename_that_fails_is_named():
    def rename(weights):
        raise KeyError("fc")

    with pytest.raises(PdsnError, match=r"a.npz does not fit tiny: rename fails: KeyError: 'fc'"):
        load_weights(tiny(0), replace(TINY, rename=rename), {}, "a.npz")


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_other_precisions_are_converted_and_counters_may_be_absent(faces, dtype):
    first, second = tiny(0), tiny(1)
    weights = published(first)
    del weights["trunk.1.num_batches_tracked"]
    load_weights(second, TINY, {name: value.to(dtype) for name, value in weights.items()}, "a.npz")
    assert {value.dtype for value in second.parameters()} == {torch.float32}
    torch.testing.assert_close(first(faces), second(faces), rtol=1e-2, atol=0.2)
