import contextlib
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlbuild.errors import DataError
from mlbuild.records import Output, Stage
from mlbuild.store import cache, files, publish
from mlbuild.store.project import Store
from mlbuild.store.publish import slug

ODD = [
    "plain",
    "with space",
    'quote\'s "both"',
    "new\nline",
    "ünï😀",
    "-dash",
    "a" * 200,
    "$HOME",
    "*",
]


def stage(*paths: str, name: str = "s[a=1]") -> Stage:
    return Stage(name, "s", outputs=tuple(Output(f"o{i}", path) for i, path in enumerate(paths)))


def store_of(root: Path) -> Store:
    return Store.open(root, "p", root / "p.yaml", ledger=False)


def content(path: Path):
    """What lies at a path: None, text, or a dict of its children."""
    if path.is_dir():
        return {child.name: content(child) for child in path.iterdir()}
    return path.read_text() if os.path.lexists(path) else None


def lay(path: Path, what) -> None:
    if isinstance(what, dict):
        path.mkdir(parents=True)
        for name, inner in what.items():
            lay(path / name, inner)
    elif what is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(what)


def publish_all(root: Path, stage: Stage, results) -> None:
    store = store_of(root)
    store.initialize_state()
    scratch = store.prepare(stage)
    for path, what in zip(scratch.outputs.values(), results, strict=True):
        lay(path, what)
    store.publish(stage, scratch)
    store.close()


@pytest.mark.parametrize("name", ODD)
def test_results_with_odd_names_are_published(tmp_path, name):
    publish_all(tmp_path, stage(f"out/{name}", f"{name}.d/x"), ["text", {"f": "inner"}])
    assert content(tmp_path / "out") == {name: "text"}
    assert content(tmp_path / f"{name}.d") == {"x": {"f": "inner"}}


def test_a_root_with_odd_characters_works(tmp_path):
    root = tmp_path / "my 'pro\"ject'\n ü"
    root.mkdir()
    publish_all(root, stage("out/a"), ["one"])
    publish_all(root, stage("out/a"), ["two"])
    assert content(root / "out") == {"a": "two"}


@pytest.mark.parametrize(
    ("old", "new"),
    [("f", {"a": "1"}), ({"a": "1"}, "f"), ({"a": {"b": "1"}}, {"a": "2"}), (None, {}), ("x", "y")],
)
def test_files_and_folders_replace_each_other(tmp_path, old, new):
    if old is not None:
        publish_all(tmp_path, stage("out/a"), [old])
    publish_all(tmp_path, stage("out/a"), [new])
    assert content(tmp_path / "out/a") == new


def test_the_scratch_is_gone_after_success(tmp_path):
    publish_all(tmp_path, stage("out/a"), ["one"])
    assert content(tmp_path / "build/p/.work") == {".gitignore": "*\n"}


def test_a_scratch_path_is_a_function_of_the_stage_and_keeps_the_files_name(tmp_path):
    store = store_of(tmp_path)
    one = store.prepare(stage("out/Dogs.mlpackage"))
    lay(one.outputs["o0"], "left behind")
    two = store.prepare(stage("out/Dogs.mlpackage"))
    assert one.outputs == two.outputs
    assert two.outputs["o0"].name == "Dogs.mlpackage"
    assert not two.outputs["o0"].exists()


def test_stages_never_share_a_folder():
    names = ["a[b=1]", "a-b-1-", "a b=1", "a/b", "a-b", "..", ".", "a[b=1,c=2]", "ä"]
    assert len({slug(n) for n in names}) == len(names)
    assert all("/" not in slug(n) and slug(n) not in (".", "..") for n in names)


def test_a_missing_output_publishes_nothing(tmp_path):
    publish_all(tmp_path, stage("out/a", "out/b"), ["1", "2"])
    with pytest.raises(DataError) as caught:
        publish_all(tmp_path, stage("out/a", "out/b"), ["new", None])
    assert caught.value.render() == (
        "stage 's[a=1]' succeeded without making o1 (out/b)\n"
        "  hint: its command must write every output that it declares"
    )
    assert content(tmp_path / "out") == {"a": "1", "b": "2"}


def test_what_somebody_else_made_is_kept(tmp_path):
    lay(tmp_path / "out/a", "by hand")
    store = store_of(tmp_path)
    scratch = store.prepare(stage("out/a"))
    lay(scratch.outputs["o0"], "built")
    published = store.publish(stage("out/a"), scratch)
    assert content(tmp_path / "out/a") == "built"
    assert [p.read_text() for p in published.kept] == ["by hand"]
    assert published.kept[0].parent == tmp_path / ".mlbuild/kept"


def test_what_mlbuild_made_is_not_kept(tmp_path):
    store = store_of(tmp_path)
    from mlbuild.records import StageRecord

    for text in ("one", "two"):
        scratch = store.prepare(stage("out/a"))
        lay(scratch.outputs["o0"], text)
        published = store.publish(stage("out/a"), scratch)
        assert published.kept == ()
        store.record(stage("out/a"), StageRecord(text, {}, published.outputs))


def test_links_in_results_are_replaced_by_what_they_point_to(tmp_path):
    lay(tmp_path / "src/f", "source")
    lay(tmp_path / "src/d/g", "deep")
    store = store_of(tmp_path)
    scratch = store.prepare(stage("out/a", "out/b"))
    scratch.outputs["o0"].symlink_to(tmp_path / "src/f")
    lay(scratch.outputs["o1"], {"x": "1"})
    (scratch.outputs["o1"] / "d").symlink_to(tmp_path / "src/d")
    (scratch.outputs["o1"] / "f").symlink_to(tmp_path / "src/f")
    store.publish(stage("out/a", "out/b"), scratch)
    lay(tmp_path / "src/f", "changed later")
    assert content(tmp_path / "out") == {
        "a": "source",
        "b": {"x": "1", "d": {"g": "deep"}, "f": "source"},
    }


def test_a_dangling_link_is_no_result(tmp_path):
    store = store_of(tmp_path)
    scratch = store.prepare(stage("out/a"))
    scratch.outputs["o0"].symlink_to("gone")
    with pytest.raises(DataError, match=r"is a link to 'gone', which does not exist$"):
        store.publish(stage("out/a"), scratch)


# --- in place ----------------------------------------------------------------------------------


def in_place(root: Path):
    store = store_of(root)
    s = stage("out/a", "out/b")
    return store, s, store.prepare(s, in_place=("o0",))


def test_a_command_may_leave_its_output_at_the_declared_path(tmp_path):
    publish_all(tmp_path, stage("out/a", "out/b"), ["1", "2"])
    store, s, scratch = in_place(tmp_path)
    assert content(tmp_path / "out") == {"b": "2"}
    lay(tmp_path / "out/a", "new")
    lay(scratch.outputs["o1"], "new too")
    store.publish(s, scratch)
    assert content(tmp_path / "out") == {"a": "new", "b": "new too"}


def test_what_was_moved_aside_comes_back_if_the_command_fails(tmp_path):
    publish_all(tmp_path, stage("out/a", "out/b"), ["1", "2"])
    store, _, scratch = in_place(tmp_path)
    lay(tmp_path / "out/a", "half-wri")
    store.discard(scratch)
    assert content(tmp_path / "out") == {"a": "1", "b": "2"}


def test_what_was_moved_aside_comes_back_after_a_kill(tmp_path):
    publish_all(tmp_path, stage("out/a", "out/b"), ["1", "2"])
    in_place(tmp_path)
    lay(tmp_path / "out/a", "half-wri")
    store_of(tmp_path).recover()
    assert content(tmp_path / "out") == {"a": "1", "b": "2"}


# --- faults ------------------------------------------------------------------------------------

CASES = {
    "nothing to file": ([None, None], ["n1", {"x": "n2"}]),
    "both replaced": (["o1", {"x": "o2"}], [{"y": "n1"}, "n2"]),
    "one new": ([None, "o2"], ["n1", "n2"]),
    "hand-made": (["o1", "o2"], ["n1", "n2"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_kill_at_any_point_leaves_old_or_new_and_never_half(tmp_path, monkeypatch, faults, case):
    old, new = CASES[case]
    s = stage("out/a", "deep/er/b")
    seen = set()
    for count in range(1, 100):
        root = tmp_path / str(count)
        if case == "hand-made":
            for path, what in zip(("out/a", "deep/er/b"), old, strict=True):
                lay(root / path, what)
        elif old[1] is not None:
            publish_all(root, stage("out/a", "deep/er/b"), old if old[0] else ["tmp", old[1]])
            if old[0] is None:
                (root / "out/a").unlink()
        root.mkdir(exist_ok=True)
        with monkeypatch.context() as patch:
            passed = faults.kill_at(patch, (publish, files, cache), count)
            try:
                publish_all(root, s, new)
                break
            except faults.Killed:
                pass
        # Killed once more while it puts things right.
        with monkeypatch.context() as patch:
            faults.kill_at(patch, (publish, files, cache), 1)
            with contextlib.suppress(faults.Killed):
                store_of(root).recover()
        store_of(root).recover()
        found = [content(root / "out/a"), content(root / "deep/er/b")]
        assert found in (old, new), passed[-1]
        seen.add("old" if found == old else "new")
        publish_all(root, s, new)
        assert [content(root / "out/a"), content(root / "deep/er/b")] == new
    assert seen == {"old", "new"}
    assert count > 8


def test_a_file_that_somebody_made_meanwhile_survives_the_roll_back(tmp_path, monkeypatch, faults):
    s = stage("out/a", "out/b")
    with monkeypatch.context() as patch:
        faults.kill_at(patch, (publish,), 2)  # journal written, nothing moved
        with pytest.raises(faults.Killed):
            publish_all(tmp_path, s, ["n1", "n2"])
    lay(tmp_path / "out/a", "the user's")
    store_of(tmp_path).recover()
    assert content(tmp_path / "out/a") == "the user's"


def test_an_error_while_moving_rolls_back_at_once(tmp_path, monkeypatch):
    publish_all(tmp_path, stage("out/a", "out/b"), ["1", "2"])
    real = publish.move_path

    def fail_once(source: Path, to: Path) -> None:
        if to == tmp_path / "out/b" and ".work" in str(source):
            raise OSError(errno.EIO, "Input/output error", str(to))
        real(source, to)

    monkeypatch.setattr(publish, "move_path", fail_once)
    with pytest.raises(DataError) as caught:
        publish_all(tmp_path, stage("out/a", "out/b"), ["3", "4"])
    assert caught.value.render() == f"publishing failed: {tmp_path}/out/b: Input/output error"
    assert content(tmp_path / "out") == {"a": "1", "b": "2"}


KILL = """
import os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from mlbuild.store import cache, files, publish
import test_publish as t
passed = 0
def checkpoint(name):
    global passed
    passed += 1
    if passed == {count}:
        os.kill(os.getpid(), 9)
for module in (cache, files, publish):
    module.checkpoint = checkpoint
t.publish_all(Path({root!r}), t.stage("out/a", "out/b"), [{{"x": "n1"}}, "n2"])
"""


@pytest.mark.slow
def test_a_real_sigkill_leaves_old_or_new(tmp_path):
    outcomes = []
    for count in range(1, 60, 2):
        root = tmp_path / str(count)
        publish_all(root, stage("out/a", "out/b"), ["o1", "o2"])
        code = KILL.format(tests=str(Path(__file__).parent), count=count, root=str(root))
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True)
        store_of(root).recover()
        found = content(root / "out")
        assert found in ({"a": "o1", "b": "o2"}, {"a": {"x": "n1"}, "b": "n2"})
        outcomes.append(found["b"])
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
    assert set(outcomes) == {"o2", "n2"}


# --- other filesystems, full disks --------------------------------------------------------------


def other_filesystem(tmp_path: Path, request, size: str = "1m") -> Path:
    place = tmp_path / "other"
    place.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True
        ).returncode
    ):
        pytest.skip("needs the right to mount")
    request.addfinalizer(lambda: subprocess.run(["umount", "-l", str(place)], check=False))
    return place


def test_an_output_on_another_filesystem_is_published_whole(tmp_path, request):
    root = tmp_path / "root"
    root.mkdir()
    (root / "far").symlink_to(other_filesystem(tmp_path, request))
    s = stage("far/sub/a", "out/b")
    scratch = store_of(root).prepare(s)
    assert scratch.outputs["o0"].parent.stat().st_dev == (tmp_path / "other").stat().st_dev
    for old, new in (({"x": "1"}, "2"), ("3", {"y": "4"})):
        publish_all(root, s, [old, "b"])
        publish_all(root, s, [new, "b"])
        assert content(root / "far/sub/a") == new
    assert content(tmp_path / "other") == {"sub": {"a": {"y": "4"}}}


def test_a_build_folder_on_another_filesystem_works(tmp_path, request):
    root = tmp_path / "root"
    root.mkdir()
    (root / "build").symlink_to(other_filesystem(tmp_path, request))
    publish_all(root, stage("build/p/s/a", "out/b"), [{"x": "1"}, "2"])
    publish_all(root, stage("build/p/s/a", "out/b"), ["3", {"y": "4"}])
    assert (content(root / "build/p/s/a"), content(root / "out/b")) == ("3", {"y": "4"})


def test_renames_that_the_kernel_refuses_become_copies(tmp_path, monkeypatch):
    """As between two bind mounts or the layers of an overlay, where the device is the same."""
    real = Path.rename

    def refuse(self: Path, target):
        if ".part" not in self.name and ".work" in str(self) + str(target):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    publish_all(tmp_path, stage("out/a", "out/b"), [{"x": {"y": "1"}}, "2"])
    publish_all(tmp_path, stage("out/a", "out/b"), ["3", "4"])
    assert content(tmp_path / "out") == {"a": "3", "b": "4"}


@pytest.mark.parametrize("full", ["cache", "everything"])
def test_a_full_disk_is_told_with_path_and_space_and_publishes_nothing(tmp_path, request, full):
    place = other_filesystem(tmp_path, request)
    root = place if full == "everything" else tmp_path / "root"
    root.mkdir(exist_ok=True)
    publish_all(root, stage("out/a", "out/b"), ["1", "2"])
    if full == "cache":
        shutil.move(root / ".mlbuild/cache", place / "cache")
        (root / ".mlbuild/cache").symlink_to(place / "cache")
    store = store_of(root)
    scratch = store.prepare(stage("out/a", "out/b"))
    lay(scratch.outputs["o0"], "new")
    scratch.outputs["o1"].write_bytes(b"x" * (700_000 if full == "everything" else 1_200_000))
    with pytest.raises(DataError) as caught:
        store.publish(stage("out/a", "out/b"), scratch)
    message = caught.value.render()
    assert caught.value.exit_code == 4
    assert message.startswith("storing a result failed: no space left for ")
    assert f"{place if full == 'everything' else root}/" in message or str(place) in message
    assert message.endswith(
        " free)\n  hint: free some space on that filesystem and run again: nothing was half-written"
    )
    assert content(root / "out") == {"a": "1", "b": "2"}
    publish_all(root, stage("out/a", "out/b"), ["3", "4"])
    assert content(root / "out") == {"a": "3", "b": "4"}
