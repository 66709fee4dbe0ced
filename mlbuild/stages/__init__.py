"""Doorway to the built-in stage kinds.

In a wheel the kinds lie beside this file. In a checkout they lie in ``stages/`` at the top of the
repository; that folder is appended to this package's path, so that both look the same to importers.
"""

from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2]


def folder() -> Path:
    """The folder that holds ``<verb>/<name>/spec.py`` of the built-in kinds."""
    project = _CHECKOUT / "pyproject.toml"
    if project.is_file() and 'name = "mlbuild-pipelines"' in project.read_text(encoding="utf-8"):
        return _CHECKOUT / "stages"
    return Path(__file__).resolve().parent


__path__ = [*__path__, str(folder())] if str(folder()) not in __path__ else __path__
