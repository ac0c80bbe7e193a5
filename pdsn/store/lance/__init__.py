"""People that stay enrolled in a table of LanceDB: for more of them than one machine's memory, in a folder or an object store."""
