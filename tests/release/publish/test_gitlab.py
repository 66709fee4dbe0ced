"""A GitLab release, against a double of its API that checks each request."""

import traceback
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlbuild.release.publish.opening import open_publishers
from mlbuild.release.publish.protocol import Bundle, Publisher, PublishError
from tests.release.publish.bundles import OTHER_COMMIT, Clock, write_release
from tests.release.publish.double import Said, serving
from tests.release.publish.gitlab_double import JOB, PROJECT, TOKEN, GitLabDouble

Open = Callable[..., Publisher]
NAME = f"gitlab {PROJECT}"
ASSETS = 9


@pytest.fixture
def gitlab() -> Iterator[GitLabDouble]:
    double = GitLabDouble()
    with serving(double):
        yield double
    assert double.wrong == []


@pytest.fixture
def publisher(gitlab: GitLabDouble, tmp_path: Path, clock: Clock) -> Open:
    def make(environ: dict[str, str] | None = None, **more: object) -> Publisher:
        spec = {"gitlab": PROJECT, "api_url": f"{gitlab.address}/api/v4", **more}
        known = {"GITLAB_TOKEN": TOKEN} if environ is None else environ
        return open_publishers([spec], tmp_path, known, patience=clock.patience())[0]

    return make


def test_files_come_first_and_the_release_that_names_them_last(
    gitlab: GitLabDouble, publisher: Open, release: Bundle
) -> None:
    assert publisher().check(release) is None
    assert gitlab.files == {}
    publisher().stage(release)
    assert len(gitlab.names()) == ASSETS
    assert gitlab.releases == {}
    gitlab.push()
    assert publisher().reveal(release) == f"https://gitlab.test/{PROJECT}/-/releases/dogs@v1.2.0"
    said = gitlab.releases["dogs@v1.2.0"]
    assert (said["name"], said["description"]) == ("dogs 1.2.0", "# dogs 1.2.0\n")
    assert sorted(link["name"] for link in said["assets"]["links"]) == gitlab.names()


def test_the_links_of_a_release_lead_to_its_files(
    gitlab: GitLabDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    gitlab.push()
    publisher().reveal(release)
    (link,) = (
        one
        for one in gitlab.releases["dogs@v1.2.0"]["assets"]["links"]
        if one["name"] == "README.md"
    )

    class Bare(urllib.request.HTTPRedirectHandler):
        """Follows without the token, as a browser would."""

        def redirect_request(self, request, *more):  # type: ignore[no-untyped-def]
            new = super().redirect_request(request, *more)
            new.remove_header("Private-token")
            return new

    request = urllib.request.Request(link["url"], headers={"PRIVATE-TOKEN": TOKEN})
    with urllib.request.build_opener(Bare()).open(request) as answer:
        assert answer.read() == (release.folder / "README.md").read_bytes()


def test_doing_it_all_again_uploads_and_changes_nothing(
    gitlab: GitLabDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    assert gitlab.count("PUT") == ASSETS
    publisher().stage(release)
    assert gitlab.count("PUT") == ASSETS
    gitlab.push()
    publisher().reveal(release)
    publisher().stage(release)
    publisher().reveal(release)
    assert publisher().check(release) is None
    assert (gitlab.count("PUT"), gitlab.count("POST"), gitlab.count("DELETE")) == (ASSETS, 1, 0)


def test_a_job_s_token_goes_by_its_own_header(
    gitlab: GitLabDouble, publisher: Open, release: Bundle
) -> None:
    publisher({"CI_JOB_TOKEN": JOB}).stage(release)
    assert {r.headers.get("job-token") for r in gitlab.requests} == {JOB}


def test_a_token_of_ones_own_comes_before_the_job_s(
    gitlab: GitLabDouble, publisher: Open, release: Bundle
) -> None:
    publisher({"CI_JOB_TOKEN": JOB, "GITLAB_TOKEN": TOKEN}).check(release)
    assert {r.headers.get("private-token") for r in gitlab.requests} == {TOKEN}
    publisher({"CI_JOB_TOKEN": JOB, "GITLAB_TOKEN": TOKEN}, token_env="CI_JOB_TOKEN").check(release)
    assert gitlab.requests[-1].headers.get("job-token") == JOB


def test_without_a_token_it_says_which_variable_to_set(publisher: Open, release: Bundle) -> None:
    assert publisher({}).check(release) == (
        f"{NAME}: GITLAB_TOKEN is not set\n  hint: set it to a token with the scope 'api'"
    )


def test_a_version_with_other_bytes_is_refused_and_left_alone(
    gitlab: GitLabDouble, publisher: Open, release: Bundle, tmp_path: Path
) -> None:
    publisher().stage(release)
    gitlab.push()
    publisher().reveal(release)
    before = (dict(gitlab.files), gitlab.count("PUT", "POST", "DELETE"))
    other = write_release(tmp_path / "other", README_md=b"# other\n")
    message = (
        f"{NAME}: dogs 1.2.0 is published there with other bytes: README.md: it differs\n"
        "  hint: a published version never changes: release a new one"
    )
    assert publisher().check(other) == message
    for step in (publisher().stage, publisher().reveal):
        with pytest.raises(PublishError) as caught:
            step(other)
        assert caught.value.render() == message
    assert (dict(gitlab.files), gitlab.count("PUT", "POST", "DELETE")) == before


def test_a_published_version_without_one_of_its_files_is_refused(
    gitlab: GitLabDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    gitlab.push()
    publisher().reveal(release)
    del gitlab.files[next(i for i, f in gitlab.files.items() if f["file_name"] == "NOTES.md")]
    with pytest.raises(PublishError, match=r"other bytes: NOTES\.md: it is missing there"):
        publisher().stage(release)


@pytest.mark.parametrize("may_delete", [True, False])
def test_files_of_a_release_that_was_given_up_are_replaced(
    gitlab: GitLabDouble, publisher: Open, release: Bundle, tmp_path: Path, may_delete: bool
) -> None:
    gitlab.may_delete = may_delete
    publisher().stage(release)
    other = write_release(tmp_path / "other", README_md=b"# other\n")
    publisher().stage(other)
    readmes = [i for i, f in gitlab.files.items() if f["file_name"] == "README.md"]
    assert len(readmes) == (1 if may_delete else 2)
    assert gitlab.bytes[max(readmes)] == b"# other\n"  # the newest is served
    gitlab.push()
    publisher().reveal(other)


def test_a_package_with_files_of_somebody_else_is_refused(
    gitlab: GitLabDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    gitlab.files[99] = {"id": 99, "package_id": 1, "file_name": "App.ipa", "size": 1}
    with pytest.raises(PublishError) as caught:
        publisher().stage(release)
    assert caught.value.render() == (
        f"{NAME}: the package dogs 1.2.0 holds more\n  got: App.ipa\n"
        "  hint: delete that package, or those files of it"
    )


def test_packages_with_a_similar_name_are_others(
    gitlab: GitLabDouble, publisher: Open, release: Bundle
) -> None:
    gitlab.packages["hotdogs", "1.2.0"] = 1
    gitlab.files[5] = {"id": 5, "package_id": 1, "file_name": "x", "size": 1}
    gitlab.page = 2
    publisher().stage(release)
    gitlab.push()
    gitlab.push("dogs@v1.2.0-rc.1", OTHER_COMMIT)
    publisher().reveal(release)
    assert len(gitlab.names()) == ASSETS + 1


def test_without_the_tag_nothing_is_revealed_and_no_tag_is_made(
    gitlab: GitLabDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    gitlab.push("dogs@v1.2.0-rc.1")
    with pytest.raises(PublishError) as caught:
        publisher().reveal(release)
    assert caught.value.render() == (
        f"{NAME}: the tag dogs@v1.2.0 is not there\n  hint: git push origin dogs@v1.2.0"
    )
    assert gitlab.releases == {}


def test_a_tag_on_another_commit_is_refused(
    gitlab: GitLabDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    gitlab.push(commit=OTHER_COMMIT)
    with pytest.raises(PublishError) as caught:
        publisher().reveal(release)
    assert caught.value.render() == (
        f"{NAME}: the tag dogs@v1.2.0 names another commit there\n"
        f"  got: {OTHER_COMMIT}\n  allowed: {'1' * 40}"
    )


def test_what_was_not_staged_is_not_revealed(
    gitlab: GitLabDouble, publisher: Open, release: Bundle
) -> None:
    gitlab.push()
    with pytest.raises(PublishError, match=r"not staged: NOTES\.md is missing or differs"):
        publisher().reveal(release)


@pytest.mark.parametrize("half", [True, False])
def test_an_upload_that_was_cut_off_is_made_again(
    gitlab: GitLabDouble, publisher: Open, release: Bundle, clock: Clock, half: bool
) -> None:
    gitlab.fail("PUT", "manifest", half=half, after=not half)
    publisher().stage(release)
    assert len(gitlab.names()) == ASSETS
    assert gitlab.count("PUT") == ASSETS + half  # it had arrived, where only the answer was lost
    assert clock.slept == [1.0]


@pytest.mark.parametrize("after", [True, False])
def test_a_release_whose_making_was_not_answered_is_made_once(
    gitlab: GitLabDouble, publisher: Open, release: Bundle, after: bool
) -> None:
    publisher().stage(release)
    gitlab.push()
    gitlab.fail("POST", "releases$", Said(502), after=after)
    publisher().reveal(release)
    assert list(gitlab.releases) == ["dogs@v1.2.0"]


def test_somebody_else_s_release_of_the_same_bytes_made_meanwhile_is_accepted(
    gitlab: GitLabDouble, publisher: Open, release: Bundle
) -> None:
    publisher().stage(release)
    gitlab.push()
    gitlab.fail("POST", "releases$", Said(409, {"message": "Release already exists"}), after=True)
    publisher().reveal(release)
    assert list(gitlab.releases) == ["dogs@v1.2.0"]


def test_a_rate_limit_is_waited_for_as_told(
    gitlab: GitLabDouble, publisher: Open, release: Bundle, clock: Clock
) -> None:
    gitlab.fail("GET", "packages", Said(429, {"message": "slow"}, headers={"Retry-After": "9"}))
    publisher().stage(release)
    assert clock.slept == [9.0]


def test_without_digests_of_the_service_files_are_read_back(
    gitlab: GitLabDouble, publisher: Open, release: Bundle
) -> None:
    gitlab.digests = False
    publisher().stage(release)
    assert sum(r.path.startswith("/storage/") for r in gitlab.requests) >= ASSETS
    before = gitlab.count("PUT")
    publisher().stage(release)
    assert gitlab.count("PUT") == before == ASSETS


def test_a_project_that_is_not_there_is_told(publisher: Open, release: Bundle) -> None:
    assert publisher(gitlab="group/cats").check(release) == (
        "gitlab group/cats: there is no such project, or the token may not see it\n"
        "  hint: check its name and the token's rights"
    )


def test_a_refused_token_is_told_and_is_in_no_traceback(
    gitlab: GitLabDouble, publisher: Open, release: Bundle
) -> None:
    gitlab.fail("GET", "releases", Said(401, {"message": f"401 Unauthorized: {TOKEN}"}))
    with pytest.raises(PublishError) as caught:
        publisher().stage(release)
    assert "  got: 401 401 Unauthorized: ***\n" in caught.value.render()
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_a_dry_run_without_a_folder_asks_whether_the_version_is_free(
    gitlab: GitLabDouble, publisher: Open, release: Bundle, tmp_path: Path
) -> None:
    unwritten = Bundle(tmp_path / "no", "dogs", "1.2.0", release.tag, release.commit, "")
    assert publisher().check(unwritten) is None
    publisher().stage(release)
    gitlab.push()
    publisher().reveal(release)
    assert publisher().check(unwritten) == f"{NAME}: dogs@v1.2.0 is published there already"


def test_a_ci_of_another_server_must_say_where_it_publishes(
    tmp_path: Path, release: Bundle
) -> None:
    environ = {"CI_JOB_TOKEN": JOB, "CI_API_V4_URL": "https://git.example.com/api/v4"}
    (place,) = open_publishers([{"gitlab": "g/p"}], tmp_path, environ)
    assert place.check(release) == (
        "gitlab g/p: this CI belongs to another server than https://gitlab.com/api/v4\n"
        "  hint: say which one is meant: api_url: https://git.example.com/api/v4"
    )
