"""Stat cache, build record, ledger, cache and remotes; the only folder that imports dvc."""
