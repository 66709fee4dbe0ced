"""Releases: what a version is, how it differs from the last one, and how anyone can check it."""
