"""S3-compatible storage, on a server of this machine."""

import json
import sys
import tracemalloc
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlbuild.release.publish import bucket as buckets
from mlbuild.release.publish.opening import open_publishers
from mlbuild.release.publish.protocol import Bundle, Publisher, PublishError
from tests.release.publish.bundles import Clock, tree, write_files, write_release

Open = Callable[..., Publisher]
PREFIX = "models/dogs/v1.2.0/"


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    from moto.server import ThreadedMotoServer  # lazy: only this fixture pays for it

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def descriptions() -> Any:
    """The library's descriptions of services, read once: each client would read them again."""
    from botocore.loaders import create_loader

    return create_loader()


@pytest.fixture
def endpoint(
    storage: str, descriptions: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The storage, empty but for one bucket, and nobody's credentials."""
    monkeypatch.setattr("botocore.session.create_loader", lambda *_: descriptions)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        (tmp_path / name).touch()
        monkeypatch.setenv(name, str(tmp_path / name))
    for method, path in (("POST", "/moto-api/reset"), ("PUT", "/team")):
        urllib.request.urlopen(urllib.request.Request(f"{storage}{path}", method=method)).close()
    return storage


@pytest.fixture
def client(endpoint: str) -> Any:
    import botocore.session

    return botocore.session.Session().create_client(
        "s3", endpoint_url=endpoint, region_name="us-east-1"
    )


@pytest.fixture
def publisher(endpoint: str, tmp_path: Path, clock: Clock) -> Open:
    def make(target: str = "s3://team/models", **more: object) -> Publisher:
        spec = {"s3": target, "endpoint_url": endpoint, **more}
        return open_publishers([spec], tmp_path, {}, patience=clock.patience())[0]

    return make


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the storage from now on, without reading."""
    verbs: list[str] = []
    real = buckets.Bucket._ask

    def ask(self: buckets.Bucket, verb: str, **asked: Any) -> Any:
        if verb.split("_")[0] not in ("head", "get", "list"):
            verbs.append(f"{verb} {asked['Key'].rpartition('/')[2]}")
        return real(self, verb, **asked)

    monkeypatch.setattr(buckets.Bucket, "_ask", ask)
    return verbs


def _keys(client: Any) -> list[str]:
    return [o["Key"] for o in client.list_objects_v2(Bucket="team").get("Contents", ())]


def _read(client: Any, key: str) -> bytes:
    return bytes(client.get_object(Bucket="team", Key=key)["Body"].read())


def test_a_version_is_nowhere_until_its_manifest_comes_last(
    publisher: Open, release: Bundle, client: Any, sent: list[str]
) -> None:
    assert publisher().check(release) is None
    assert _keys(client) == []
    publisher().stage(release)
    files = tree(release.folder)
    assert _keys(client) == sorted(PREFIX + f for f in files if f != "manifest.json")
    sent.clear()
    assert publisher().reveal(release) == "s3://team/models/dogs/v1.2.0/"
    assert sent == ["put_object manifest.json", "put_object latest.json"]
    assert {f: _read(client, PREFIX + f) for f in files} == files
    pointer = json.loads(_read(client, "models/dogs/latest.json"))
    assert (pointer["release"], pointer["manifest"]) == ("1.2.0", "v1.2.0/manifest.json")


def test_doing_it_all_again_sends_nothing(
    publisher: Open, release: Bundle, sent: list[str]
) -> None:
    publisher().stage(release)
    assert len(sent) == len(tree(release.folder)) - 1
    sent.clear()
    publisher().stage(release)
    assert sent == []
    publisher().reveal(release)
    sent.clear()
    publisher().stage(release)
    publisher().reveal(release)
    assert publisher().check(release) is None
    assert sent == []


def test_an_interrupted_stage_sends_only_what_is_missing(
    publisher: Open, release: Bundle, client: Any, sent: list[str]
) -> None:
    publisher().stage(release)
    client.delete_object(Bucket="team", Key=f"{PREFIX}README.md")
    client.put_object(Bucket="team", Key=f"{PREFIX}NOTES.md", Body=b"half")
    sent.clear()
    publisher().stage(release)
    assert sent == ["put_object NOTES.md", "put_object README.md"]


@pytest.mark.parametrize(
    ("path", "data", "why"),
    [
        ("README.md", b"# other\n", "README.md: it differs"),
        ("card.html", None, "card.html: it is missing there"),
        ("more", b"x", "more: it is not of this release"),
    ],
)
def test_a_version_with_other_bytes_is_refused_and_left_alone(
    publisher: Open,
    release: Bundle,
    client: Any,
    sent: list[str],
    path: str,
    data: bytes | None,
    why: str,
) -> None:
    publisher().stage(release)
    publisher().reveal(release)
    if data is None:
        client.delete_object(Bucket="team", Key=PREFIX + path)
    else:
        client.put_object(Bucket="team", Key=PREFIX + path, Body=data)
    sent.clear()
    message = (
        f"s3://team/models: dogs 1.2.0 is published there with other bytes: {why}\n"
        "  hint: a published version never changes: release a new one"
    )
    assert publisher().check(release) == message
    for step in (publisher().stage, publisher().reveal):
        with pytest.raises(PublishError) as caught:
            step(release)
        assert caught.value.render() == message
    assert sent == []


def test_what_lies_where_a_version_should_come_is_refused(
    publisher: Open, release: Bundle, client: Any
) -> None:
    client.put_object(Bucket="team", Key=f"{PREFIX}stray.bin", Body=b"x")
    with pytest.raises(PublishError) as caught:
        publisher().stage(release)
    assert caught.value.render() == (
        "s3://team/models: what is not of dogs 1.2.0 lies there\n"
        "  got: stray.bin\n  hint: delete it below models/dogs/v1.2.0/"
    )


def test_a_second_signature_of_the_same_bytes_is_no_difference(
    publisher: Open, release: Bundle, tmp_path: Path, sent: list[str]
) -> None:
    publisher().stage(release)
    publisher().reveal(release)
    sent.clear()
    publisher().stage(write_release(tmp_path / "again", signature=b"signed twice"))
    assert sent == []


def test_what_was_spoilt_after_it_was_staged_is_not_revealed(
    publisher: Open, release: Bundle, client: Any
) -> None:
    publisher().stage(release)
    client.put_object(Bucket="team", Key=f"{PREFIX}README.md", Body=b"spoilt")
    with pytest.raises(PublishError, match=r"not staged: README\.md is missing or differs"):
        publisher().reveal(release)
    assert f"{PREFIX}manifest.json" not in _keys(client)


@pytest.mark.parametrize("same", [True, False])
def test_of_two_at_once_the_first_manifest_stays(
    publisher: Open,
    release: Bundle,
    client: Any,
    same: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publisher().stage(release)
    manifest = (release.folder / "manifest.json").read_bytes()
    theirs = manifest if same else manifest.replace(b"1", b"2")
    place = publisher()
    real = buckets.Bucket.put

    def slower(self: buckets.Bucket, key: str, one: Any, *, new: bool = False) -> None:
        client.put_object(Bucket="team", Key=key, Body=theirs)
        real(self, key, one, new=new)

    monkeypatch.setattr(buckets.Bucket, "put", slower)
    if same:
        place.reveal(release)
    else:
        with pytest.raises(PublishError, match=r"with other bytes: manifest\.json: it differs"):
            place.reveal(release)
    assert _read(client, f"{PREFIX}manifest.json") == theirs


def test_the_pointer_does_not_go_back(
    publisher: Open, release: Bundle, client: Any, tmp_path: Path
) -> None:
    for one in (release, write_release(tmp_path / "old", "1.1.5")):
        publisher().stage(one)
        publisher().reveal(one)
    assert json.loads(_read(client, "models/dogs/latest.json"))["release"] == "1.2.0"
    assert "models/dogs/v1.1.5/manifest.json" in _keys(client)


@pytest.mark.parametrize(("other", "latest"), [("1.3.0", "1.3.0"), ("1.1.5", "1.2.0")])
def test_of_two_versions_at_once_the_pointer_names_the_newer_one(
    publisher: Open,
    release: Bundle,
    client: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    other: str,
    latest: str,
) -> None:
    others = [write_release(tmp_path / "other", other)]
    publisher().stage(others[0])
    publisher().stage(release)
    real = buckets.Bucket.write

    def slower(self: buckets.Bucket, key: str, data: bytes, over: str) -> None:
        while others:
            publisher().reveal(others.pop())
        real(self, key, data, over)

    monkeypatch.setattr(buckets.Bucket, "write", slower)
    publisher().reveal(release)
    assert json.loads(_read(client, "models/dogs/latest.json"))["release"] == latest


def test_a_bucket_without_a_prefix_will_do(publisher: Open, release: Bundle, client: Any) -> None:
    place = publisher("s3://team/")
    place.stage(release)
    assert place.reveal(release) == "s3://team/dogs/v1.2.0/"
    assert "dogs/latest.json" in _keys(client)


def test_a_dry_run_without_a_folder_asks_whether_the_version_is_free(
    publisher: Open, release: Bundle, tmp_path: Path
) -> None:
    unwritten = Bundle(tmp_path / "no", "dogs", "1.2.0", release.tag, release.commit, "")
    assert publisher().check(unwritten) is None
    publisher().stage(release)
    assert publisher().check(unwritten) is None
    publisher().reveal(release)
    assert publisher().check(unwritten) == "s3://team/models: dogs 1.2.0 is there already"


def test_a_long_list_of_files_comes_in_pages(
    publisher: Open, release: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = buckets.Bucket._ask

    def paged(self: buckets.Bucket, verb: str, **asked: Any) -> Any:
        more = {"MaxKeys": 3} if verb == "list_objects_v2" else {}
        return real(self, verb, **asked, **more)

    monkeypatch.setattr(buckets.Bucket, "_ask", paged)
    publisher().stage(release)
    publisher().reveal(release)
    assert publisher().check(release) is None


# --- large files --------------------------------------------------------------------------------


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setattr(buckets, "PART", 5 << 20)  # the least that S3 takes
    weights = bytes(range(256)) * (11 << 12)  # 11 MiB: three parts
    return write_files(tmp_path / "large", {"artifacts/model/weights.bin": weights})


def test_a_large_file_goes_in_parts(
    publisher: Open, large: Bundle, client: Any, sent: list[str]
) -> None:
    publisher().stage(large)
    parts = [s for s in sent if s.endswith("weights.bin")]
    assert parts == [
        "create_multipart_upload weights.bin",
        *["upload_part weights.bin"] * 3,
        "complete_multipart_upload weights.bin",
    ]
    sent.clear()
    publisher().stage(large)
    assert sent == []
    publisher().reveal(large)
    assert (
        _read(client, f"{PREFIX}artifacts/model/weights.bin")
        == (large.folder / "artifacts/model/weights.bin").read_bytes()
    )


@pytest.mark.parametrize(("changed", "parts"), [(False, 1), (True, 2)])
def test_an_interrupted_large_file_goes_on_with_its_next_part(
    publisher: Open,
    large: Bundle,
    sent: list[str],
    monkeypatch: pytest.MonkeyPatch,
    changed: bool,
    parts: int,
) -> None:
    counting = buckets.Bucket._ask

    def dies(self: buckets.Bucket, verb: str, **asked: Any) -> Any:
        if verb == "upload_part" and asked["PartNumber"] == 3:
            raise KeyboardInterrupt
        return counting(self, verb, **asked)

    with monkeypatch.context() as patched:
        patched.setattr(buckets.Bucket, "_ask", dies)
        with pytest.raises(KeyboardInterrupt):
            publisher().stage(large)
    if changed:  # another release of that version, whose second part is another
        file = large.folder / "artifacts/model/weights.bin"
        with file.open("r+b") as weights:
            weights.seek(6 << 20)
            weights.write(b"other bytes")
    sent.clear()
    publisher().stage(large)
    assert [s for s in sent if s.endswith("weights.bin")] == [
        *["upload_part weights.bin"] * parts,
        "complete_multipart_upload weights.bin",
    ]


def test_a_storage_that_tells_no_digests_is_read_back(
    publisher: Open, large: Bundle, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = buckets.Bucket._ask
    read: list[str] = []

    def plain(self: buckets.Bucket, verb: str, **asked: Any) -> Any:
        """A storage that has never heard of digests and conditions."""
        if {"ChecksumSHA256", "ChecksumAlgorithm", "IfNoneMatch", "IfMatch"} & asked.keys():
            raise buckets._UnknownError("A header you provided implies functionality that is not")
        if verb == "get_object":
            read.append(asked["Key"].rpartition("/")[2])
        answer = counting(self, verb, **asked)
        answer.pop("ChecksumSHA256", None)
        return answer

    monkeypatch.setattr(buckets.Bucket, "_ask", plain)
    publisher().stage(large)
    publisher().reveal(large)
    assert set(read) >= {"weights.bin", "model.sig", "manifest.json"}
    sent.clear()
    publisher().stage(large)
    assert sent == []


def test_parts_grow_with_the_file_and_are_a_function_of_its_size() -> None:
    assert buckets.part_size(1) == buckets.PART == 16 << 20
    assert buckets.part_size(10_000 * (16 << 20)) == 16 << 20
    assert buckets.part_size(10_000 * (16 << 20) + 1) == 17 << 20


# --- what goes wrong ----------------------------------------------------------------------------


def test_a_bucket_that_is_not_there_is_told(publisher: Open, release: Bundle) -> None:
    assert publisher("s3://nobodys/models").check(release) == (
        "s3://nobodys/models: GetObject was refused\n"
        "  got: NoSuchBucket The specified bucket does not exist\n  hint: make the bucket first"
    )


def test_without_credentials_it_says_what_to_set(
    publisher: Open, release: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    assert publisher().check(release) == (
        "s3://team/models: no credentials were found\n"
        "  hint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
    )


def test_a_profile_that_is_not_there_is_told(publisher: Open, release: Bundle) -> None:
    assert publisher(profile="nobody").check(release) == (
        "s3://team/models: no answer\n  got: The config profile (nobody) could not be found"
    )


def test_a_storage_that_does_not_answer_is_told_without_its_secrets(
    endpoint: str, release: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    secret = "wJalrXUtnFEMI"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    patience = clock.patience()
    from dataclasses import replace

    (place,) = open_publishers(
        [{"s3": "s3://team", "endpoint_url": "http://127.0.0.1:9"}],
        tmp_path,
        {"AWS_SECRET_ACCESS_KEY": secret},
        patience=replace(patience, tries=1),
    )
    said = place.check(release)
    assert said is not None
    assert said.startswith("s3://team: no answer\n  got: Could not connect to the endpoint URL")
    assert secret not in said


def test_without_the_library_it_says_what_to_install(
    publisher: Open, release: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    assert publisher().check(release) == (
        "s3://team/models: the S3 client is not installed\n"
        "  hint: pip install 'mlbuild-pipelines[s3]' (or dvc-s3)"
    )


def test_a_library_that_is_too_old_is_told(
    publisher: Open, release: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def old(**settings: object) -> None:
        raise TypeError("Got unexpected keyword argument 'request_checksum_calculation'")

    monkeypatch.setattr("botocore.config.Config", old)
    assert publisher().check(release) == (
        "s3://team/models: the S3 client is too old\n"
        "  hint: pip install --upgrade dvc-s3 botocore (1.36 or later)"
    )


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(
    publisher: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = write_files(tmp_path / "v", {"README.md": b"x"})
    (release.folder / "artifacts").mkdir()
    with (release.folder / "artifacts/weights.bin").open("wb") as file:
        file.truncate(200 << 20)
    sizes: list[int] = []

    def ask(self: buckets.Bucket, verb: str, **asked: Any) -> Any:
        """The server of the tests keeps everything in this very process."""
        sizes.append(len(asked.get("Body", b"")))
        known = {"list_multipart_uploads": {}, "create_multipart_upload": {"UploadId": "1"}}
        return known.get(verb, {"ETag": "x", "ContentLength": -1})

    monkeypatch.setattr(buckets.Bucket, "_ask", ask)
    place = publisher()
    bucket = place._bucket  # type: ignore[attr-defined]
    from mlbuild.release.publish.contents import contents

    (one,) = (h for h in contents(release) if h.path.endswith(".bin"))
    tracemalloc.start()
    bucket.put("key", one)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(sizes) == one.size
    assert peak < 3 * buckets.PART  # one part, and the next one being read
