import pytest

from pdsn.errors import UsageError
from pdsn.networks.imported.architecture import Architecture
from pdsn.networks.imported.net import PretrainedNet
from pdsn.networks.imported.table import ARCHITECTURES, find_architecture
from tests.networks.imported.tiny import SOURCE, Tiny


def test_the_six_recognisers_see_what_they_were_trained_on():
    assert list(ARCHITECTURES) == [
        "mobilefacenet",
        "iresnet18",
        "iresnet34",
        "iresnet50",
        "iresnet100",
        "inception_resnet_v1",
    ]
    seen = {name: (a.size, a.mean[0], a.std[0], a.bgr, a.align) for name, a in ARCHITECTURES.items()}
    assert seen["mobilefacenet"] == ((112, 96), 127.5, 128.0, False, "similarity")
    assert seen["iresnet100"] == ((112, 112), 127.5, 127.5, False, "similarity")
    assert seen["inception_resnet_v1"] == ((160, 160), 127.5, 128.0, False, "box")
    wide, narrow = ARCHITECTURES["iresnet18"].landmarks, ARCHITECTURES["mobilefacenet"].landmarks
    # One template: the wide crop shows 8 pixels more on either side.
    assert [(round(x - 8, 4), y) for x, y in wide] == list(narrow)
    assert ARCHITECTURES["inception_resnet_v1"].landmarks is None
    assert set(ARCHITECTURES["inception_resnet_v1"].downloads) == {"vggface2", "casia-webface"}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "an architecture's name ''"),
        ("build", None, "build is None: it must be a function"),
        ("size", (112,), r"size is \(112,\): it must be \(height, width\), whole numbers from 32 to 512"),
        ("size", (16, 112), "size is"),
        ("size", (64.5, 64), "size is"),
        ("mean", (0.5, 0.5), "mean is .* three numbers from 0 to 255"),
        ("mean", (0, 0, float("nan")), "mean is"),
        ("std", (1, 1, 0), r"std is \(1, 1, 0\): it must be three numbers above 0"),
        ("bgr", 1, "bgr is 1: it must be True or False"),
        ("align", "affine", "align is 'affine': it must be similarity or box"),
        ("landmarks", ((1, 2),) * 4, "landmarks is .* five"),
        ("landmarks", ((30, 50), (66, 50), (48, 70), (33, 92), (62, 200)), "64 high and 64 wide"),
        ("landmarks", ((40, 20), (20, 20), (32, 30), (40, 50), (20, 50)), "left before right"),
        ("rename", "x", "rename is"),
        ("downloads", {"vggface2": "https://"}, "downloads is"),
    ],
)
def test_a_wrong_field_is_named(field, value, message):
    good = {"name": "own", "build": Tiny, "size": (64, 64)}
    Architecture(**good)
    with pytest.raises(UsageError, match=message) as caught:
        Architecture(**{**good, field: value})
    assert "\n" not in str(caught.value)


def test_landmarks_have_no_meaning_for_a_box():
    points = ((20, 20), (40, 20), (30, 30), (20, 40), (40, 40))
    assert Architecture("own", Tiny, (64, 64), landmarks=points).landmarks == points
    with pytest.raises(UsageError, match="landmarks is .* must be None where align is box"):
        Architecture("own", Tiny, (64, 64), align="box", landmarks=points)


def test_an_unknown_name_lists_the_choices():
    with pytest.raises(UsageError) as caught:
        find_architecture("foo")
    assert str(caught.value) == (
        "[pretrained] arch = foo is unknown: choose from mobilefacenet, iresnet18, iresnet34, iresnet50, iresnet100, "
        "inception_resnet_v1, timm:NAME, a FILE.onnx or a FILE.py that defines `architecture`"
    )


def test_a_file_of_ones_own_is_found_and_built(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(SOURCE)
    found = find_architecture(str(path))
    assert (found.name, found.size, found.bgr) == ("tiny", (64, 48), True)
    assert PretrainedNet(found).map_shape == (4, 8, 6)


@pytest.mark.parametrize("place", ["pdsn.api", "pdsn.models.pretrained.architecture"])
def test_a_file_imports_architecture_from_the_api_or_from_where_it_was(tmp_path, place):
    path = tmp_path / "own.py"
    path.write_text(SOURCE.replace("pdsn.networks.imported.architecture", place))
    assert place in path.read_text()
    assert find_architecture(str(path)).name == "tiny"


def test_a_dataclass_in_the_file_works(tmp_path):
    # With postponed annotations it looks for its module in sys.modules.
    head = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    path = tmp_path / "own.py"
    path.write_text(f"{head}{SOURCE}\n@dataclass\nclass Settings:\n    width: int = 4\n")
    assert find_architecture(str(path)).name == "tiny"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\n", "own.py defines no `architecture`"),
        ("architecture = 3\n", "own.py: `architecture` is a int, not an Architecture"),
        ("\n\nraise ValueError('bad\\nnews')\n", "own.py fails in line 3: ValueError: bad$"),
        ("def broken(:\n", r"own.py fails: SyntaxError: .*line 1"),
        ("import no_such_module\n", "own.py fails in line 1: ModuleNotFoundError: No module named"),
        ("raise SystemExit(0)\n", "own.py fails in line 1: SystemExit: 0"),
        (SOURCE.replace("(64, 48)", "(64, 8)"), r"own.py: architecture tiny: size is \(64, 8\)"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path, monkeypatch, source, message):
    path = tmp_path / "own.py"
    path.write_text(source)
    monkeypatch.chdir(tmp_path)
    for given in (str(path), "own.py"):
        with pytest.raises(UsageError, match=message) as caught:
            find_architecture(given)
        assert str(caught.value).startswith(f"[pretrained] arch = {given}") and "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"none.py: there is no such file"):
        find_architecture(str(tmp_path / "none.py"))
