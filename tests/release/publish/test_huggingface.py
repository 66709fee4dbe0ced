"""A model's repository on a hub, against a double of its interface."""

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlbuild.release.publish.opening import open_publishers
from mlbuild.release.publish.protocol import Bundle, Publisher, PublishError
from tests.release.publish.bundles import Clock, tree, write_release
from tests.release.publish.double import Asked, Said, serving
from tests.release.publish.hub_double import REPO, TOKEN, HubDouble

Open = Callable[..., Publisher]
WEIGHTS = "artifacts/model/Dogs.mlpackage/Data/com.apple.CoreML/weights/weight.bin"


@pytest.fixture
def hub() -> Iterator[HubDouble]:
    double = HubDouble()
    with serving(double):
        yield double
    assert double.wrong == []


@pytest.fixture
def publisher(hub: HubDouble, tmp_path: Path, clock: Clock) -> Open:
    def make(environ: dict[str, str] | None = None) -> Publisher:
        spec = {"hub": REPO, "endpoint": hub.address}
        known = {"HF_TOKEN": TOKEN} if environ is None else environ
        return open_publishers([spec], tmp_path, known, patience=clock.patience())[0]

    return make


def _publish(place: Publisher, release: Bundle) -> None:
    place.stage(release)
    place.reveal(release)


def test_large_files_come_first_and_all_is_seen_in_one_commit(
    hub: HubDouble, publisher: Open, release: Bundle
) -> None:
    assert publisher().check(release) is None
    publisher().stage(release)
    assert len(hub.store) == 1
    assert len(hub.commits) == 1
    assert publisher().reveal(release) == f"{hub.address}/{REPO}/tree/v1.2.0"
    files = tree(release.folder)
    there = hub.commits[hub.tags["v1.2.0"]]
    assert set(there) == {*files, ".gitattributes"}
    assert {p: d for p, d in there.items() if p in files and p != WEIGHTS} == {
        p: d for p, d in files.items() if p != WEIGHTS
    }
    assert there[WEIGHTS][1] == len(files[WEIGHTS])
    assert hub.messages == ["initial", "dogs 1.2.0"]


def test_doing_it_all_again_sends_nothing(hub: HubDouble, publisher: Open, release: Bundle) -> None:
    publisher().stage(release)
    publisher().stage(release)
    assert hub.count("PUT") == 1
    publisher().reveal(release)
    _publish(publisher(), release)
    assert publisher().check(release) is None
    assert (hub.count("PUT"), len(hub.commits)) == (1, 2)


def test_the_next_version_removes_what_it_no_longer_has(
    hub: HubDouble, publisher: Open, release: Bundle, tmp_path: Path
) -> None:
    _publish(publisher(), release)
    key = "artifacts__bundle__dogs-1_2_0_ota"
    following = write_release(tmp_path / "next", "1.3.0", signature=None, **{key: None})
    _publish(publisher(), following)
    assert set(hub.commits[-1]) == {*tree(following.folder), ".gitattributes"}
    assert hub.tags == {"v1.2.0": 1, "v1.3.0": 2}


def test_a_large_file_goes_in_the_parts_that_the_hub_asks_for(
    hub: HubDouble, publisher: Open, release: Bundle
) -> None:
    hub.chunk = 1000
    _publish(publisher(), release)
    (parts,) = hub.parts.values()
    assert {number: len(data) for number, data in parts.items()} == {1: 1000, 2: 1000, 3: 304}


def test_a_version_with_other_bytes_is_refused_and_left_alone(
    hub: HubDouble, publisher: Open, release: Bundle, tmp_path: Path
) -> None:
    _publish(publisher(), release)
    for key, path in (("README_md", "README.md"), (WEIGHTS, WEIGHTS)):
        changed = {key.replace("/", "__").replace(".", "_"): b"other bytes"}
        other = write_release(tmp_path / path.replace("/", "-"), **changed)
        assert publisher().check(other) in (
            f"hub {REPO}: dogs 1.2.0 is published there with other bytes: {path}: it differs\n"
            "  hint: a published version never changes: release a new one",
        )
        with pytest.raises(PublishError, match="with other bytes"):
            publisher().stage(other)
    assert len(hub.commits) == 2


@pytest.mark.parametrize("path", ["commit/main", r"tag/"])
@pytest.mark.parametrize("after", [True, False])
def test_an_answer_that_was_lost_makes_nothing_twice(
    hub: HubDouble, publisher: Open, release: Bundle, path: str, after: bool
) -> None:
    hub.fail("POST", path, Said(500), after=after)
    _publish(publisher(), release)
    assert hub.messages == ["initial", "dogs 1.2.0"]
    assert hub.tags == {"v1.2.0": 1}


def test_an_upload_that_was_cut_off_is_made_again(
    hub: HubDouble, publisher: Open, release: Bundle
) -> None:
    hub.fail("PUT", "/store/", half=True)
    _publish(publisher(), release)
    assert hub.count("PUT") == 2


def test_what_was_not_staged_is_not_committed(
    hub: HubDouble, publisher: Open, release: Bundle
) -> None:
    with pytest.raises(PublishError, match="was refused"):
        publisher().reveal(release)
    assert len(hub.commits) == 1
    assert hub.wrong.pop().endswith("commit/main: no such object")


def test_a_commit_that_holds_other_bytes_gets_no_tag(
    hub: HubDouble, publisher: Open, release: Bundle
) -> None:
    hub.rot = True
    publisher().stage(release)
    with pytest.raises(PublishError) as caught:
        publisher().reveal(release)
    commit = hub.name(1)
    assert caught.value.render() == (
        f"hub {REPO}: the commit {commit} holds other bytes: not tagged"
    )
    assert (hub.tags, len(hub.commits)) == ({}, 2)


def test_somebody_s_commit_meanwhile_is_told(
    hub: HubDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    hub.fail("POST", "commit", Said(412, {"error": "A commit has happened since"}))
    with pytest.raises(PublishError) as caught:
        publisher().reveal(release)
    assert caught.value.render() == (
        f"hub {REPO}: POST {hub.address}/api/models/{REPO}/commit/main was refused\n"
        "  got: 412 A commit has happened since"
    )


def test_a_published_version_without_one_of_its_files_is_refused(
    hub: HubDouble, publisher: Open, release: Bundle
) -> None:
    _publish(publisher(), release)
    del hub.commits[1]["card.html"]
    with pytest.raises(PublishError, match=r"other bytes: card\.html: it is missing there"):
        publisher().stage(release)


def test_a_dry_run_without_a_folder_asks_whether_the_version_is_free(
    hub: HubDouble, publisher: Open, release: Bundle, tmp_path: Path
) -> None:
    unwritten = Bundle(tmp_path / "no", "dogs", "1.2.0", release.tag, release.commit, "")
    assert publisher().check(unwritten) is None
    _publish(publisher(), release)
    assert publisher().check(unwritten) == f"hub {REPO}: v1.2.0 is published there already"


def test_a_large_file_that_the_store_refuses_is_told(
    hub: HubDouble, publisher: Open, release: Bundle
) -> None:
    error = {"code": 413, "message": "over the quota"}
    hub.fail("POST", "batch", Said(200, {"objects": [{"error": error}]}))
    with pytest.raises(PublishError) as caught:
        publisher().stage(release)
    assert caught.value.render() == f"hub {REPO}: {WEIGHTS} was refused\n  got: over the quota"


def test_a_tag_that_came_meanwhile_on_another_commit_is_refused(
    hub: HubDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    hub.fail("POST", "tag/", Said(500))
    commit = hub.commit

    def slower(asked: Asked) -> Said:
        hub.tags["v1.2.0"] = 0
        return commit(asked)

    hub.route("POST", f"/api/models/{REPO}/commit/main", slower)
    hub.routes.insert(0, hub.routes.pop())
    with pytest.raises(PublishError, match=r"v1\.2\.0 names another commit there"):
        publisher().reveal(release)


def test_a_repository_without_its_branch_is_told(
    hub: HubDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    hub.fail("GET", "refs", Said(200, {"branches": [], "tags": []}), times=2)
    with pytest.raises(PublishError, match="the repository has no branch 'main'"):
        publisher().reveal(release)


def test_a_long_list_of_files_comes_in_pages(
    hub: HubDouble, publisher: Open, release: Bundle
) -> None:
    hub.page = 3
    _publish(publisher(), release)
    assert publisher().check(release) is None


def test_without_a_token_it_says_which_variable_to_set(publisher: Open, release: Bundle) -> None:
    assert publisher({}).check(release) == (
        f"hub {REPO}: HF_TOKEN is not set\n  hint: set it to a token with the right to write"
    )


def test_the_token_is_in_no_traceback(hub: HubDouble, publisher: Open, release: Bundle) -> None:
    hub.fail("GET", "refs", Said(401, {"error": f"Invalid token {TOKEN}"}))
    with pytest.raises(PublishError) as caught:
        publisher().stage(release)
    assert "  got: 401 Invalid token ***\n" in caught.value.render()
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
