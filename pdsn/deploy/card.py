"""The model card of an export: what it is, what it was trained on, its figures and its limits.

It says only what the run's own files say; a figure that was not measured for these very weights is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pdsn.artefact import read_json
from pdsn.bases.imported import is_imported
from pdsn.deploy.card_figures import COMPARED, figures, segmentation, unmasked_words
from pdsn.deploy.example import example
from pdsn.deploy.exported import Exported
from pdsn.deploy.onnx import PROBE
from pdsn.networks.branches import has_branches
from pdsn.report.table import markdown_table
from pdsn.run.directory import SYNTHETIC

PREPARED = ("align", "face", "min_photos", "min_face", "frontal")
"""Settings of `pdsn prepare` that a card tells; the folder of the photos is not among them."""


def model_card(exported: Exported, about: Mapping[str, Any]) -> str:
    """The card as Markdown.

    Args:
        exported: what of the run is exported.
        about: what `pdsn.json` says of it.
    """
    parts = (
        _title(exported, about),
        _files(exported, about),
        _origin(exported),
        _data(exported),
        _settings(exported, about),
        figures(exported),
        segmentation(exported),
        _limits(exported),
        _privacy(exported),
        _licences(exported),
        _use(exported, about),
    )
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _title(exported: Exported, about: Mapping[str, Any]) -> list[str]:
    masked = exported.dictionary is not None
    what = (
        "It recognises people whose faces are partly covered: features that an occlusion corrupts are left out "
        "of the comparison (a feature-discarding mask, FDM)."
        if masked
        else "It compares faces by the cosine of their embeddings, without a feature-discarding mask (FDM)."
    )
    return [
        "# Model card: face recogniser",
        "",
        what,
        f"Exported by pdsn {about['pdsn']} on {about['created'][:10]}; torch {about['libraries']['torch']}, ONNX opset "
        f"{about['opset']}, float32. Meant for research on recognition under occlusion; the limits below hold.",
    ]


def _files(exported: Exported, about: Mapping[str, Any]) -> list[str]:
    height, width = about["size"]
    face, maps = f"(N, 3, {height}, {width})", f"(N, {', '.join(map(str, about['map_shape']))})"
    rows = [
        ("trunk.onnx", f"`faces` {face} float32, 0 to 255, RGB", f"`maps` {maps}; normalisation is inside"),
        ("head.onnx", f"`maps` {maps}", f"`embeddings` (N, {about['embedding']}), not normalised"),
    ]
    if has_branches(exported.net):
        rows = [
            *((file, takes, f"{gives}; of galleries") for file, takes, gives in rows),
            *((f"{PROBE}{file}", takes, f"{gives}; of probes") for file, takes, gives in rows),
        ]
    if exported.segmenter is not None:
        rows.append(
            ("segmenter.onnx", f"`faces` {face}", f"`logits` (N, {height}, {width}), above 0 where covered")
        )
    lines = ["## Files", "", *markdown_table(("file", "takes", "gives"), rows), ""]
    if exported.dictionary is not None:
        regions = ", ".join(about["regions"])
        lines += [
            f"`dictionary.npz` holds the masks of {len(about['regions'])} regions ({regions}): `binary` bool and `mean` "
            f"(R, {', '.join(map(str, about['map_shape']))}), and `boxes` (R, 4): top, left, bottom, right in pixels, the last two exclusive. The array that multiplies the maps is `{about['masks']}`.",
            "",
        ]
    worst = max(about["checked"]["largest_difference"].values())
    batches = " and ".join(map(str, about["checked"]["batches"]))
    lines.append(
        f"`pdsn.json` says how they go together, and the sha256 of each. Checked by onnxruntime "
        f"{about['libraries']['onnxruntime']} against torch on batches of {batches} faces: the largest difference is "
        f"{worst:.1e} standard deviations of a network's output."
    )
    return lines


def _origin(exported: Exported) -> list[str]:
    found = exported.base.found_config()
    arch = str(found["arch"])
    name = Path(arch).name if arch.endswith(".py") else arch
    lines = ["## Where the base comes from", ""]
    if is_imported(found):
        weights = str(found["weights"])
        known = weights if weights.startswith("download ") else f"sha256 {weights}"
        lines.append(
            f"Imported: architecture {name}, weights trained elsewhere ({known}), not retrained. What these weights "
            "were trained on, and how well they do on whom, is for their authors to say."
        )
    else:
        init = str(found.get("init", ""))
        start = "random weights" if not init else init if init == "imagenet" else Path(init).name
        lines.append(
            f"Trained for this run: {name}, first stage {found['width']} channels, large margin cosine loss, "
            f"started from {start}."
        )
    best = exported.base.best()
    rates = ", ".join(f"rank-{k} {100 * best[f'rank{k}']:.2f} %" for k in (1, 5) if f"rank{k}" in best)
    lines.append(f"Validation on clean photos: {rates}." if rates else "No validation figures were kept.")
    lines.append(f"Fingerprint of the base: sha256 {exported.base.sha256()}.")
    return lines


def _data(exported: Exported) -> list[str]:
    dataset, training = exported.dataset, exported.training
    made = dataset.settings
    drawn = exported.run.about.get("data") == SYNTHETIC
    what = "faces drawn by pdsn itself, of no real person" if drawn else "photos"
    counts = ", ".join(f"{len(training.rows(split))} {split}" for split in ("train", "val", "test"))
    lines = ["## Data", ""]
    lines.append(
        f"{len(dataset.files)} {what} of {len(dataset.people)} people, {dataset.size[0]}x{dataset.size[1]} pixels; sha256 {dataset.sha256}."
    )
    if exported.settings.split == "person":
        lines.append(
            f"Split by person (seed {dataset.split_seed}): everything was trained on {len(training.people)} people ({counts}); "
            "the others were never trained on."
        )
    else:
        lines.append(
            f"Split by photo (seed {dataset.split_seed}): {counts}; everybody is in the training photos."
        )
    told = ", ".join(f"{name} {made[name]}" for name in PREPARED if made.get(name) is not None)
    if told:
        lines.append(f"Prepared with: {told}.")
    return lines


def _settings(exported: Exported, about: Mapping[str, Any]) -> list[str]:
    lines = ["## Settings", ""]
    if not is_imported(exported.base.found_config()):
        lines.append(f"- base: {_named(exported.base.found_config())}")
    if exported.head is not None:
        lines.append(f"- head, trained on under FDMs: {_named(exported.head.found_config())}")
    if exported.dictionary is not None:
        path = exported.run.dictionary(exported.strategy).with_suffix(".json")
        made = (
            read_json(path, f"pdsn build-dictionary --strategy {exported.strategy}") if path.is_file() else {}
        )
        config = {k: v for k, v in made.get("config", {}).items() if k != "regions"}
        kept = float(exported.dictionary.kept_share().mean())
        lines.append(
            f"- dictionary: {exported.strategy}, {100 * kept:.1f} % of the features kept" + _and(config)
        )
    if exported.segmentation is not None:
        lines.append(f"- Segmentation: {_named(exported.segmentation.found_config())}")
    mirror = "yes" if about["mirror"] else "no"
    lines.append(
        f"- comparing: a region is occluded above a share of {about['share']:g}; mirror images added: {mirror}; "
        f"{COMPARED[about['compare']]}{unmasked_words(about['unmasked'])}"
    )
    return lines


def _limits(exported: Exported) -> list[str]:
    lines = [
        "## Limits",
        "",
        "- What is worn in training and in the figures is painted on photos by landmarks; real masks, sunglasses "
        "and scarves differ more.",
        '- This export has no threshold for "unknown". One that is set from other people\'s photos, as `pdsn '
        "identify --fpr` does it, is an estimate: expect more false positives among people the base never saw.",
        "- Faces must be cropped as they were for training (see the end); other crops are not comparable.",
    ]
    learned = None if exported.segmentation is None else exported.segmentation.found_config()
    if learned is not None and learned.get("occlusions") != "varied":
        lines.append(
            "- A hand has the face's own colour, and a segmentation that learned worn things alone has hardly found hands where that was measured: such "
            "faces are then compared as if nothing were covered."
        )
    if exported.run.about.get("data") == SYNTHETIC:
        lines.append("- Trained on drawn faces: it is a demonstration, and knows nothing about real people.")
    lines.append(
        "- No figure here shows fitness for use on a door, at a border or against a person. Labeled Faces in the Wild "
        "(LFW), on which pdsn is developed, is mostly men of middle age: figures on it do not carry over to other people."
    )
    return lines


def _privacy(exported: Exported) -> list[str]:
    drawn = exported.run.about.get("data") == SYNTHETIC
    held = " The folder holds no photos and no names, but weights that were trained on people's photos."
    return [
        "## Privacy",
        "",
        "Photos of faces, and embeddings made from them, are biometric data: many countries allow processing them "
        "only on a legal basis, often the explicit consent of the people shown. Do not use this to recognise people who "
        f"do not know of it.{'' if drawn else held}",
        "Rates were not measured by age, sex or skin colour; whoever uses it has to do that for the people concerned.",
    ]


def _licences(exported: Exported) -> list[str]:
    lines = ["## Licences", "", "pdsn is under the MIT licence."]
    if is_imported(exported.base.found_config()):
        lines.append(
            "The base's weights come from elsewhere and keep their own licence, in `trunk.onnx` and `head.onnx` too; so do "
            "the terms of the photos they were trained on."
        )
    elif exported.base.found_config().get("init"):
        lines.append("The weights that the trunk was started from keep their own licence.")
    if exported.segmentation is not None and exported.segmentation.found_config().get("init"):
        lines.append("The weights that the U-Net's encoder was started from keep their own licence.")
    if exported.run.about.get("data") != SYNTHETIC:
        lines.append(
            "The photos of the training have terms of their own, which may bind what was learned from them."
        )
    return lines


def _use(exported: Exported, about: Mapping[str, Any]) -> list[str]:
    height, width = about["size"]
    if about["align"] == "similarity":
        points = "; ".join(f"{x:.2f} {y:.2f}" for x, y in about["template"])
        crop = (
            f"the similarity transform (least squares) that puts five landmarks (left eye, right eye, nose, left and right "
            f"mouth corner, left and right as seen in the photo) on x y = {points}; whole numbers are pixel edges. Smooth "
            "where the photo is reduced. pdsn finds landmarks by MTCNN (facenet-pytorch)."
        )
    else:
        crop = "the box of the face as MTCNN (facenet-pytorch) finds it, within the photo, stretched to that size."
    covered = exported.dictionary is not None and exported.segmenter is None
    given = (
        " `probe_covered` (H, W) and `gallery_covered` (G, H, W), both bool, tell their covered pixels: this export has no segmentation."
        if covered
        else ""
    )
    jointly = ", under the FDM of what is covered in either photo" if exported.dictionary is not None else ""
    mirrored = compared = ""
    if about["mirror"]:
        mirrored = " The embedding of the mirror image is added to that of the face (flip-sum)."
    if about["compare"] != "nearest":
        compared = f" For a name, the probe is then {COMPARED[about['compare']]}."
    code = example(
        masks=exported.dictionary is not None,
        segmenter=exported.segmenter is not None,
        mirror=about["mirror"],
        unmasked=about["unmasked"] > 0,
        branches=has_branches(exported.net),
    )
    return [
        "## Using it without pdsn",
        "",
        f"A face is a crop of {height}x{width} pixels (height x width): {crop}",
        "",
        "The code below compares a probe (3, H, W) with gallery faces (G, 3, H, W), float32 arrays in 0 to 255, red first, "
        f"as the run does{jointly}; it needs numpy and onnxruntime alone.{given}{mirrored}{compared}",
        "",
        "```python",
        code,
        "```",
    ]


def _named(config: Mapping[str, Any]) -> str:
    """Settings in a line; of a file only its name, so that no folder of this machine gets out."""
    shown = _without_folders(config)
    return ", ".join(f"{name} {json.dumps(value)}" for name, value in shown.items())


def _without_folders(config: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found[name] = _without_folders(value)
        elif name in ("init", "arch", "weights") and isinstance(value, str):
            found[name] = Path(value).name
        else:
            found[name] = value
    return found


def _and(config: Mapping[str, Any]) -> str:
    return f", {_named(config)}" if config else ""
