"""Isolated environments for stages: pinned, made on first use, shared between projects.

What makes or examines environments is not imported here: planning only asks for digests.
"""

from mlbuild.toolchains.environments import Listed, Toolchains
from mlbuild.toolchains.pins import Lock, Pin

__all__ = ["Listed", "Lock", "Pin", "Toolchains"]
