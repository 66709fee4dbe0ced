"""ML Programs: read, compiled once, run many times."""
