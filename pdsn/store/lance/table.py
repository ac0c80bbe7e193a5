"""A people store in a table of LanceDB; it does what `pdsn.store.store.Store` does, a row for each photo."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from pdsn.errors import PdsnError, UsageError
from pdsn.store.database import alone
from pdsn.store.insertion import NewPhoto
from pdsn.store.lance.formats import raised
from pdsn.store.lance.former import by_former, call, drop, former_names, make_one, written
from pdsn.store.lance.place import TABLE, UNFINISHED, Place, is_text
from pdsn.store.names import FormerNames, checked_name, forgotten, nobody, plain_name, renamed, taken
from pdsn.store.provenance import check_made
from pdsn.store.records import PersonPhotos, PersonRecord, PhotoRecord, Twin, can_be_id, no_photo

if TYPE_CHECKING:
    import pyarrow as pa

COMPACT_AFTER = 100
"""Changes after which the many small files of a table are made few."""


class LanceStore:
    """The people in a table.

    Whoever writes to a folder is alone, as with `Store`; in an object store LanceDB keeps two writers apart, but while a
    person is removed nobody else may write or read. An id of a photo follows from its content, one of a person from the name.

    Args:
        place: where the table is.
        made: what embeddings depend on, by name, as it was when the table was made.
        widths: numbers in each of a photo's embeddings.
        by_index: search asks the table's index, see `pdsn.store.lance.index`.

    Attributes:
        root: the address.
    """

    def __init__(
        self, place: Place, made: Mapping[str, Any], widths: Sequence[int], *, by_index: bool = False
    ) -> None:
        self.place = place
        self.root = place.address
        self.made = dict(made)
        self.widths = list(widths)
        self.by_index = by_index

    @staticmethod
    def exists(address: str | Path) -> bool:
        """Whether there is a table."""
        return Place(address).open() is not None

    @classmethod
    def create(cls, address: str | Path, made: Mapping[str, Any], widths: Sequence[int]) -> LanceStore:
        """Make an empty table, or open the one that is there.

        Raises:
            UsageError: something else is in the folder.
            PdsnError: it cannot be made.
        """
        from pdsn.store.lance.rows import schema_of

        place = Place(address)
        place.check_own()
        database = place.connect()
        with place.plainly():
            database.create_table(TABLE, schema=schema_of(widths, made), exist_ok=True)
        return cls.open(address)

    @classmethod
    def open(cls, address: str | Path, *, by_index: bool = False) -> LanceStore:
        """Open a table.

        Raises:
            PdsnError: there is none, it is no people store, or one from a newer pdsn.
        """
        place = Place(address)
        table = place.open()
        if table is None:
            raise PdsnError(
                f"--people {address}: there is no people store: make it with `pdsn enrol PHOTOS --people {quote(str(address))} --run RUN`"
            )
        from pdsn.store.lance.rows import FORMAT, about_of

        about = about_of(table)
        if "made" not in about:
            raise PdsnError(f"--people {address} holds a table that is no people store: give another place")
        if about["format"] > FORMAT:
            raise PdsnError(f"--people {address} was written by a newer pdsn: update pdsn to use it")
        return cls(place, about["made"], about["widths"], by_index=by_index)

    def check_made(self, made: Mapping[str, Any], run: Path) -> None:
        """Raise PdsnError unless the store's embeddings can be compared with those of a run."""
        check_made(self.root, self.made, made, run, f"{self.root.rstrip('/')}-2")

    def table(self) -> Any:
        """The table as it is now.

        Raises:
            PdsnError: it is gone, or cannot be reached.
        """
        table = self.place.open()
        if table is None:
            raise PdsnError(
                f"--people {self.root} is gone: enrol the photos anew, or restore it from a backup"
            )
        return table

    # Looking.

    def people(self) -> list[PersonRecord]:
        """Everybody, by name."""
        from pdsn.store.lance.rows import person_number

        found = self._rows(["id", "person", "added"]).group_by("person")
        rows = found.aggregate([("id", "count"), ("added", "min")]).to_pylist()
        people = [
            PersonRecord(person_number(row["person"]), row["person"], row["id_count"], row["added_min"])
            for row in rows
        ]
        return sorted(people, key=lambda person: person.name)

    def show(self, who: str | int) -> PersonPhotos:
        """See `Store.show`; photos in the order of their dates."""
        from pdsn.store.lance.rows import RECORD, person_number, record_of

        name = self._name(who)
        rows = self._rows(list(RECORD), is_text("person", name)).to_pylist()
        photos = sorted(map(record_of, rows), key=lambda photo: (photo.added, photo.source))
        if not photos:
            raise nobody(self.root, who, [])
        person = PersonRecord(person_number(name), name, len(photos), min(photo.added for photo in photos))
        return PersonPhotos(person, photos, former_names(self.table()).get(name, []))

    def photo(self, number: int) -> PhotoRecord:
        """See `Store.photo`."""
        from pdsn.store.lance.rows import RECORD, record_of

        if not can_be_id(number):
            raise no_photo(self.root, number)
        rows = self._rows(list(RECORD), f"id = {int(number)}").to_pylist()
        if not rows:
            raise no_photo(self.root, number)
        return record_of(rows[0])

    def photos(self, numbers: Collection[int]) -> list[PhotoRecord]:
        """See `Store.photos`."""
        from pdsn.store.lance.rows import RECORD, record_of

        if not numbers:
            return []
        return [record_of(row) for row in self._rows(list(RECORD), _among(numbers)).to_pylist()]

    def known(self, sha256: Sequence[str]) -> dict[str, Twin]:
        """See `Store.known`."""
        wanted, found = set(sha256), {}
        with self.place.plainly():
            for part in self.table().search().select(["sha256", "person", "source", "id"]).to_batches():
                for row in part.to_pylist():
                    if row["sha256"] in wanted:
                        found[row["sha256"]] = Twin(row["person"], row["source"], row["id"])
        return found

    def sources(self, numbers: Collection[int]) -> dict[int, str]:
        """See `Store.sources`."""
        if not numbers:
            return {}
        return {row["id"]: row["source"] for row in self._rows(["id", "source"], _among(numbers)).to_pylist()}

    def former(self) -> dict[str, str]:
        """See `Store.former`."""
        with self.place.plainly():
            return by_former(former_names(self.table()))

    def counts(self) -> tuple[int, int]:
        """Number of people and of photos."""
        people = self._rows(["person"])["person"]
        return len(people.unique()), len(people)

    # Changing.

    def add(self, photos: Sequence[NewPhoto]) -> list[PhotoRecord | Twin]:
        """See `Store.add`."""
        from pdsn.store.lance.rows import RECORD, box_of, number_of, record_of, table_of

        numbers = [number_of(photo.pixels_sha256, box_of(photo)) for photo in photos]
        if any(photo.crop is not None for photo in photos):
            raise UsageError(f"--people {self.root} keeps no pictures: leave --keep-crops out")
        with self.changing() as table:
            there = self._rows(["id", "person", "source"], _among(numbers)).to_pylist() if numbers else []
            known = {row["id"]: Twin(row["person"], row["source"], row["id"]) for row in there}
            lists = former_names(table)
            earlier = FormerNames(by_former(lists))
            people = set(self._rows(["person"])["person"].unique().to_pylist()) if lists else set()
            outcomes: list[int | Twin] = []
            fresh = []
            for number, photo in zip(numbers, photos, strict=True):
                if number in known:
                    outcomes.append(known[number])
                    continue
                name = checked_name(photo.name)
                name = earlier.meant(name, people)
                known[number] = Twin(name, photo.source, number)
                fresh.append(replace(photo, name=name))
                outcomes.append(number)
            if fresh:
                former = {name: written(names) for name, names in lists.items()}
                rows = table_of(fresh, self.widths, former)
                # Whoever else writes the same face at this moment writes the same row: one of both stays.
                done = table.merge_insert("id").when_not_matched_insert_all().execute(rows)
                if done.version % COMPACT_AFTER == 0:
                    table.optimize()
                records = {row["id"]: record_of(row) for row in rows.select(list(RECORD)).to_pylist()}
        return [one if isinstance(one, Twin) else records[one] for one in outcomes]

    def rename(self, who: str | int, new: str) -> None:
        """See `Store.rename`."""
        new = checked_name(new)
        with self.changing() as table:
            name = self._name(who)
            if new == name:
                return
            if len(self._rows(["id"], is_text("person", new))):
                raise taken(self.root, name, new)
            call(table, name, new)

    def merge(self, who: str | int, into: str | int) -> None:
        """See `Store.merge`."""
        with self.changing() as table:
            name, target = self._name(who), self._name(into)
            if name == target:
                raise UsageError(f"{name} cannot be merged into the same person")
            make_one(table, name, target)

    def forget(self, name: str) -> dict[str, str]:
        """See `Store.forget`; as `remove`."""
        with self.changing() as table:
            found = forgotten(self.root, name, by_former(former_names(table)))
            self._begin_removal(table)
            drop(table, found)
            self._tidy()
        return found

    def remove(self, who: str | int) -> int:
        """See `Store.remove`: the whole table is written anew, without the person, and its index is gone."""
        with self.changing() as table:
            rows = is_text("person", self._name(who))
            count = len(self._rows(["id"], rows))
            self._remove(table, rows)
        return count

    def remove_photo(self, number: int) -> bool:
        """See `Store.remove_photo`; as `remove`."""
        with self.changing() as table:
            name = self.photo(number).name
            left = len(self._rows(["id"], is_text("person", name))) - 1
            self._remove(table, f"id = {int(number)}")
        return bool(left)

    def tidy(self) -> bool:
        """Finish a removal that was killed; whether there was one."""
        with self._alone(), self.place.plainly():
            return self._tidy()

    def _remove(self, table: Any, rows: str) -> None:
        self._begin_removal(table)
        table.delete(rows)
        self._tidy()

    def _begin_removal(self, table: Any) -> None:
        self.place.connect().create_table(UNFINISHED, schema=table.schema, exist_ok=True)

    def _tidy(self) -> bool:
        """Have nothing of deleted rows left: LanceDB itself only marks them, and keeps old versions for a week."""
        if self.place.open(UNFINISHED) is None:
            return False
        table = self.table()
        for index in table.list_indices():
            table.drop_index(index.name)  # it holds their vectors, too
        table.update(values_sql={"person": "person"})  # every row, so that no file with deleted ones stays
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "optimize", UserWarning)
            table.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)
        self.place.connect().drop_table(UNFINISHED)
        return True

    @contextmanager
    def changing(self) -> Iterator[Any]:
        """The table, while nobody else changes it; a removal that was killed is finished first."""
        with self._alone(), self.place.plainly():
            self._tidy()
            yield raised(self.place, self.table())

    def _alone(self) -> Any:
        return nullcontext() if self.place.folder is None else alone(self.place.folder)

    def _rows(self, columns: list[str], where: str = "") -> pa.Table:
        with self.place.plainly():
            query = self.table().search().select(columns)
            return (query.where(where) if where else query).to_arrow()

    def _name(self, who: str | int) -> str:
        """What a person is called, given by name or id.

        Raises:
            UsageError: there is nobody of that name.
        """
        name = who if isinstance(who, int) else plain_name(who)
        if isinstance(name, str) and len(self._rows(["id"], is_text("person", name))):
            return name
        former = self.former()
        if name in former:
            raise renamed(self.root, str(name), former[str(name)])
        people = self.people()
        for person in people:
            if person.id == name:
                return person.name
        raise nobody(self.root, who, [person.name for person in people])


def _among(numbers: Collection[int]) -> str:
    return f"id IN ({', '.join(str(int(number)) for number in numbers)})"
