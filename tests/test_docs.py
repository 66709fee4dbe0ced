"""Documentation that is made from code, or checked against it, so that it cannot drift."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlbuild.cli.main import VERBS

ROOT = Path(__file__).parents[1]


def test_pages_made_from_code_are_up_to_date() -> None:
    code = (
        "import sys; sys.path[:0] = ['.', 'tools']; import docs\n"
        "print([p.name for p, text in docs.pages().items() if p.read_text('utf-8') != text])"
    )
    # In a process of its own: help texts depend on what other tests have imported and set.
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert told.stdout == "[]\n", f"run: python tools/docs.py {told.stderr}"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    page = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    section = page.split(f"## mlbuild {verb}\n")[1].split("\n## ")[0]
    assert "Example: " in section


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs").glob("*.md")) + [ROOT / "README.md"], ids=str
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def test_every_public_function_says_what_it_does() -> None:
    silent = []
    for path in sorted((ROOT / "mlbuild").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                protocol = len(node.body) == 1 and ast.unparse(node.body[0]) == "..."
                if not ast.get_docstring(node) and not protocol and not _nested(path, node):
                    silent.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert not silent


def _nested(path: Path, wanted: ast.FunctionDef) -> bool:
    """Whether the function stands inside another one."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.lineno < wanted.lineno <= (
            node.end_lineno or 0
        ):
            return True
    return False
