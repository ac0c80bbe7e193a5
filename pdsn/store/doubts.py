"""What speaks against the name under which a photo was enrolled: it looks like somebody else, or not like the others of that name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pdsn.calibration.impostors import Impostors
from pdsn.data.dataset import evenly
from pdsn.matchers.matcher import Signature
from pdsn.store.names import how_to_merge, how_to_remove
from pdsn.store.records import PhotoRecord
from pdsn.store.rivals import StoreRivals

UNLIKE = 0.5
"""A photo does not look like somebody's others if its cosine to them is below this share of its threshold."""
PART = 1024
"""Photos that are asked about together."""
MOST_PAIRS = 2**27
"""Pairs of an asked and another photo of the store, up to which all photos are asked about: two to four seconds on one core."""


def doubts_of(
    name: str, person: str | None, own: float | None, threshold: float, cure: str, remove: str = "remove it"
) -> list[str]:
    """What speaks against a name, a line each.

    Args:
        name: under which the photo was enrolled.
        person: who it would be named, nearest of all and above the threshold; None for nobody.
        own: its highest cosine to other photos of that name, or at least as much; None where there are none.
        threshold: above which a cosine names somebody.
        cure: what to do if two names are one person's.
        remove: what to do if the photo shows somebody else.
    """
    if person is not None and person != name:
        other = "" if own is None else f"if it shows {person}, {remove}, and enrol it as such; "
        return [f"it looks like {person}, who is enrolled too: {other}if both are one person, {cure}"]
    if own is not None and own < UNLIKE * threshold:
        return [
            f"it does not look like the other photos of {name}: if it shows somebody else of that name, {remove}, and enrol it "
            "under a name that tells both apart"
        ]
    return []


def in_seconds(photos: Sequence[PhotoRecord], stored: int) -> list[PhotoRecord]:
    """Of some photos of a store with so many those that can be asked about in seconds: all, or some, spread evenly."""
    rows = evenly(np.arange(len(photos)), max(MOST_PAIRS // max(stored, 1), 1))
    return [photos[row] for row in rows]


def find_doubts(
    rivals: StoreRivals, impostors: Impostors, photos: Sequence[PhotoRecord], fpr: float, address: str
) -> dict[int, list[str]]:
    """What speaks against the names of some photos of a store, by their ids; those that nothing speaks against are left out.

    Photos that are covered as few strangers are cannot be asked about, and none where a run compares with means.

    Args:
        rivals: the store.
        impostors: what strangers score in it.
        photos: of the store.
        fpr: share of strangers who may be taken for somebody in it.
        address: what --people was given.
    """
    snapshot, matcher = rivals.snapshot, impostors.matcher
    hidden = {photo.id: photo.covered for photo in photos}
    rows = np.flatnonzero(np.isin(snapshot.photos, list(hidden)))
    if snapshot.comparison != "nearest" or not len(rows):
        return {}
    groups: dict[Signature, list[int]] = {}
    for row in rows.tolist():
        covered = hidden[int(snapshot.photos[row])]
        groups.setdefault(tuple(name in covered for name in matcher.regions), []).append(row)
    found: dict[int, list[str]] = {}
    for signature, members in groups.items():
        if not impostors.tells(signature):
            continue
        threshold = impostors.threshold(signature, fpr)
        for start in range(0, len(members), PART):
            part = np.array(members[start : start + PART])
            near = rivals.among(part, signature)
            for row, other, whom, own in zip(part.tolist(), near.other, near.whom, near.own, strict=True):
                name, person = snapshot.people[snapshot.labels[row]], snapshot.people[whom]
                number = int(snapshot.photos[row])
                lines = doubts_of(
                    name,
                    person if other > max(threshold, own) else None,
                    float(own) if np.isfinite(own) else None,
                    threshold,
                    how_to_merge(address, name, person),
                    f"remove it by {how_to_remove(address, number)}",
                )
                if lines:
                    found[number] = lines
    return found
