"""Datasets on a model hub, told by a loopback double that answers as its documented API does."""

import hashlib
import json

import pytest

from mlbuild.errors import DataError, PipelineError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LATER = "f" * 40
WEIGHTS = b"weights" * 5000
CONFIG = b'{"layers": 2}\n'


def git_object(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@pytest.fixture
def hub(web, monkeypatch: pytest.MonkeyPatch):
    """A repository org/net with two files, of which one is large, at v1."""
    monkeypatch.setenv("HF_ENDPOINT", web.base + "/")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    offer(web, "v1", COMMIT)
    return web


def offer(web, rev: str, commit: str, kind: str = "models", folder: str = "", **extra) -> None:
    listed = {
        "sha": commit,
        "siblings": [
            {"rfilename": "config.json", "blobId": git_object(CONFIG)},
            {"rfilename": "onnx/net.bin", "blobId": "0" * 40,
             "lfs": {"sha256": hashlib.sha256(WEIGHTS).hexdigest(), "size": len(WEIGHTS)}},
            *extra.get("more", []),
        ],
    }  # fmt: skip
    answer = json.dumps(listed).encode()
    web.files[f"api/{kind}/org/net/revision/{rev}"] = answer
    web.files[f"api/{kind}/org/net/revision/{commit}?blobs=true"] = answer
    web.files[f"{folder}org/net/resolve/{commit}/config.json"] = CONFIG
    web.files[f"{folder}org/net/resolve/{commit}/onnx/net.bin"] = WEIGHTS


def test_a_revision_is_frozen_to_its_commit_and_its_files_verified(get, hub) -> None:
    got = get("hf", "org/net", rev="v1")
    assert (got.path / "config.json").read_bytes() == CONFIG
    assert (got.path / "onnx/net.bin").read_bytes() == WEIGHTS
    assert got.frozen["commit"] == COMMIT


def test_what_was_frozen_stays_where_the_tag_moves(get, hub) -> None:
    got = get("hf", "org/net", rev="v1")
    hub.files["api/models/org/net/revision/v1"] = json.dumps({"sha": LATER}).encode()
    asked = len(hub.asked)
    assert get("hf", "org/net", rev="v1", frozen=got.frozen) == got
    assert len(hub.asked) == asked  # in the cache: nobody is asked


def test_files_choose_one_file(get, hub) -> None:
    got = get("hf", "org/net", rev="v1", files="onnx/net.bin")
    assert got.path.name == "net.bin"
    assert not any("config" in name for name, _ in hub.asked)


def test_a_dataset_lies_below_another_address(get, hub) -> None:
    offer(hub, "main", LATER, kind="datasets", folder="datasets/")
    got = get("hf", "org/net", rev="main", type="dataset", files="config.json")
    assert got.path.read_bytes() == CONFIG


def test_a_commit_is_not_asked_for(get, hub) -> None:
    get("hf", "org/net", rev=COMMIT, files="config.json")
    assert hub.asked[0][0] == f"api/models/org/net/revision/{COMMIT}?blobs=true"


@pytest.mark.parametrize("name", ["config.json", "onnx/net.bin"])
def test_a_file_that_is_not_what_the_hub_lists_is_refused(get, hub, name: str) -> None:
    hub.files[f"org/net/resolve/{COMMIT}/{name}"] = b"tampered"
    with pytest.raises(DataError) as caught:
        get("hf", "org/net", rev="v1")
    assert "the file was deleted" in caught.value.render()


def test_a_token_is_sent_to_the_hub_alone(get, hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.login = "Bearer secret"
    with pytest.raises(DataError) as caught:
        get("hf", "org/net", rev="v1")
    assert caught.value.render() == (
        "dataset 'photos': the hub does not show org/net to you\n"
        "  got: HTTP 401\n"
        "  hint: check its name; for a private one, put an access token into HF_TOKEN"
    )
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert get("hf", "org/net", rev="v1", files="config.json").path.read_bytes() == CONFIG


def test_an_unknown_revision_is_told(get, hub) -> None:
    with pytest.raises(DataError) as caught:
        get("hf", "org/net", rev="v9")
    assert caught.value.render() == (
        "dataset 'photos': the hub has no revision 'v9' of org/net\n"
        "  got: HTTP 404\n"
        "  hint: check the name, and 'type' where it is no model"
    )


def test_a_path_that_leads_outside_is_refused(get, hub) -> None:
    offer(hub, "v1", COMMIT, more=[{"rfilename": "../../evil", "blobId": "0" * 40}])
    with pytest.raises(DataError, match="leads outside"):
        get("hf", "org/net", rev="v1")


def test_offline_asks_nobody(get, hub) -> None:
    with pytest.raises(DataError, match="--offline forbids"):
        get("hf", "org/net", rev="v1", offline=True)
    assert hub.asked == []


@pytest.mark.parametrize(
    ("repo", "options", "message"),
    [
        ("../net", {"rev": "v1"}, "no name of a repository on the hub"),
        ("org/net", {}, "needs the revision"),
        ("org/net", {"rev": "v1", "type": "weights"}, "'type' says what is in the repository"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_asked(
    get, hub, repo: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(PipelineError, match=message):
        get("hf", repo, **options)
    assert hub.asked == []
