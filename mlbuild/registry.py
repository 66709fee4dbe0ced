"""Stage kinds: the built-in table, then entry points, then ``./stages`` of the user's project."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import keyword
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING

from mlbuild import stages
from mlbuild.errors import MlbuildError, PipelineError, Place, Problem, did_you_mean

if TYPE_CHECKING:
    from mlbuild.api import Kind

ENTRY_POINTS = "mlbuild.stages"


@dataclass(frozen=True, slots=True)
class Root:
    """A folder of kinds, and whose it is."""

    folder: Path
    origin: str  # "built-in", "entry point NAME" or "project"


@dataclass(frozen=True, slots=True)
class LoadedKind:
    """A kind whose spec has been read."""

    name: str
    kind: Kind
    folder: Path
    stages_root: Path
    origin: str


class Registry:
    """All kinds that a project can use. Specs are imported only when they are asked for."""

    def __init__(self, roots: Sequence[Root], trusted: bool) -> None:
        self._trusted = trusted
        self._found: dict[str, tuple[Root, Path]] = {}
        self._loaded: dict[str, LoadedKind | MlbuildError] = {}
        for root in roots:
            for name, folder in _listing(root.folder):
                if name in self._found:
                    raise _twice(name, self._found[name], (root, folder))
                self._found[name] = (root, folder)

    @classmethod
    def load(cls, root: Path | None, trusted: bool, extra_roots: Iterable[Path] = ()) -> Registry:
        """The kinds of a project.

        Args:
            root: the project's root, whose ``stages`` folder may hold kinds of its own.
            trusted: whether the project's specs may be imported (`mlbuild trust`).
            extra_roots: further folders of kinds, as an entry point would bring them.

        Raises:
            PipelineError: two kinds have one name.
        """
        builtin = stages.folder()
        roots = [Root(builtin, "built-in")]
        roots += [Root(folder, f"entry point {name}") for name, folder in _entry_points()]
        roots += [Root(Path(folder), f"entry point {folder}") for folder in extra_roots]
        own = root / "stages" if root is not None else None
        if own is not None and own.is_dir() and own.resolve() != builtin.resolve():
            roots.append(Root(own, "project"))
        return cls(roots, trusted)

    def names(self) -> list[str]:
        """All kinds, sorted; no spec is imported for it."""
        return sorted(self._found)

    def get(self, name: str) -> LoadedKind:
        """The kind of that name.

        Raises:
            PipelineError: there is none, it is not trusted, or its spec is wrong.
        """
        known = self._loaded.get(name)
        if known is None:
            try:
                known = self._load(name)
            except MlbuildError as error:
                known = error
            self._loaded[name] = known
        if isinstance(known, MlbuildError):
            raise known
        return known

    def origin(self, name: str) -> str:
        """Whose kind it is; for listings, no spec is imported."""
        return self._found[name][0].origin

    def _load(self, name: str) -> LoadedKind:
        if name not in self._found:
            problem = Problem(
                f"there is no stage kind '{name}'",
                allowed=tuple(self.names()),
                hint=did_you_mean(name, self._found),
            )
            raise PipelineError(problem)
        root, folder = self._found[name]
        if root.origin == "project" and not self._trusted:
            message = f"the stage kind '{name}' is code of this project, which is not trusted yet"
            raise PipelineError(
                Problem(message, got=str(folder), hint="read it, then type: mlbuild trust")
            )
        kind = _import_kind(folder, root.folder)
        return LoadedKind(name, kind, folder, root.folder, root.origin)


def _listing(root: Path) -> Iterator[tuple[str, Path]]:
    for verb in _folders(root):
        for folder in _folders(verb):
            if (folder / "spec.py").is_file():
                yield f"{_spoken(verb.name)}/{_spoken(folder.name)}", folder


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(f for f in folder.iterdir() if f.name[0] not in "._" and f.is_dir())
    except OSError:
        return []


def _spoken(folder: str) -> str:
    """``image_classifier`` -> ``image-classifier``, ``import_`` -> ``import``."""
    if folder.endswith("_") and keyword.iskeyword(folder[:-1]):
        folder = folder[:-1]
    return folder.replace("_", "-")


def _entry_points() -> Iterator[tuple[str, Path]]:
    for point in entry_points(group=ENTRY_POINTS):
        # Finding a package runs its parents at most, never the kinds in it.
        try:
            spec = importlib.util.find_spec(point.module)
        except (ImportError, ValueError) as error:
            problem = Problem(f"entry point '{point.name}' ({point.value}) has no such module")
            raise PipelineError(problem) from error
        for place in (spec.submodule_search_locations or ()) if spec else ():
            yield point.name, Path(place)


def _twice(name: str, one: tuple[Root, Path], other: tuple[Root, Path]) -> PipelineError:
    places = [f"{folder} ({root.origin})" for root, folder in (one, other)]
    message = f"there are two stage kinds '{name}'"
    return PipelineError(Problem(message, got=" and ".join(places), hint="rename one of them"))


def _import_kind(folder: Path, stages_root: Path) -> Kind:
    from mlbuild.api import Kind  # lazy: pydantic, which a pipeline of commands does not need

    spec_file = folder / "spec.py"
    module = _module(spec_file, stages_root)
    kind = getattr(module, "KIND", None)
    if not isinstance(kind, Kind):
        place = Place(str(spec_file), 1, 1)
        raise PipelineError(Problem("a spec defines KIND = Kind(...)", place))
    _check(kind, spec_file)
    return kind


def _module(spec_file: Path, stages_root: Path) -> ModuleType:
    package = _package(stages_root)
    parts = spec_file.relative_to(stages_root).with_suffix("").parts
    for depth in range(1, len(parts)):
        _package(stages_root.joinpath(*parts[:depth]), ".".join((package, *parts[:depth])))
    name = ".".join((package, *parts))
    loader = _FromSource(name, str(spec_file))
    spec = importlib.util.spec_from_file_location(name, spec_file, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks annotations up there
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # for what it imports beside it
    try:
        loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _spec_error(spec_file, error) from error
    finally:
        sys.dont_write_bytecode = kept
    return module


class _FromSource(importlib.machinery.SourceFileLoader):
    """Never takes the compiled form that lies beside a spec.

    Python holds it to be that of the source where size and whole second of the last change agree:
    an edit that keeps the size, made within a second, would build with the old spec.
    """

    def get_code(self, fullname: str) -> CodeType:
        """Compiles what the file says now."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _package(folder: Path, name: str | None = None) -> str:
    """A namespace package under a name that nothing else has, so that relative imports work."""
    name = name or f"_mlbuild_kinds_{abs(hash(str(folder))):x}"
    if name not in sys.modules:
        module = ModuleType(name)
        module.__path__ = [str(folder)]
        module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        module.__spec__.submodule_search_locations = [str(folder)]
        sys.modules[name] = module
    return name


def _spec_error(spec_file: Path, error: Exception) -> PipelineError:
    line, file = 1, str(spec_file)
    if isinstance(error, SyntaxError):
        line, file = error.lineno or 1, error.filename or file
    else:
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == str(spec_file):
                line = trace.tb_lineno
            trace = trace.tb_next
    try:
        text = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()[line - 1]
    except (OSError, IndexError):
        text = None
    column = len(text) - len(text.lstrip()) + 1 if text else 1
    what = error.msg if isinstance(error, SyntaxError) else error
    message = f"the spec cannot be read: {type(error).__name__}: {what}"
    return PipelineError(Problem(message, Place(file, line, column, text)))


def _check(kind: Kind, spec_file: Path) -> None:
    from mlbuild.api import TYPES  # lazy: as above

    known = (*TYPES, "Any")
    used = [(f"input '{role}'", t) for role, i in kind.inputs.items() for t in i.types]
    used += [(f"output '{name}'", out.type) for name, out in kind.outputs.items()]
    problems = [
        Problem(
            f"{what} has the unknown type '{name}'",
            Place(str(spec_file), 1, 1),
            allowed=known,
            hint=did_you_mean(name, known),
        )
        for what, name in used
        if name not in known
    ]
    problems += _check_choice(kind, spec_file)
    for name, out in kind.outputs.items():
        if name in ("metrics", "plots"):
            message = f"output '{name}': every kind has one of that name already"
            problems.append(Problem(message, Place(str(spec_file), 1, 1)))
        if "/" in out.file or out.file in ("", ".", ".."):
            message = f"output '{name}': '{out.file}' is no file name"
            problems.append(Problem(message, Place(str(spec_file), 1, 1)))
    if problems:
        raise PipelineError(*problems)


def _check_choice(kind: Kind, spec_file: Path) -> list[Problem]:
    """Roles and types that decide about a toolchain or about a stage in between, and the code."""
    from mlbuild.api import TYPES, ByInput, run_file  # lazy: as above

    place = Place(str(spec_file), 1, 1)
    choice = kind.toolchain if isinstance(kind.toolchain, ByInput) else None
    deciding = [("toolchain", choice.role, tuple(choice.toolchains))] if choice else []
    for role, through in kind.through.items():
        types = tuple(t.strip() for t in through.types.split("|"))
        deciding.append((f"through '{role}'", role, types))
    problems = []
    for what, role, types in deciding:
        if role not in kind.inputs:
            message = f"{what} names the unknown input '{role}'"
            problems.append(Problem(message, place, allowed=tuple(kind.inputs)))
        for name in types:
            if name not in TYPES:
                hint = did_you_mean(name, TYPES)
                problems.append(Problem(f"{what} has the unknown type '{name}'", place, hint=hint))
    for tool in kind.toolchains if choice else ():
        if not (spec_file.parent / run_file(tool)).is_file():
            message = f"toolchain '{tool}' needs {run_file(tool)} beside the spec"
            problems.append(Problem(message, place))
    return problems


# --- the code of a kind ------------------------------------------------------------------------


def code_files(loaded: LoadedKind) -> list[Path]:
    """The files that make a kind behave as it does, sorted: its folder, and what it imports.

    Followed are relative imports, at any depth of the code, transitively; each brings the whole
    folder that it leads to. ``mlbuild/coreml`` belongs to kinds that ask for it.
    """
    root = loaded.stages_root
    waiting, units, files = [loaded.folder], set[Path](), set[Path]()
    while waiting:
        unit = waiting.pop()
        if unit in units:
            continue
        units.add(unit)
        found = [unit] if unit.is_file() else _code_below(unit)
        files.update(found)
        for file in found:
            if file.suffix == ".py":
                waiting += _imported_units(file, root)
    if loaded.kind.uses_coreml:
        coreml = Path(__file__).parent / "coreml"
        files.update(f for f in _code_below(coreml) if f.suffix == ".py")
    return sorted(files)


def _code_below(folder: Path) -> list[Path]:
    """Files that count as code; not what interpreters, editors and file managers leave behind."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(
            part == "__pycache__" or part.startswith(".") for part in path.relative_to(folder).parts
        )
        and not path.name.endswith((".pyc", ".pyo", "~", ".swp", ".orig", ".rej"))
        and not path.name.startswith("#")
    ]


def _imported_units(file: Path, root: Path) -> Iterator[Path]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return  # the stage's own run will tell
    package = file.relative_to(root).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            kept = package[: len(package) - node.level + 1]
            base = (*kept, *(node.module or "").split(".")) if node.module else kept
            for name in node.names:
                unit = _unit(root, (*base, name.name))
                if unit is not None:
                    yield unit


def _unit(root: Path, parts: Sequence[str]) -> Path | None:
    """The folder or file, two levels below the root, that an import leads into."""
    if len(parts) < 2:
        return None
    path = root / parts[0] / parts[1]
    if path.is_dir():
        return path
    file = path.with_suffix(".py")
    return file if file.is_file() else None
