"""Toolchain locks: exact versions of packages for one Python, and their digest."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mlbuild.errors import PipelineError, Place, Problem
from mlbuild.records import ToolchainSpec

_LOCKS = Path(__file__).parent / "locks"
_UNKNOWN_SIZE_MB = 300  # asked of the disk for a list that nobody has measured
_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?P<extras>\[[A-Za-z0-9._,\s-]+\])?"
    r"\s*==\s*(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)\s*(?:;\s*(?P<marker>.+?))?\s*"
)
_HASH = re.compile(r"\s--hash=(\S+)")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package at one version. ``marker`` says on which platforms (PEP 508)."""

    name: str  # normalized: lower case, single hyphens
    version: str
    extras: str = ""  # "[a,b]"
    marker: str = ""
    hashes: tuple[str, ...] = ()

    def requirement(self) -> str:
        """The line for an installer."""
        marker = f" ; {self.marker}" if self.marker else ""
        hashes = "".join(f" --hash={h}" for h in self.hashes)
        return f"{self.name}{self.extras}=={self.version}{marker}{hashes}"

    def identity(self) -> str:
        """What enters the digest: no hashes, since they only protect the download."""
        marker = f" ; {' '.join(self.marker.split())}" if self.marker else ""
        return f"{self.name}{self.extras}=={self.version}{marker}"


@dataclass(frozen=True, slots=True)
class Lock:
    """Everything that makes a toolchain; nothing of the platform."""

    name: str
    python: str  # "3.11"
    requirements: tuple[Pin, ...]  # sorted by name
    preload: tuple[str, ...] = ()  # modules that a fork server imports
    imports: tuple[str, ...] = ()  # what must be importable beside them
    size_mb: int = _UNKNOWN_SIZE_MB
    environ: tuple[tuple[str, str], ...] = ()  # variables of each process that runs in it; sorted
    platforms: tuple[str, ...] = ()  # "linux-x86_64"; empty: any
    # The pins are all that it holds: what packages ask for beside them is not looked at, since the
    # lock overrides some of it.
    closed: bool = False
    hashes: Path | None = None  # a list of the files that it may be installed from

    @property
    def pins(self) -> tuple[tuple[str, str], ...]:
        """(name, version) of each package, sorted."""
        return tuple((p.name, p.version) for p in self.requirements)

    @property
    def lines(self) -> tuple[str, ...]:
        """What the digest is made of: NAME==VERSION, Python first, variables next."""
        variables = (f"environ {name}=={value}" for name, value in self.environ)
        pins = sorted(p.identity() for p in self.requirements)
        return f"python=={self.python}", *variables, *pins

    @property
    def digest(self) -> str:
        """SHA-256 over Python minor, variables and pins; equal lists in any order are equal."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()


def builtin_names() -> tuple[str, ...]:
    """The toolchains that ship with mlbuild."""
    return tuple(sorted(p.stem for p in _LOCKS.glob("*.toml")))


def builtin(name: str) -> Lock:
    """The lock of a toolchain that ships with mlbuild."""
    path = _LOCKS / f"{name}.toml"
    data = tomllib.loads(path.read_text("utf-8"))
    pins = [parse_pin(line) for line in data["pins"]]
    return Lock(
        name=data["name"],
        python=data["python"],
        requirements=_sorted(p for p in pins if p is not None),
        preload=tuple(data["preload"]),
        imports=tuple(data.get("imports", ())),
        size_mb=data["size_mb"],
        environ=tuple(sorted(data.get("environ", {}).items())),
        platforms=tuple(data["platforms"]),
        closed=bool(data.get("overrides")),
        hashes=path.with_suffix(".sha256"),
    )


def custom(spec: ToolchainSpec, root: Path) -> Lock:
    """The lock that a pipeline file's requirements make.

    Raises:
        PipelineError: the file is missing or holds a line that is no pin; all lines told at once.
    """
    if not re.fullmatch(r"\d+\.\d+", spec.python):
        problem = Problem(
            f"toolchain '{spec.name}': Python is given as major and minor version",
            place=spec.place,
            got=spec.python,
            hint='write python: "3.11"',
        )
        raise PipelineError(problem)
    path = root / spec.requirements
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = f"toolchain '{spec.name}': cannot read its requirements {spec.requirements}"
        got = "not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise PipelineError(Problem(what, place=spec.place, got=got)) from error
    return Lock(spec.name, spec.python, parse_requirements(text, spec.requirements))


def parse_requirements(text: str, file: str) -> tuple[Pin, ...]:
    """The pins of a requirements file: ``name==version`` lines, comments, markers, hashes."""
    pins: dict[tuple[str, str], Pin] = {}
    problems: list[Problem] = []
    for number, line in _logical_lines(text):
        pin = parse_pin(line)
        if pin is None:
            problems.append(_complaint(line, Place(file, number, 1, line)))
        elif (pin.name, pin.marker) in pins:
            problems.append(Problem(f"'{pin.name}' stands twice", Place(file, number, 1, line)))
        else:
            pins[pin.name, pin.marker] = pin
    if problems:
        raise PipelineError(*problems)
    return _sorted(pins.values())


def parse_pin(line: str) -> Pin | None:
    """``name==version``, or None where the line is anything else."""
    hashes = tuple(_HASH.findall(line))
    found = _PIN.fullmatch(_HASH.sub("", line).strip())
    if found is None:
        return None
    return Pin(
        name=normalized(found["name"]),
        version=found["version"],
        extras="".join((found["extras"] or "").split()).lower(),
        marker=found["marker"] or "",
        hashes=hashes,
    )


def normalized(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _sorted(pins: Iterable[Pin]) -> tuple[Pin, ...]:
    return tuple(sorted(pins, key=lambda p: (p.name, p.version, p.marker)))


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """(number, text) of each line that says something; a trailing backslash continues it."""
    lines: list[tuple[int, str]] = []
    held, start = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.sub(r"(^|\s)#.*$", "", raw).rstrip()
        start = start if held else number
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        whole, held = (held + line).strip(), ""
        if whole:
            lines.append((start, whole))
    if held.strip():
        lines.append((start, held.strip()))
    return lines


def _complaint(line: str, place: Place) -> Problem:
    if line.startswith("-"):
        what = "options are not allowed in a toolchain's requirements"
        hint = "list every package here; the package index comes from pip's own configuration"
        return Problem(what, place, hint=hint)
    bare = re.split(r"[\s<>=!~;@\[]", line, maxsplit=1)[0] or "name"
    hint = f"write {bare}==VERSION; `pip freeze` prints such lines"
    return Problem(f"'{line}' is not pinned to one version", place, hint=hint)
