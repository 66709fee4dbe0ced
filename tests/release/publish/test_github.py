"""A GitHub release, against a double of its API that checks each request."""

import io
import json
import logging
import os
import subprocess
import traceback
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlbuild.release.publish.assets import packed
from mlbuild.release.publish.opening import open_publishers
from mlbuild.release.publish.protocol import Bundle, Publisher, PublishError
from tests.release.publish.bundles import OTHER_COMMIT, Clock, tree, write_files, write_release
from tests.release.publish.double import Said, serving
from tests.release.publish.github_double import REPO, TOKEN, GitHubDouble

Open = Callable[..., Publisher]

ASSETS = [
    "NOTES.md",
    "README.md",
    "SHA256SUMS",
    "card.html",
    "dogs-1.2.0-bundle.zip",
    "dogs-1.2.0-model.zip",
    "manifest.json",
    "model.sig",
    "provenance.json",
]


@pytest.fixture
def github() -> Iterator[GitHubDouble]:
    double = GitHubDouble()
    with serving(double):
        yield double
    assert double.wrong == []


@pytest.fixture
def publisher(github: GitHubDouble, tmp_path: Path, clock: Clock) -> Open:
    def make(environ: dict[str, str] | None = None, **more: object) -> Publisher:
        spec = {"github": "owner/dogs", "api_url": github.address, **more}
        known = {"GITHUB_TOKEN": TOKEN} if environ is None else environ
        return open_publishers([spec], tmp_path, known, patience=clock.patience())[0]

    return make


# --- the way it goes ----------------------------------------------------------------------------


def test_a_release_is_a_draft_until_it_is_revealed(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    place = publisher()
    assert place.check(release) is None
    assert github.releases == {}
    place.stage(release)
    assert github.names(draft=True) == ASSETS
    assert github.names(draft=False) == []
    github.push()
    assert place.reveal(release) == "https://github.test/owner/dogs/releases/tag/dogs@v1.2.0"
    assert github.names(draft=False) == ASSETS
    (one,) = github.releases.values()
    assert (one["name"], one["body"], one["prerelease"], one["target_commitish"]) == (
        "dogs 1.2.0",
        "# dogs 1.2.0\n",
        False,
        "1" * 40,
    )


def test_doing_it_all_again_uploads_and_changes_nothing(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    before = github.count("POST")
    publisher().stage(release)
    assert github.count("POST") == before
    github.push()
    publisher().reveal(release)
    changes = github.count("POST", "PATCH", "DELETE")
    publisher().stage(release)
    publisher().reveal(release)
    assert publisher().check(release) is None
    assert github.count("POST", "PATCH", "DELETE") == changes
    assert changes == before + 1


def test_the_assets_unpack_to_the_release_folder(
    github: GitHubDouble, publisher: Open, release: Bundle, tmp_path: Path
) -> None:
    publisher().stage(release)
    back = tmp_path / "back"
    back.mkdir()
    for number, asset in github.assets.items():
        (back / asset["name"]).write_bytes(github.bytes[number])
    done = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=back, check=False)
    assert done.returncode == 0
    for archive in back.glob("*.zip"):
        zipfile.ZipFile(archive).extractall(back)
        archive.unlink()
    (back / "SHA256SUMS").unlink()
    assert tree(back) == tree(release.folder)


def test_zips_do_not_depend_on_when_or_where_they_are_made(
    github: GitHubDouble, publisher: Open, release: Bundle, tmp_path: Path
) -> None:
    publisher().stage(release)
    other = write_release(tmp_path / "elsewhere")
    for file in other.folder.rglob("*"):
        os.utime(file, (1, 1))
    before = github.count("POST")
    publisher().stage(other)
    assert github.count("POST") == before


def test_artifacts_of_one_file_may_go_as_they_are(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    publisher(assets="files").stage(release)
    assert [n for n in github.names(draft=True) if n.startswith("dogs")] == [
        "dogs-1.2.0-model.zip",
        "dogs-1.2.0.ota",
    ]


def test_a_release_and_its_draft_are_found_behind_many_others(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    github.page = 2
    for n in range(5):
        github.releases[100 + n] = {"id": 100 + n, "draft": True, "tag_name": f"cats@v1.0.{n}"}
    github.push()
    publisher().reveal(release)
    assert [r["tag_name"] for r in github.releases.values() if not r["draft"]] == ["dogs@v1.2.0"]


def test_a_pre_release_is_marked_as_one(
    github: GitHubDouble, publisher: Open, tmp_path: Path
) -> None:
    release = write_release(tmp_path / "r", "2.0.0-rc.1")
    publisher().stage(release)
    assert [r["prerelease"] for r in github.releases.values()] == [True]


def test_a_tag_of_a_project_in_a_folder_holds_a_slash(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    nested = Bundle(
        release.folder, "dogs", "1.2.0", "apps/camera=dogs@v1.2.0", release.commit, "notes"
    )
    publisher().stage(nested)
    github.push(nested.tag)
    assert publisher().reveal(nested).endswith("apps/camera=dogs@v1.2.0")


def test_long_notes_are_cut_to_what_a_release_may_hold(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    long = Bundle(release.folder, "dogs", "1.2.0", release.tag, release.commit, "word " * 40_000)
    publisher().stage(long)
    (one,) = github.releases.values()
    assert len(one["body"]) == 125_000
    assert one["body"].endswith("The rest is in NOTES.md.")


# --- what is there already ----------------------------------------------------------------------


def test_a_version_with_other_bytes_is_refused_and_left_alone(
    github: GitHubDouble, publisher: Open, release: Bundle, tmp_path: Path
) -> None:
    publisher().stage(release)
    github.push()
    publisher().reveal(release)
    before = (dict(github.assets), github.count("POST", "PATCH", "DELETE"))
    other = write_release(tmp_path / "other", README_md=b"# other\n")
    message = (
        "github owner/dogs: dogs 1.2.0 is published there with other bytes: README.md: it differs\n"
        "  hint: a published version never changes: release a new one"
    )
    assert publisher().check(other) == message
    for step in (publisher().stage, publisher().reveal):
        with pytest.raises(PublishError) as caught:
            step(other)
        assert caught.value.render() == message
    assert (dict(github.assets), github.count("POST", "PATCH", "DELETE")) == before


def test_a_published_version_without_one_of_its_files_is_refused(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    github.push()
    publisher().reveal(release)
    gone = next(i for i, a in github.assets.items() if a["name"] == "card.html")
    del github.assets[gone]
    with pytest.raises(PublishError, match=r"other bytes: card\.html: it is missing there"):
        publisher().stage(release)


def test_a_second_signature_of_the_same_bytes_is_no_difference(
    github: GitHubDouble, publisher: Open, release: Bundle, tmp_path: Path
) -> None:
    publisher().stage(release)
    github.push()
    publisher().reveal(release)
    publisher().stage(write_release(tmp_path / "again", signature=b"signed twice"))


def test_a_draft_that_was_given_up_is_taken_over(
    github: GitHubDouble, publisher: Open, release: Bundle, tmp_path: Path
) -> None:
    publisher().stage(release)
    other = write_release(tmp_path / "other", commit=OTHER_COMMIT, README_md=b"# other\n")
    publisher().stage(other)
    github.push(commit=OTHER_COMMIT)
    publisher().reveal(other)
    (one,) = github.releases.values()
    assert one["target_commitish"] == OTHER_COMMIT
    readme = next(i for i, a in github.assets.items() if a["name"] == "README.md")
    assert github.bytes[readme] == b"# other\n"


def test_a_draft_with_files_of_somebody_else_is_refused(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    (draft,) = github.releases.values()
    github.add(draft["id"], "App.ipa", "uploaded", 3, None)
    with pytest.raises(PublishError) as caught:
        publisher().stage(release)
    assert caught.value.render() == (
        "github owner/dogs: the draft of dogs@v1.2.0 holds what is not of it\n"
        "  got: App.ipa\n"
        "  hint: delete the draft, or that file: "
        "https://github.test/owner/dogs/releases/tag/dogs@v1.2.0"
    )


def test_of_two_drafts_made_at_once_both_take_the_older_one(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    (first,) = github.releases.values()
    github.releases[99] = {**first, "id": 99}
    before = github.count("POST")
    publisher().stage(release)
    assert github.count("POST") == before
    github.push()
    publisher().reveal(release)
    assert not github.releases[first["id"]]["draft"]


# --- the tag ------------------------------------------------------------------------------------


def test_without_the_tag_nothing_is_revealed_and_no_tag_is_made(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    with pytest.raises(PublishError) as caught:
        publisher().reveal(release)
    assert caught.value.render() == (
        "github owner/dogs: the tag dogs@v1.2.0 is not there\n  hint: git push origin dogs@v1.2.0"
    )
    assert github.names(draft=False) == []


@pytest.mark.parametrize("kind", ["tags", "light"])
def test_a_tag_on_another_commit_is_refused(
    github: GitHubDouble, publisher: Open, release: Bundle, kind: str
) -> None:
    publisher().stage(release)
    getattr(github, kind)["dogs@v1.2.0"] = OTHER_COMMIT
    with pytest.raises(PublishError) as caught:
        publisher().reveal(release)
    assert caught.value.render() == (
        "github owner/dogs: the tag dogs@v1.2.0 names another commit there\n"
        f"  got: {OTHER_COMMIT}\n  allowed: {'1' * 40}"
    )
    assert github.names(draft=False) == []


def test_what_was_not_staged_is_not_revealed(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    github.push()
    with pytest.raises(PublishError, match=r"dogs@v1\.2\.0 was not staged"):
        publisher().reveal(release)


def test_a_draft_that_lost_a_file_since_is_not_revealed(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    github.push()
    github.assets.pop(next(i for i, a in github.assets.items() if a["name"] == "README.md"))
    with pytest.raises(PublishError, match=r"not staged: README\.md is missing or differs"):
        publisher().reveal(release)


# --- a service that fails -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", r"releases/tags"), ("POST", r"releases$"), ("POST", r"assets$"), ("GET", r"assets$")],
)
def test_a_service_that_is_away_for_a_moment_is_asked_again(
    github: GitHubDouble, publisher: Open, release: Bundle, clock: Clock, method: str, path: str
) -> None:
    github.fail(method, path, Said(502, {"message": "Server Error"}))
    publisher().stage(release)
    assert github.names(draft=True) == ASSETS
    assert clock.slept == [1.0]


def test_publishing_that_was_done_before_the_answer_was_lost_is_done_once(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    github.push()
    github.fail("PATCH", r"releases/\d+$", after=True)
    publisher().reveal(release)
    assert github.names(draft=False) == ASSETS


def test_a_draft_whose_making_was_not_answered_is_not_made_twice(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    github.fail("POST", r"releases$", after=True)
    publisher().stage(release)
    assert len(github.releases) == 1


def test_a_connection_cut_in_the_middle_leaves_a_half_asset_that_is_replaced(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    github.fail("POST", r"assets$", half=True, times=2)
    publisher().stage(release)
    assert github.names(draft=True) == ASSETS
    assert github.count("DELETE") == 2
    assert {a["state"] for a in github.assets.values()} == {"uploaded"}


def test_an_asset_that_the_service_has_not_finished_is_replaced(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    unfinished = next(a for a in github.assets.values() if a["name"] == "README.md")
    unfinished["state"] = "starter"
    publisher().stage(release)
    assert github.count("DELETE") == 1
    assert {a["state"] for a in github.assets.values()} == {"uploaded"}


def test_an_upload_that_never_ends_well_is_told_and_the_next_run_goes_on(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    github.fail("POST", r"assets$", half=True, times=5)
    with pytest.raises(PublishError) as caught:
        publisher().stage(release)
    address = f"{github.address}{REPO}/releases/2/assets"
    assert caught.value.render() == (
        "github owner/dogs: sending NOTES.md failed 5 times\n"
        f"  got: {address}: the connection broke\n"
        "  hint: run it again: it goes on from there"
    )
    publisher().stage(release)
    assert github.names(draft=True) == ASSETS


def test_an_interrupted_stage_sends_only_what_is_missing(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    for number in list(github.assets)[3:5]:
        del github.assets[number]
    before = github.count("POST")
    publisher().stage(release)
    assert github.count("POST") == before + 2


@pytest.mark.parametrize("status", [403, 429])
def test_a_rate_limit_is_waited_for_as_told(
    github: GitHubDouble, publisher: Open, release: Bundle, clock: Clock, status: int
) -> None:
    limit = Said(status, {"message": "secondary rate limit"}, headers={"Retry-After": "7"})
    github.fail("POST", r"releases$", limit)
    publisher().stage(release)
    assert clock.slept == [7.0]
    assert len(github.releases) == 1


def test_a_rate_limit_of_uploads_is_waited_for_too(
    github: GitHubDouble, publisher: Open, release: Bundle, clock: Clock
) -> None:
    github.fail("POST", r"assets$", Said(429, {"message": "slow"}, headers={"Retry-After": "20"}))
    publisher().stage(release)
    assert clock.slept == [20.0]
    assert github.names(draft=True) == ASSETS


def test_a_spent_quota_is_waited_for_until_it_is_renewed(
    github: GitHubDouble, publisher: Open, release: Bundle, clock: Clock
) -> None:
    reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(clock.now) + 30)}
    github.fail("GET", r"tags", Said(403, {"message": "rate limit"}, headers=reset))
    publisher().stage(release)
    assert clock.slept == [30.0]


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_that_is_too_long_is_told_instead(
    github: GitHubDouble, publisher: Open, release: Bundle, clock: Clock, status: int
) -> None:
    limit = Said(status, {"message": "slow down"}, headers={"Retry-After": "3600"})
    github.fail("GET", r"tags", limit)
    with pytest.raises(PublishError) as caught:
        publisher().stage(release)
    assert caught.value.render() == (
        "github owner/dogs: the service asks to wait 3600 s\n"
        "  hint: run it again then (up to 120 s are waited for)"
    )
    assert clock.slept == []


@pytest.mark.parametrize(
    ("status", "said", "told", "hint"),
    [
        (401, "Bad credentials", "401 Bad credentials", "the token is wrong or has expired"),
        (
            403,
            "Resource not accessible",
            "403 Resource not accessible",
            "the token may not do that",
        ),
        (404, "Not Found", "404 Not Found", "check its name, and that the token may see it"),
    ],
)
def test_what_the_service_refuses_is_told_in_its_words(
    github: GitHubDouble,
    publisher: Open,
    release: Bundle,
    clock: Clock,
    status: int,
    said: str,
    told: str,
    hint: str,
) -> None:
    github.fail("GET", r"/repos/owner/dogs$", Said(status, {"message": said}))
    assert publisher().check(release) == (
        f"github owner/dogs: GET {github.address}{REPO} was refused\n  got: {told}\n  hint: {hint}"
    )
    assert clock.slept == []


def test_what_the_service_finds_wrong_is_told_field_by_field(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    errors = [{"resource": "Release", "code": "custom", "field": "body", "message": "too long"}]
    github.fail("POST", r"releases$", Said(422, {"message": "Validation Failed", "errors": errors}))
    with pytest.raises(PublishError, match="was refused") as caught:
        publisher().stage(release)
    assert "  got: 422 Validation Failed; body custom too long" in caught.value.render()


@pytest.mark.parametrize("said", [{}, {"assets": 3}, []])
def test_an_answer_that_nobody_documented_is_no_traceback(
    github: GitHubDouble, publisher: Open, release: Bundle, said: object
) -> None:
    github.fail("GET", "releases/tags", Said(200, said))
    with pytest.raises(PublishError) as caught:
        publisher().stage(release)
    assert caught.value.render() == (
        "github owner/dogs: the service answered otherwise than its documentation says\n"
        "  hint: is its address right?"
    )


def test_an_asset_that_somebody_else_sent_meanwhile_is_looked_at(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    exists = Said(422, {"message": "Validation Failed", "errors": [{"code": "already_exists"}]})
    github.fail("POST", "assets$", exists, after=True)
    publisher().stage(release)
    assert github.names(draft=True) == ASSETS
    assert github.count("DELETE") == 0


# --- digests ------------------------------------------------------------------------------------


def test_without_digests_of_the_service_assets_are_read_back(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    github.digests = False
    publisher().stage(release)
    blobs = sum(r.path.startswith("/blobs/") for r in github.requests)
    assert blobs == len(ASSETS)
    before = github.count("POST")
    publisher().stage(release)
    assert github.count("POST") == before


@pytest.mark.parametrize("digests", [True, False])
def test_an_asset_that_arrived_with_other_bytes_is_sent_again(
    github: GitHubDouble, publisher: Open, release: Bundle, digests: bool
) -> None:
    github.digests = digests
    publisher().stage(release)
    number, asset = next((i, a) for i, a in github.assets.items() if a["name"] == "README.md")
    github.bytes[number] = b"x" * asset["size"]
    if digests:
        asset["digest"] = "sha256:" + "0" * 64
    publisher().stage(release)
    again = next(i for i, a in github.assets.items() if a["name"] == "README.md")
    assert github.bytes[again] == (release.folder / "README.md").read_bytes()


# --- the token ----------------------------------------------------------------------------------


def test_without_a_token_it_says_which_variable_to_set(publisher: Open, release: Bundle) -> None:
    assert publisher({}).check(release) == (
        "github owner/dogs: GITHUB_TOKEN is not set\n"
        "  hint: set it to a token with the right to write contents"
    )


def test_another_variable_can_hold_the_token(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    place = publisher({"RELEASE_TOKEN": f"{TOKEN}\n"}, token_env="RELEASE_TOKEN")
    assert place.check(release) is None


def test_a_token_that_is_none_is_refused_without_being_told(
    publisher: Open, release: Bundle
) -> None:
    said = publisher({"GITHUB_TOKEN": "two\nlines"}).check(release)
    assert said == "github owner/dogs: GITHUB_TOKEN holds characters that no token has"


@pytest.mark.parametrize("failure", [401, 500, None])
def test_the_token_is_in_no_message_no_traceback_and_no_log(
    github: GitHubDouble,
    publisher: Open,
    release: Bundle,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    failure: int | None,
) -> None:
    echo = Said(failure, {"message": f"you sent Bearer {TOKEN}"}) if failure else None
    github.fail("GET", "releases", echo, times=99)
    with caplog.at_level(logging.DEBUG), pytest.raises(PublishError) as caught:
        publisher().stage(release)
    error = caught.value
    told = [error.render(), str(error), repr(error), caplog.text]
    told += traceback.format_exception(error)
    told += capfd.readouterr()
    assert not [text for text in told if TOKEN in text]


def test_the_token_is_not_sent_to_an_upload_address_elsewhere(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    github.upload_host = "https://evil.example.com"
    with pytest.raises(PublishError) as caught:
        publisher().stage(release)
    assert caught.value.render() == (
        "github owner/dogs: refused to send the token to evil.example.com"
    )


def test_a_netrc_does_not_take_the_tokens_place(
    github: GitHubDouble, publisher: Open, release: Bundle, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine 127.0.0.1 login me password mine\n")
    (home / ".netrc").chmod(0o600)
    publisher().stage(release)
    assert {r.headers["authorization"] for r in github.requests} == {f"Bearer {TOKEN}"}


def test_a_ci_of_another_server_must_say_where_it_publishes(
    tmp_path: Path, release: Bundle
) -> None:
    environ = {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": "https://git.example.com/api/v3"}
    (place,) = open_publishers([{"github": "owner/dogs"}], tmp_path, environ)
    assert place.check(release) == (
        "github owner/dogs: this CI belongs to another server than https://api.github.com\n"
        "  hint: say which one is meant: api_url: https://git.example.com/api/v3"
    )


# --- names and sizes ----------------------------------------------------------------------------


def test_a_dry_run_without_a_folder_asks_whether_the_version_is_free(
    github: GitHubDouble, publisher: Open, release: Bundle, tmp_path: Path
) -> None:
    unwritten = Bundle(tmp_path / "no", "dogs", "1.2.0", release.tag, release.commit, "")
    assert publisher().check(unwritten) is None
    publisher().stage(release)
    assert publisher().check(unwritten) is None
    github.push()
    publisher().reveal(release)
    assert publisher().check(unwritten) == (
        "github owner/dogs: dogs@v1.2.0 is published there already"
    )


def test_two_files_of_one_name_are_refused(publisher: Open, tmp_path: Path) -> None:
    files = {"artifacts/a/net.tflite": b"1", "artifacts/b/net.tflite": b"2"}
    release = write_files(tmp_path / "v", files)
    with pytest.raises(PublishError) as caught:
        publisher(assets="files").stage(release)
    assert caught.value.render() == (
        "two files of the release would both be 'net.tflite' on the server\n"
        "  hint: assets: zip packs artifacts one by one"
    )


def test_a_name_that_the_service_would_change_is_refused(publisher: Open, tmp_path: Path) -> None:
    release = write_files(tmp_path / "v", {"artifacts/a/Größe 1.tflite": b"1"})
    with pytest.raises(PublishError) as caught:
        publisher(assets="files").stage(release)
    assert caught.value.render() == (
        "a release on a server cannot hold a file of the name 'Größe 1.tflite'\n"
        "  allowed: letters and digits of ASCII, ., _, -\n  hint: or assets: zip"
    )


def test_a_file_that_is_too_large_or_empty_is_refused_before_anything_is_sent(
    github: GitHubDouble, publisher: Open, release: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlbuild.release.publish.github._LARGEST", 3000)
    with pytest.raises(PublishError) as caught:
        publisher().stage(release)
    size = _model_zip(release)
    assert caught.value.render() == (
        "github owner/dogs: a release there cannot hold dogs-1.2.0-model.zip\n"
        f"  got: {size} bytes\n  allowed: 1 to 2999 bytes"
    )
    (release.folder / "NOTES.md").write_bytes(b"")
    with pytest.raises(PublishError, match=r"cannot hold NOTES\.md"):
        publisher().stage(release)
    assert github.releases == {}


def _model_zip(release: Bundle) -> int:
    with packed(release, "zip") as assets:
        return next(a.size for a in assets if a.name == "dogs-1.2.0-model.zip")


def test_packing_leaves_nothing_behind(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    assert [p.name for p in release.folder.parent.iterdir()] == ["v1.2.0"]


def test_zips_of_a_process_that_was_killed_are_swept(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    (release.folder.parent / f".assets-{child.pid}-x").mkdir()
    ours = release.folder.parent / f".assets-{os.getpid()}-y"
    ours.mkdir()
    publisher().stage(release)
    assert [p for p in release.folder.parent.iterdir() if p.name[0] == "."] == [ours]


def test_zips_hold_sorted_members_of_a_fixed_date(
    github: GitHubDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    number = next(i for i, a in github.assets.items() if a["name"] == "dogs-1.2.0-model.zip")
    members = zipfile.ZipFile(io.BytesIO(github.bytes[number])).infolist()
    names = [m.filename for m in members]
    assert names == sorted(names)
    assert {m.date_time for m in members} == {(1980, 1, 1, 0, 0, 0)}
    assert json.loads(github.bytes[_of(github, "manifest.json")])["release"] == "1.2.0"


def _of(github: GitHubDouble, name: str) -> int:
    return next(i for i, a in github.assets.items() if a["name"] == name)
