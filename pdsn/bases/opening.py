"""Which base a run has, where it lies, and how it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pdsn.artefact import TrainingFolder
from pdsn.bases.imported import build_imported, import_folder, is_imported
from pdsn.bases.table import BASES
from pdsn.bases.trained import trained_folder
from pdsn.data.dataset import FaceDataset
from pdsn.networks.network import BaseModel
from pdsn.plugin import Plugin, find_plugin

if TYPE_CHECKING:
    from pdsn.run.settings import Settings


def base_plugin(settings: Settings) -> Plugin:
    """The base that is trained with these settings.

    Raises:
        UsageError: there is none of that name.
    """
    return find_plugin(BASES, settings.base.kind, "--base")


def open_base(root: Path, settings: Settings, dataset: FaceDataset) -> TrainingFolder:
    """The folder of a run's base for these settings and this data set, whether it is trained or imported."""
    if settings.pretrained.arch:
        return import_folder(root, settings.pretrained, settings.base, dataset, settings.seed)
    plugin = base_plugin(settings)
    return trained_folder(root, settings.base, plugin, settings.of(plugin), dataset, settings.seed)


def load_base(folder: TrainingFolder) -> BaseModel:
    """The finished base of a folder, trained or imported, on the CPU, built from the settings beside it.

    Raises:
        PdsnError: it is missing, damaged, or belongs to another data set.
    """
    weights = folder.load()
    found = folder.found_config()
    try:
        if is_imported(found):
            model = build_imported(found, folder)
        else:
            model = find_plugin(BASES, str(found["kind"]), "--base").load(found)
        model.load_state_dict(weights)
    except (KeyError, TypeError, RuntimeError) as error:
        raise folder.misfit(error) from error
    return model.eval()
