"""One file for each type of model; found by ``kind.kinds()``."""
