"""What is asked of `explain` with a run: names of photos and methods become faces and an explanation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import torch

from pdsn.artefact import MODEL
from pdsn.config.setting import SettingError
from pdsn.errors import PdsnError, UsageError, one_of
from pdsn.explain.attribution import MAP
from pdsn.explain.explanation import Explainer, check_methods
from pdsn.explain.names import METHODS
from pdsn.explain.photos import (
    PhotoExplanation,
    Verify,
    entry_photo,
    explain_person,
    explain_photos,
    nearest_photo,
)
from pdsn.masks.strategy import NO_FDM
from pdsn.matchers.cosine import Cosine
from pdsn.matchers.table import MATCHERS, SIGN
from pdsn.matchers.xcos import XCosMatcher
from pdsn.occlusion.layouts import LAYOUTS
from pdsn.people.gallery import Gallery
from pdsn.people.photo import Cover, SearchedPhoto, check_photo

if TYPE_CHECKING:
    from pdsn.occlusion.occluder import Occluder
    from pdsn.run.workspace import Workspace


@dataclass(frozen=True)
class Asked:
    """What is asked.

    Attributes:
        probe: a photo, or an entry of the run's data set by its name there.
        reference: another one; None compares with `person`, or with the nearest photo of the run's people.
        person: one of the run's people, whose mean it is compared with.
        methods: some of `explanation.METHODS`; none for all that the run can.
        layer: of the base, for gradcam and layercam.
        layout: the regions that contributions are told for.
        occlusion: what is painted on the probe, an entry of the data set; "" for nothing.
        searched: photos without a file, whose faces were found before, by the names that `probe` and `reference` give them.
    """

    probe: str
    reference: str | None = None
    person: str | None = None
    methods: Sequence[str] = ()
    layer: str = MAP
    layout: str = "LM2"
    occlusion: str = ""
    searched: Mapping[str, SearchedPhoto] = field(default_factory=dict)


def explainer_of(
    workspace: Workspace,
    strategy: str,
    layer: str = MAP,
    layout: str = "LM2",
    methods: Sequence[str] = (),
) -> Explainer:
    """The methods that a run can explain by, for no FDM and a strategy.

    Args:
        workspace, strategy: see `explain`.
        layer, layout, methods: see `Asked`: xCos is opened where it may be needed alone, and where nobody asks for it one that
            belongs to another base is left out.

    Raises:
        UsageError: the strategy is another matcher, or there is no such layout.
        PdsnError: something that is needed is missing.
    """
    check_strategy(strategy)
    matchers: dict[str, Cosine] = {}
    for name in dict.fromkeys((NO_FDM, strategy)):
        matcher = workspace.matcher(name)
        assert isinstance(matcher, Cosine)
        matchers[name] = matcher
    mean = torch.from_numpy(workspace.example_face()).permute(2, 0, 1)
    return Explainer(matchers, workspace.layout(layout), mean, layer, _xcos(workspace, methods))


def explain(
    workspace: Workspace,
    strategy: str,
    asked: Asked,
    cover: Cover,
    search: Callable[[str], SearchedPhoto],
    verify: dict[str, Verify],
    enrolled: Callable[[], Gallery],
) -> PhotoExplanation:
    """Answer what is asked.

    Args:
        workspace: the run.
        strategy: beside no FDM; "none" for no FDM alone.
        asked: what is asked.
        cover: finds the covered pixels.
        search: finds the faces of a photo.
        verify: the verdicts of no FDM and of the strategy, by name.
        enrolled: gives the run's own people.

    Raises:
        UsageError: a name is unknown, or two things exclude each other.
        PhotoError: a photo cannot be read, or shows no face.
    """
    explainer = explainer_of(workspace, strategy, asked.layer, asked.layout, asked.methods)
    methods = check_methods(asked.methods, explainer.methods, quote(str(workspace.run.root)))
    probe = _photo(workspace, asked, asked.probe, asked.occlusion, search)
    if asked.person is not None:
        return explain_person(explainer, cover, probe, enrolled(), asked.person, methods)
    if asked.reference is None:
        other = nearest_photo(explainer, cover, probe, enrolled())
    else:
        other = _photo(workspace, asked, asked.reference, "", search)
    return explain_photos(explainer, cover, (probe, other), methods, verify)


def check_asked(asked: Asked) -> None:
    """Raise UsageError where what is asked cannot be, as far as that is told without opening anything."""
    if asked.reference is not None and asked.person is not None:
        raise UsageError(
            f"--person {asked.person} and the photo {asked.reference} exclude each other: leave one out"
        )
    if asked.occlusion and (asked.probe in asked.searched or Path(asked.probe).is_file()):
        raise UsageError(
            f"--occlusion {asked.occlusion} is painted on entries of the data set, and {asked.probe} is a photo: leave it out"
        )
    check_methods(asked.methods, METHODS, "")
    one_of("--layout", asked.layout, tuple(LAYOUTS))
    _check_occlusion(asked.occlusion)


def check_strategy(name: str) -> None:
    """Raise UsageError where a strategy is another matcher, or two of them, A+B."""
    if SIGN in name or (name in MATCHERS and name not in ("cosine", "fdm")):
        raise UsageError(f"--strategy {name} has no gradient to show: give none, or one with a dictionary")


def check_photos(workspace: Workspace, asked: Asked) -> None:
    """Raise where a name is neither a photo nor an entry of the data set; opens no network."""
    for name in (asked.probe, asked.reference):
        if name is not None and _is_photo(workspace, name):
            check_photo(Path(name))


def _photo(
    workspace: Workspace, asked: Asked, name: str, occlusion: str, search: Callable[[str], SearchedPhoto]
) -> SearchedPhoto:
    """A photo that was searched before, or by its path, else an entry of the data set by its name there."""
    if name in asked.searched:
        return asked.searched[name]
    if _is_photo(workspace, name):
        return search(name)
    data = workspace.dataset
    return entry_photo(data, name, _occluder(workspace, occlusion), occlusion, workspace.settings.seed)


def _xcos(workspace: Workspace, methods: Sequence[str]) -> XCosMatcher | None:
    """The run's xCos, where it has one and it may be needed."""
    if (methods and "xcos" not in methods) or not (workspace.run.matcher("xcos") / MODEL).is_file():
        return None
    try:
        found = workspace.matcher("xcos")
    except PdsnError:
        if methods:
            raise
        return None
    assert isinstance(found, XCosMatcher)
    return found


def _is_photo(workspace: Workspace, name: str) -> bool:
    """Whether a name is that of a file, and not of an entry of the data set.

    Raises:
        UsageError: it is neither.
    """
    if Path(name).exists():
        return True
    data = workspace.dataset
    if name not in data.files:
        raise UsageError(
            f"{name} is no photo, and no entry of {data.root} either: give a file, or a name such as {data.files[0]}"
        )
    return False


def _check_occlusion(name: str) -> None:
    """Raise UsageError unless a name is that of one occlusion, or ""; the option is named, whatever the run remembers."""
    from pdsn.occlusion.occluders import check_occlusions

    if name == "all":
        raise UsageError("--occlusion all is for --evaluate: one is painted on a probe")
    try:
        check_occlusions((name,) if name else ())
    except SettingError as error:
        raise UsageError(error.line("--occlusion")) from None


def _occluder(workspace: Workspace, name: str) -> Occluder | None:
    from pdsn.occlusion.occluders import find_occluder

    if not name:
        return None
    return find_occluder(name, workspace.statistics, workspace.settings.regions.floor, "test")
