"""Reading what an attacker may have written: JSON, paths, folders, the signature's file."""

import base64
import json
import os
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbuild.errors import DataError
from mlbuild.release.checking.bundle import read_bundle
from mlbuild.release.checking.finding import About, Finding
from mlbuild.release.checking.folder import look
from mlbuild.release.checking.paths import collisions, why_unsafe
from mlbuild.release.checking.strict_json import MAX_BYTES, parse
from mlbuild.release.signing import sign
from tests.release.keys import pair

# --- JSON ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is not JSON: line 1, column 1: Expecting value"),
        (b'{"a": 1,\n}', "is not JSON: line 2, column 1"),
        (b'{"a": 1} {"a": 2}', "is not JSON: line 1, column 10: Extra data"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', 'has the key "c" twice in one object'),
        (b'{"\\u0061": 1, "a": 2}', 'has the key "a" twice in one object'),
        (b"[NaN]", "holds NaN, which is not JSON"),
        (b"[-Infinity]", "holds -Infinity, which is not JSON"),
        (b'"\xff"', "is not UTF-8: byte 1 is 0xff"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        (b"[1e400]", "holds a number that is too large: 1e400"),
        (b"[" * 200_000 + b"]" * 200_000, "is nested too deeply"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "is nested too deeply"),
        (b"[" + b"9" * 10_000 + b"]", "holds a number of absurd length"),
        (b" " * (MAX_BYTES + 1), "is larger than 64 MiB"),
    ],
    ids=[
        "empty", "comma", "two values", "key twice", "key twice in disguise", "nan", "infinity",
        "latin", "byte order mark", "large number", "deep", "too deep to print", "long number",
        "huge",
    ],
)  # fmt: skip
def test_json_that_means_nothing_or_two_things_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse(data)
    assert str(caught.value).startswith(why)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@given(VALUES, st.sampled_from([None, 2]), st.booleans())
def test_what_json_writes_is_read_back(value: object, indent: int | None, plain: bool) -> None:
    assert parse(json.dumps(value, indent=indent, ensure_ascii=plain).encode()) == value


@given(st.binary(max_size=64))
def test_bytes_are_a_value_or_refused_with_a_reason(data: bytes) -> None:
    try:
        parse(data)
    except ValueError as error:
        assert str(error)


# --- paths --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "it is empty"),
        ("/etc/passwd", "it is absolute"),
        ("../manifest.json", "it leads outside of the folder"),
        ("artifacts/../../x", "it leads outside of the folder"),
        ("artifacts/..", "it leads outside of the folder"),
        ("artifacts//x", "it is not the plain spelling of a path"),
        ("./x", "it is not the plain spelling of a path"),
        ("x/", "it is not the plain spelling of a path"),
        ("..\\x", "it holds a backslash, which parts folders on other systems"),
        ("x\0y", "it holds a control character"),
        ("x\x1b[2J", "it holds a control character"),
        ("x\ud800", "it holds a control character"),
        ("a/" * 2047 + "ab", "it is longer than 4096 characters"),
    ],
)
def test_a_path_that_may_leave_the_folder_is_told(path: str, why: str) -> None:
    assert why_unsafe(path) == why


@pytest.mark.parametrize("path", ["a", "a/b.c", "..a/b..", "artifacts/Größe.bin", "a b/c'd\"e"])
def test_plain_paths_are_none_of_that(path: str) -> None:
    assert why_unsafe(path) is None


@given(st.text())
def test_a_path_that_passes_stays_inside_wherever_it_is_joined(path: str) -> None:
    if why_unsafe(path) is None:
        root = Path("/somewhere/release")
        joined = Path(os.path.normpath(root / path))
        assert joined.is_relative_to(root)
        assert joined != root


def test_names_that_one_disk_tells_apart_and_another_does_not() -> None:
    decomposed = unicodedata.normalize("NFD", "Größe")
    assert collisions(["a/b", "A/c"]) == [("a", "A")]
    assert collisions(["Weights.bin", "weights.bin"]) == [("Weights.bin", "weights.bin")]
    assert collisions(["x/Größe", f"x/{decomposed}"]) == [("x/Größe", f"x/{decomposed}")]
    assert collisions(["straße", "STRASSE"]) == [("straße", "STRASSE")]
    assert collisions(["x/a/b", "x/A/c", "x/A/d"]) == [("x/a", "x/A")]
    assert collisions(["a", "a/b", "b", "ab"]) == []


# --- folders ------------------------------------------------------------------------------------


def test_links_pipes_and_empty_folders_are_seen_and_never_followed(tmp_path: Path) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/file").write_text("one\n")
    (tmp_path / "link").symlink_to("/etc")
    (tmp_path / "gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    seen = look(tmp_path)
    assert list(seen.files) == ["in/file"]
    assert seen.files["in/file"].md5 == "5bbf5a52328e7439ae6e719dfe712200"
    assert seen.strange == {
        "link": "a link to /etc",
        "gone": "a link to nowhere",
        "pipe": "a pipe",
    }
    assert seen.empty == ("in/deep",)


def test_a_thousand_folders_in_each_other_are_read(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(1020):  # deeper than Python calls itself
            os.mkdir("d", dir_fd=here)
            inner = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
    finally:
        os.close(here)
    try:
        assert look(tmp_path).empty == ("/".join(["d"] * 1020),)
    finally:
        # pytest's own cleaning calls itself once for each of them, which is too often.
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


def test_the_folder_itself_may_be_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "v2.0.0").mkdir()
    (tmp_path / "v2.0.0/file").touch()
    (tmp_path / "latest").symlink_to("v2.0.0")
    assert list(look(tmp_path / "latest").files) == ["file"]


@pytest.mark.parametrize("what", ["file", "nothing"])
def test_what_is_no_folder_is_no_release(tmp_path: Path, what: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=f"{what} is no folder"):
        look(tmp_path / what)


def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").touch()

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DataError, match="x cannot be read: Permission denied"):
        look(tmp_path)


def test_a_document_that_changes_while_it_is_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("one")
    seen = look(tmp_path)
    (tmp_path / "x").write_text("two")
    with pytest.raises(ValueError, match="changed while it was read"):
        seen.document("x")


# --- what is printed ----------------------------------------------------------------------------


def test_a_name_cannot_steer_the_terminal() -> None:
    finding = Finding(About.FILE, "a\x1b[2Jb", "odd\r\nintact", found="\u202egnp.exe")
    told = "\n".join(finding.lines())
    assert told == "file: a\\x1b[2Jb: odd\\r\\nintact\n  found     \\u202egnp.exe"


def test_a_text_of_a_megabyte_is_not_printed(tmp_path: Path) -> None:
    (line,) = Finding(About.FILE, "x", "y" * 1_000_000).lines()
    assert line == f"file: x: {'y' * 997}..."


# --- the signature's file -----------------------------------------------------------------------


@pytest.fixture
def signature(tmp_path: Path) -> bytes:
    folder = tmp_path / "v1"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    made = sign(folder, {"key_env": "KEY"}, {"KEY": pair()[0]}, tmp_path)
    assert made
    return made.read_bytes()


def test_a_signature_is_read_as_it_was_written(signature: bytes) -> None:
    bundle = read_bundle(signature)
    empty = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert bundle.files == {"manifest.json": empty}
    assert bundle.folder == "v1"


def test_no_byte_of_a_signatures_file_can_be_another(signature: bytes) -> None:
    """What is not refused here is held against the key: of these bytes none is left over."""
    before = read_bundle(signature)
    value = json.loads(signature)
    proven = {value["dsseEnvelope"][k] for k in ("payload",)} | {
        value["dsseEnvelope"]["signatures"][0]["sig"]
    }
    for offset in range(len(signature)):
        changed = bytearray(signature)
        changed[offset] ^= 0x01
        try:
            after = read_bundle(bytes(changed))
        except ValueError:
            continue
        envelope = json.loads(bytes(changed))["dsseEnvelope"]
        parts = {envelope["payload"], envelope["signatures"][0]["sig"]}
        assert parts != proven or after.key != before.key, offset


def rebuilt(change: Callable[[dict], None], payload: Callable[[dict], None] | None = None):  # type: ignore[type-arg, no-untyped-def]
    def edit(signature: bytes) -> bytes:
        value = json.loads(signature)
        if payload:
            statement = json.loads(base64.b64decode(value["dsseEnvelope"]["payload"]))
            payload(statement)
            encoded = base64.b64encode(json.dumps(statement).encode()).decode()
            value["dsseEnvelope"]["payload"] = encoded
        change(value)
        return json.dumps(value, separators=(",", ":")).encode()

    return edit


def nothing(value: object) -> None:
    """Leaves it."""


PREDICATE = "predicate"
ROWS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "text": (lambda s: b"signed!", "is not JSON"),
    "list": (lambda s: b"[]", "is no signature in the format"),
    "another format": (rebuilt(lambda v: v.update(mediaType="x")), "is no signature in the format"),
    "no envelope": (rebuilt(lambda v: v.pop("dsseEnvelope")), "holds no signed statement"),
    "payload type": (
        rebuilt(lambda v: v["dsseEnvelope"].update(payloadType="text/plain")),
        "signs no statement of type application/vnd.in-toto+json",
    ),
    "no payload": (
        rebuilt(lambda v: v["dsseEnvelope"].pop("payload")),
        "holds more, or less, than a signature with a key",
    ),
    "payload no text": (
        rebuilt(lambda v: v["dsseEnvelope"].update(payload="!!")),
        "holds what is not base64",
    ),
    "base64 with bits over": (
        rebuilt(lambda v: v["dsseEnvelope"]["signatures"][0].update(sig="QUJDRB==")),
        "holds base64 with bits that mean nothing",
    ),
    "no hint of the key": (
        rebuilt(lambda v: v["verificationMaterial"]["publicKey"].clear()),
        "does not name its key by a SHA-256",
    ),
    "two signatures": (
        rebuilt(lambda v: v["dsseEnvelope"]["signatures"].append({"sig": "", "keyid": ""})),
        "holds no signed statement",
    ),
    "a key's id": (
        rebuilt(lambda v: v["dsseEnvelope"]["signatures"][0].update(keyid="me")),
        "holds more, or less, than a signature with a key",
    ),
    "something more": (
        rebuilt(lambda v: v.update(comment="trust me")),
        "holds more, or less, than a signature with a key",
    ),
    "a space": (
        lambda s: s + b"\n",
        "is not spelled as it was written",
    ),
    "another predicate": (
        rebuilt(nothing, lambda p: p.update(predicateType="https://model_signing/Digests/v0.1")),
        "signs another kind of statement",
    ),
    "no files": (rebuilt(nothing, lambda p: p.pop(PREDICATE)), "signs no list of a model's files"),
    "a file left out": (
        rebuilt(nothing, lambda p: p[PREDICATE]["serialization"]["ignore_paths"].append("evil")),
        "signs the folder in another way: leaves out ['model.sig', 'evil']",
    ),
    "links followed": (
        rebuilt(nothing, lambda p: p[PREDICATE]["serialization"].update(allow_symlinks=True)),
        "signs the folder in another way: is {",
    ),
    "a file twice": (
        rebuilt(nothing, lambda p: p[PREDICATE]["resources"].append(p[PREDICATE]["resources"][0])),
        "lists a file twice, or without its SHA-256",
    ),
    "a weak digest": (
        rebuilt(nothing, lambda p: p[PREDICATE]["resources"][0].update(algorithm="md5")),
        "lists a file twice, or without its SHA-256",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_what_is_no_plain_signature_of_the_whole_folder_is_refused(
    signature: bytes, name: str
) -> None:
    edit, why = ROWS[name]
    with pytest.raises(ValueError, match=r".") as caught:
        read_bundle(edit(signature))
    assert str(caught.value).startswith(why)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_signature_or_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_bundle(data)
