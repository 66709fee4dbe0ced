"""A process that publishes to files is killed at each of its moments; the next one finishes."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlbuild.release.publish.opening import open_publishers
from mlbuild.release.publish.protocol import Bundle, Publisher
from tests.release.publish.bundles import tree, write_release

MOMENTS = ((shutil, "copyfileobj"), (Path, "replace"), (Path, "rename"), (os, "replace"))
MOST = 200


def _killed_at(moment: int, publish: Callable[[], None]) -> bool:
    """Publishes in a child that dies before its n-th change; False if it had fewer."""
    child = os.fork()
    if child == 0:
        try:
            _die_at(moment)
            publish()
        except BaseException:
            os._exit(2)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


def _die_at(moment: int) -> None:
    left = moment

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def do(*arguments: Any, **more: Any) -> Any:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return real(*arguments, **more)

        return do

    for owner, name in MOMENTS:
        setattr(owner, name, dying(getattr(owner, name)))


def _publish(place: Publisher, release: Bundle) -> None:
    place.stage(release)
    place.reveal(release)


def test_a_reader_of_the_folder_sees_whole_versions_only(tmp_path: Path, release: Bundle) -> None:
    following = write_release(tmp_path / "next", "1.3.0", README_md=b"# 1.3\n")
    for moment in range(MOST):
        top = tmp_path / f"shelf{moment}"
        (place,) = open_publishers([{"folder": os.fspath(top)}], tmp_path, {})
        _publish(place, release)
        alive = not _killed_at(moment, lambda place=place: _publish(place, following))
        latest = json.loads((top / "dogs/latest.json").read_text())
        assert latest["release"] in ("1.2.0", "1.3.0")
        for one in (release, following):
            shown = top / "dogs" / f"v{one.version}"
            assert not shown.exists() or tree(shown) == tree(one.folder)
        assert (top / "dogs" / latest["manifest"]).exists()
        _publish(place, following)
        assert tree(top / "dogs/v1.3.0") == tree(following.folder)
        assert json.loads((top / "dogs/latest.json").read_text())["release"] == "1.3.0"
        if alive:
            break
        shutil.rmtree(top)
    assert 10 < moment < MOST - 1


def test_the_folder_of_a_hub_ends_whole(tmp_path: Path, release: Bundle) -> None:
    following = write_release(tmp_path / "next", "1.3.0", README_md=b"# 1.3\n", card_html=None)
    for moment in range(MOST):
        top = tmp_path / f"hub{moment}"
        (place,) = open_publishers([{"hub": os.fspath(top)}], tmp_path, {})
        _publish(place, release)
        alive = not _killed_at(moment, lambda place=place: _publish(place, following))
        there = tree(top)
        if there["manifest.json"] == tree(following.folder)["manifest.json"]:
            assert tree(following.folder).items() <= there.items()  # it came last
        _publish(place, following)
        assert tree(top) == tree(following.folder)
        if alive:
            break
        shutil.rmtree(top)
    assert 4 < moment < MOST - 1
