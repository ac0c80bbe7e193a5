"""Shards of `pdsn prepare`: which chunks are whose, and what lies beside the chunks so that no other shards are joined with them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pdsn.data.listing import NAME, SeenPhoto, as_csv, compare, read_listing, shown
from pdsn.data.photos import PhotoFile
from pdsn.errors import PdsnError, UsageError
from pdsn.files import write_text

MOST = 10_000
"""Shards that a data set can be made in."""
NAMED = 5
"""Shards that a message names."""


@dataclass(frozen=True)
class Shard:
    """One of `count` shares of the chunks, `number` from 1 on: chunk i is of shard i modulo `count`, so all have as many."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read "3/8".

        Raises:
            UsageError: it is no number and count.
        """
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip(), re.ASCII)
        shard = cls(int(found[1]), int(found[2])) if found else cls(0, 0)
        if not 1 <= shard.number <= shard.count <= MOST:
            raise UsageError(f"--shard {text} is no share: give one such as 3/8, of 1/8 to 8/8")
        return shard

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def chunks(self, of: int) -> list[int]:
        """The numbers of its chunks, of so many."""
        return list(range(self.number - 1, of, self.count))

    def record(self, folder: Path, settings: Mapping[str, object], photos: Sequence[PhotoFile]) -> None:
        """Write beside the chunks that this shard is being made, and of what."""
        seen = [SeenPhoto(shown(photo.file), photo.bytes, photo.changed) for photo in photos]
        write_text(folder / NAME, as_csv(seen))
        write_text(folder / f"shard-{self.number}-of-{self.count}.json", json.dumps(settings) + "\n")


def recorded(folder: Path) -> list[Shard]:
    """The shards that were begun in a folder of chunks, sorted."""
    found = [re.fullmatch(r"shard-(\d+)-of-(\d+)\.json", path.name) for path in folder.glob("shard-*.json")]
    shards = [Shard(int(one[1]), int(one[2])) for one in found if one]
    return sorted(shards, key=lambda shard: (shard.count, shard.number))


def lacking(root: Path, folder: Path, missing: Sequence[int]) -> str:
    """The line about chunks that are missing when shards are to be joined.

    Args:
        root: the data set's folder.
        folder: the chunks'.
        missing: numbers of the chunks.
    """
    counts = Counter(shard.count for shard in recorded(folder))
    if not counts:
        return f"{root} holds no shards of these photos and settings: make them with --shard 1/8 to --shard 8/8, or of as many as you like"
    count = max(counts, key=lambda count: (counts[count], count))
    shards = [str(Shard(number + 1, count)) for number in sorted({chunk % count for chunk in missing})]
    more = f" and {len(shards) - NAMED} more" if len(shards) > NAMED else ""
    several = "s" * (len(shards) > 1)
    return (
        f"{root} lacks shard{several} {', '.join(shards[:NAMED])}{more}, or a part: give the same command with --shard {shards[0]} "
        f"in the place of --merge{', and so on' * (len(shards) > 1)}, then --merge again"
    )


def why_other(folder: Path, settings: Mapping[str, object], photos: Path, listed: Sequence[PhotoFile]) -> str:
    """How the shards in a folder of chunks differ from those that are asked for, in words.

    Args:
        folder: the chunks'.
        settings: those asked for that matter to a chunk, by name.
        photos: the photo folder.
        listed: what is in it now.
    """
    first = recorded(folder)[0]
    try:
        then = json.loads(
            (folder / f"shard-{first.number}-of-{first.count}.json").read_text(encoding="utf-8")
        )
        other = [name for name in settings if then.get(name) != json.loads(json.dumps(settings[name]))]
        if other:
            return f"made with {as_options(other, then)}"
        changes = compare(photos, read_listing(folder) or [], listed)
    except (OSError, ValueError, AttributeError, PdsnError):
        return "made of other photos or with other settings"
    if str(changes):
        return f"made of other photos; since then {changes}"
    if changes.touched:
        return "made of photos with other times: copy photos with their times"
    return "made by another version of pdsn"


def as_options(names: Sequence[str], values: Mapping[str, object]) -> str:
    """Settings of `prepare` as options with their values."""
    return ", ".join(
        "another template (see --for)"
        if name == "template"
        else f"--{name.replace('_', '-')} {values.get(name)}"
        for name in names
    )
