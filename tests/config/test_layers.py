import pytest

from pdsn.config.layers import load_preset, merge, presets
from pdsn.errors import UsageError
from pdsn.run.settings import Settings, build, load_file


def test_every_preset_is_valid_and_those_of_the_readme_are_there():
    assert set(presets()) == {
        "baselines", "demo", "johnston", "lfw10", "lfw10-clean", "lfw10-gpu", "pretrained",
    }  # fmt: skip
    for name in presets():
        assert isinstance(build(load_preset(name)), Settings)


def test_johnston_has_the_papers_settings():
    settings = build(load_preset("johnston"))
    assert settings.prepare.align == "box" and settings.prepare.size == (128, 96)
    assert settings.regions.floor == 0
    assert settings.base.arch == "resnet34" and settings.base.width == 64 and settings.base.init == ""


def test_later_layers_win_value_by_value():
    merged = merge({"base": {"epochs": 1, "lr": 0.5}}, {"seed": 3}, {"base": {"epochs": 9}})
    settings = build(merged)
    assert (settings.base.epochs, settings.base.lr, settings.seed) == (9, 0.5, 3)
    assert settings.base.batch == Settings().base.batch


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[base\n", "is not valid TOML"),
        ("split = 'face'\n", "split = face is unknown: choose from photo, person"),
        ("[eval]\ndraws = 101\n", r"\[eval\] draws = 101 is out of range: from 1 to 100"),
        ("[eval]\nenrol = 0\n", r"\[eval\] enrol = 0 is out of range"),
        ("[base]\nepoch = 3\n", r"unknown setting epoch in \[base\] \(is epochs meant\?\): there are arch"),
        (
            "colour = 1\n",
            "unknown setting colour at the top: there are seed, split; others stand in a section",
        ),
        ("speed = 1\n", r"unknown setting speed at the top \(is seed meant\?\)"),
        (
            "[segments]\nsteps = 1\n",
            r"unknown section \[segments\] \(is segment meant\?\): there are prepare, .*, xcos",
        ),
        ("[siames]\nmargin = 1\n", r"unknown section \[siames\] \(is siamese meant\?\)"),
        ("[colour]\nred = 1\n", r"unknown section \[colour\]: there are prepare, .*, siamese"),
        ('[base]\nepochs = "many"\n', r"\[base\] epochs = 'many' must be a whole number"),
        ("[base]\nepochs = true\n", r"\[base\] epochs = True must be a whole number"),
        ("base = 3\n", r"base must be a section, \[base\]"),
        ("[base]\nlr = -1.0\n", r"\[base\] lr = -1.0 is out of range"),
        ("[base]\nlr = nan\n", r"\[base\] lr = nan is out of range"),
        ("[dictionary]\nstrategies = 'LM2'\n", r"\[dictionary\] strategies = 'LM2' must be a list"),
        (
            "[eval]\nsource = 'psychic'\n",
            r"\[eval\] source = psychic is unknown: choose from segmenter, oracle",
        ),
    ],
)
def test_bad_files_say_what_is_wrong_and_where(tmp_path, text, said):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=said) as error:
        load_file(path)
    assert str(path) in str(error.value)
    assert error.value.exit_code == 2


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.toml cannot be read: No such file"):
        load_file(tmp_path / "nowhere.toml")


def test_an_unknown_preset_lists_those_that_exist():
    with pytest.raises(
        UsageError, match="choose from baselines, demo, johnston, lfw10, lfw10-clean, lfw10-gpu, pretrained"
    ):
        load_preset("best")


def test_whole_numbers_serve_where_numbers_are_asked_for():
    assert build({"base": {"lr": 1}, "prepare": {"frontal": 1, "size": [64, 64]}}).base.lr == 1.0


def test_a_table_without_rows_is_refused():
    with pytest.raises(UsageError, match=r"\[eval\] occlusions = \[\] is empty"):
        build({"eval": {"occlusions": []}})
