"""The house's one rule: a file imports only from lower ranks (DESIGN section 1)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mlbuild"

RANKS = {
    "errors": 0,
    "records": 0,
    "attempts": 0,
    "lazily": 0,
    "fingerprint": 1,
    "coreml": 1,
    "publishing": 1,
    "api": 2,
    "pipeline": 2,
    "released": 2,
    "registry": 3,
    "graph": 3,
    "decisions": 3,
    "store": 3,
    "toolchains": 3,
    "datasets": 3,
    "trust": 4,
    "gates": 4,
    "judging": 4,
    "lists": 4,
    "plan": 4,
    "lastrelease": 4,
    "facts": 4,
    "meaning": 5,
    "sources": 5,
    "loaded": 6,
    "standing": 5,
    "execute": 5,
    "sharing": 5,
    "report": 6,
    "release": 6,
    "starting": 6,
    "build": 7,
    "exchange": 7,
    "reproducible": 8,
    "cli": 9,
}
# The front door stands outside the ranks: the no-op path, the lazy names, the doorway to kinds.
OUTSIDE = {"__main__", "__init__", "stages"}
HEAVY = {"torch", "tensorflow", "coremltools", "turicreate"}
FORBIDDEN_NAMES = {"utils", "helpers", "common", "manager"}

FILES = sorted(p for p in PACKAGE.rglob("*.py") if "jobs" not in p.parts)


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _rooms_imported(path: Path) -> set[str]:
    rooms = {name.split(".")[1] for name in _imports(path) if name.startswith("mlbuild.")}
    return {room for room in rooms if room in RANKS}


def test_every_file_of_the_engine_has_a_rank() -> None:
    assert {_room(p) for p in FILES} - OUTSIDE <= RANKS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_file_imports_only_its_own_room_and_lower_ranks(path: Path) -> None:
    room = _room(path)
    if room in OUTSIDE:
        return
    wrong = {r for r in _rooms_imported(path) if r != room and RANKS[r] > RANKS[room]}
    assert not wrong


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_heavy_libraries_stay_out_of_the_engine(path: Path) -> None:
    if _room(path) == "coreml":
        return
    assert not {name.split(".")[0] for name in _imports(path)} & HEAVY


def test_only_the_store_imports_dvc() -> None:
    users = {_room(p) for p in FILES if any(n.split(".")[0] == "dvc" for n in _imports(p))}
    assert users <= {"store"}


def test_only_the_graph_imports_networkx() -> None:
    users = {_room(p) for p in FILES if "networkx" in {n.split(".")[0] for n in _imports(p)}}
    assert users <= {"graph"}


def test_the_reference_runtime_stands_alone() -> None:
    for path in FILES:
        if _room(path) == "coreml":
            assert not any(name.split(".")[0] == "mlbuild" for name in _imports(path)), path


def test_no_file_is_a_drawer_for_everything() -> None:
    names = {p.stem for p in FILES} | {p.stem for p in (ROOT / "stages").rglob("*")}
    assert not names & FORBIDDEN_NAMES


@pytest.mark.parametrize(
    "path",
    [*FILES, *sorted((ROOT / "stages").rglob("*.py"))],
    ids=lambda p: p.relative_to(ROOT).as_posix(),
)
def test_a_file_past_400_lines_is_two_files(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_stages_is_no_python_package() -> None:
    assert not list((ROOT / "stages").rglob("__init__.py"))


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "stages").rglob("spec*.py")),  # spec_*.py: what several specs share
    ids=lambda p: f"{p.parent.name}-{p.stem}",
)
def test_a_spec_imports_only_the_door_for_authors(path: Path) -> None:
    standard = {"__future__", "collections", "math", "re", "typing"}
    modules = {n.split(".")[0] for n in _imports(path)} - standard
    assert modules == {"mlbuild"}
    assert {n for n in _imports(path) if n.startswith("mlbuild")} >= {"mlbuild.api"}
    assert not [n for n in _imports(path) if n.startswith("mlbuild.") and "api" not in n]


@pytest.mark.parametrize(
    "path",
    sorted(p for p in (ROOT / "stages").rglob("*.py") if not p.name.startswith("spec")),
    ids=lambda p: p.relative_to(ROOT).as_posix(),
)
def test_the_code_of_a_kind_imports_nothing_of_the_engine(path: Path) -> None:
    engine = {n for n in _imports(path) if n.split(".")[0] == "mlbuild"}
    assert not {n for n in engine if not n.startswith("mlbuild.coreml")}
