import subprocess
from pathlib import Path

import pytest

from mlbuild.store.init import cache_settings, ensure_dvc


def tree(root: Path) -> dict[str, str]:
    return {
        str(p.relative_to(root)): p.read_text()
        for p in sorted(root.rglob("*"))
        if p.is_file() and ".git/" not in str(p) and "tmp" not in p.relative_to(root).parts
    }


@pytest.mark.slow
@pytest.mark.parametrize("how", ["git", "no git", "sub-folder"])
def test_a_dvc_folder_is_what_dvc_makes(tmp_path, how):
    import sys

    roots = [tmp_path / "ours" / "x", tmp_path / "theirs" / "x"]
    for root in roots:
        root.mkdir(parents=True)
        if how != "no git":
            top = root if how == "git" else root.parent
            subprocess.run(["git", "init", "-q", str(top)], check=True)
    flags = {"git": [], "no git": ["--no-scm"], "sub-folder": ["--subdir"]}[how]
    init = [sys.executable, "-m", "dvc", "init", "-q", *flags]
    subprocess.run(init, cwd=roots[1], check=True)
    note = ensure_dvc(roots[0])
    ours, theirs = map(tree, roots)
    # The one file that says something of its own: theirs nothing but a comment.
    assert all(line.startswith("#") for line in theirs.pop(".dvcignore").splitlines())
    said = [line for line in ours.pop(".dvcignore").splitlines() if not line.startswith("#")]
    assert said == ["__pycache__/"]
    assert ours == theirs
    where = "outside git" if how == "no git" else "commit .dvc/ and .dvcignore"
    assert note == f"made a DVC repository in {roots[0]}/.dvc ({where})"


def test_an_existing_dvc_folder_is_left_alone(tmp_path):
    (tmp_path / ".dvc").mkdir()
    assert ensure_dvc(tmp_path) is None
    assert list((tmp_path / ".dvc").iterdir()) == []


def test_a_dvcignore_that_is_there_is_left_alone(tmp_path):
    (tmp_path / ".dvcignore").write_text("*.bak\n")
    ensure_dvc(tmp_path)
    assert (tmp_path / ".dvcignore").read_text() == "*.bak\n"


@pytest.mark.parametrize(
    ("config", "local", "folder", "links"),
    [
        ("", "", ".dvc/cache", ("reflink", "copy")),
        ("[cache]\n    dir = ../shared\n", "", "shared", ("reflink", "copy")),
        ("[cache]\n    dir = /abs/a b\n", "", "/abs/a b", ("reflink", "copy")),
        ("[cache]\ndir = x\n", "[cache]\n    dir = y\n", ".dvc/y", ("reflink", "copy")),
        (
            "[cache]\n    type = hardlink,symlink\n",
            "",
            ".dvc/cache",
            ("hardlink", "symlink", "copy"),
        ),
        ("[core]\n    dir = x\n# [cache]\n", "", ".dvc/cache", ("reflink", "copy")),
        (
            '[\'remote "r"\']\n    url = x\n[cache]\n    type = "copy"\n',
            "",
            ".dvc/cache",
            ("copy", "copy"),
        ),
    ],
)
def test_dvcs_settings_of_the_cache_are_honoured(tmp_path, config, local, folder, links):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text(config)
    (tmp_path / ".dvc/config.local").write_text(local)
    assert cache_settings(tmp_path) == (tmp_path / folder, links)


def test_a_users_own_settings_apply_below_the_projects(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "user"))
    (tmp_path / "user").mkdir()
    (tmp_path / "user/config").write_text("[cache]\n    dir = /user\n    type = copy\n")
    (tmp_path / ".dvc").mkdir()
    assert cache_settings(tmp_path) == (Path("/user"), ("copy", "copy"))
    (tmp_path / ".dvc/config").write_text("[cache]\n    dir = /project\n")
    assert cache_settings(tmp_path) == (Path("/project"), ("copy", "copy"))
