"""People that stay enrolled: a database, arrays to search in, and what keeps both true."""
