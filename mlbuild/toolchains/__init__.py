"""Isolated environments for stages: pinned, made on first use, shared between projects."""

from mlbuild.toolchains.doctor import Finding, doctor
from mlbuild.toolchains.environments import Listed, Toolchains
from mlbuild.toolchains.inspection import Verification
from mlbuild.toolchains.pins import Lock, Pin

__all__ = ["Finding", "Listed", "Lock", "Pin", "Toolchains", "Verification", "doctor"]
