"""A table that an older pdsn has made is brought up to date before it is changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pdsn.store.lance.place import TABLE, Place

if TYPE_CHECKING:
    import pyarrow as pa


def raised(place: Place, table: Any) -> Any:
    """A table in the format of today. An older one is written anew, once, whole or not at all, and has no index then.

    What a table says of its format cannot be changed otherwise; and an older pdsn that did not refuse it would lose former names.
    """
    import pyarrow as pa

    from pdsn.store.lance.rows import FORMAT, about_of, schema_of

    about = about_of(table)
    if about["format"] == FORMAT:
        return table
    schema = schema_of(about["widths"], about["made"])

    def parts() -> Iterator[pa.RecordBatch]:
        for part in table.search().to_batches():
            arrays = [
                part[name] if name in part.schema.names else pa.nulls(len(part), pa.string())
                for name in schema.names
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    reader = pa.RecordBatchReader.from_batches(schema, parts())
    return place.connect().create_table(TABLE, data=reader, schema=schema, mode="overwrite")
