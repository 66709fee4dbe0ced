"""Attacks on bundles, played against the independent client over HTTP (docs/ota.md lists them)."""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from pathlib import Path

import pytest

pytest.importorskip("cryptography")
np = pytest.importorskip("numpy")

from tests.ota_client.wire import Refusal, derived  # noqa: E402 - after the skip
from tests.stages_in.conftest import _harness  # noqa: E402
from tests.stages_in.release.conftest import packer, set_keys, write_model  # noqa: E402
from tests.stages_in.release.ota_world import MASTER, OTHER_SEED, SEED, public, signed  # noqa: E402
from tests.stages_in.release.ota_world import world as make_world  # noqa: E402

pytestmark = pytest.mark.toolchain
PAGE = Path(__file__).parents[3] / "docs/ota.md"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """One and two, plain and encrypted; two with patches from one and from another."""
    folder = tmp_path_factory.mktemp("bundles")
    weights = np.random.default_rng(0).normal(0, 0.1, 8000).astype("float16")
    moved = weights + np.float16(0.25) * (np.arange(8000) % 97 == 0)
    one = write_model(folder / "1/Dogs.mlpackage", weights.tobytes())
    two = write_model(
        folder / "2/Dogs.mlpackage", moved.astype("float16").tobytes(), text=b"other", indent=2
    )
    apart = (weights - np.float16(0.5) * (np.arange(8000) % 89 == 0)).astype("float16")
    other = write_model(folder / "0/Dogs.mlpackage", apart.tobytes())
    with pytest.MonkeyPatch.context() as patch:
        set_keys(patch)
        pack = packer(_harness().runner(patch, "release"), folder)
        made = {
            "one": pack(one),
            "two": pack(two, sequence=2),
            "sealed": pack(two, sequence=2, encryption_key="OTA_KEY"),
            "patched": pack(two, sequence=2, previous=[one]),
            "patched from another": pack(two, sequence=2, previous=[other]),
        }
    assert all(ran.ok for ran in made.values()), [ran.error for ran in made.values()]
    return {name: ran.outputs["bundle"] for name, ran in made.items()}


@pytest.fixture
def world(bundles, tmp_path):
    """An app that has version one, and a server that has version two."""
    made = make_world(tmp_path, bundles["one"], master_keys=[MASTER])
    try:
        assert made.client.update() == "1"
        made.client.confirm()
        made.serve(bundles["two"])
        yield made
    finally:
        made.server.close()


# Each row: what is done to the server or to the app. The page names them in the same order.


def flip(name, place=100):
    def act(world, bundles):
        world.server.change[name] = lambda data: (
            data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        )

    return act


def edit(change, seed=SEED):
    return lambda world, bundles: world.edit(change, seed)


def sign(make):
    def act(world, bundles):
        (world.bundle / "bundle.sig").write_text(make(world))

    return act


def client(**facts):
    def act(world, bundles):
        for name, value in facts.items():
            setattr(world.client, name, value)

    return act


def payload(change):
    """Change the bytes of the first file as they are sent."""

    def act(world, bundles):
        name = "files/" + world.manifest()["files"][0]["transport"]["file"]
        world.server.change[name] = change

    return act


def first_file(change):
    return edit(lambda manifest: change(manifest["files"][0]))


def packed(data, compression="deflate"):
    """Serve other bytes for the first file, signed."""

    def act(world, bundles):
        names = world.payload(data)
        world.edit(lambda m: m["files"][0]["transport"].update(names, compression=compression))

    return act


def deflated(data):
    return zlib.compress(data, 9)[2:-4]


def endless(name):
    return lambda world, bundles: world.server.endless.add(name)


def seen_two(then):
    def act(world, bundles):
        assert world.client.update() == "2"
        then(world, bundles)

    return act


def sealed(then):
    def act(world, bundles):
        world.serve(bundles["sealed"])
        then(world, bundles)

    return act


def exchange(manifest):
    one, other = manifest["files"][0], manifest["files"][1]
    one["transport"], other["transport"] = other["transport"], one["transport"]
    one["size"], other["size"] = other["size"], one["size"]


def under_the_right_name(world, bundles):
    name = derived(OTHER_SEED, None, b"mlbuild-ota/1 key", 8).hex()
    world.client.master_keys = [OTHER_SEED]
    world.edit(lambda m: m["encryption"].update(key=name))


def cannot_load_two(world, bundles):
    (weights,) = (f for f in world.manifest()["files"] if f["path"].endswith("weight.bin"))
    world.broken.add(weights["sha256"])
    world.client.model()


def path(text):
    return first_file(lambda file: file.update(path=text))


def half(world):
    return (world.bundle / "bundle.sig").read_text()[:60]


PINNED = hashlib.sha256(public(SEED)).hexdigest()[:16]
ATTACKS = [
    ("a byte of bundle.json changed", "bad-signature", flip("bundle.json")),
    ("a byte of the signature changed", "bad-signature", flip("bundle.sig", 40)),
    ("the signature of another bundle", "bad-signature", lambda w, b: w.edit(lambda m: m, None)
        or (w.bundle / "bundle.sig").write_bytes((b["one"] / "bundle.sig").read_bytes())),
    ("signed by a key that is not pinned", "unknown-key", edit(lambda m: m, OTHER_SEED)),
    ("a signature under the name of a pinned key", "bad-signature", sign(lambda w: signed(
        (w.bundle / "bundle.json").read_bytes(), OTHER_SEED, PINNED))),
    ("half of the signature", "bad-signature", sign(half)),
    ("no signature at all", "unknown-key", sign(lambda w: "")),
    ("a signature in other words", "malformed", sign(lambda w: "trust me\n")),
    ("bundle.json cut off", "bad-signature",
        lambda w, b: w.server.change.update({"bundle.json": lambda data: data[:-200]})),
    ("an older bundle, as it was", "downgrade", seen_two(lambda w, b: w.serve(b["one"]))),
    ("an older bundle under a newer number", "bad-signature", lambda w, b: w.serve(b["one"])
        or w.edit(lambda m: m.update(sequence=9), None)),
    ("another manifest of the same number, signed", "same-sequence",
        seen_two(edit(lambda m: m.update(rollout=1)))),
    ("the bundle of another model, signed", "other-model", edit(lambda m: m.update(name="Cats"))),
    ("a bundle that has expired", "expired",
        edit(lambda m: m.update(expires="2024-02-29T00:00:00Z"))),
    ("a format to come", "newer-format", edit(lambda m: m.update(format=2))),
    ("a file cut off", "wrong-size", payload(lambda data: data[:-1])),
    ("a file with more behind it", "wrong-size", payload(lambda data: data + b"\0")),
    ("a manifest without end", "too-large", endless("bundle.json")),
    ("a signature without end", "too-large", endless("bundle.sig")),
    ("sizes that are too large together", "too-large", edit(
        lambda m: [f.update(size=1 << 29) or f["transport"].update(unpacked=1 << 29)
                   for f in m["files"]])),
    ("a file that expands to more than announced", "wrong-size", packed(deflated(bytes(10**8)))),
    ("a file that expands to less than announced", "wrong-size", packed(deflated(bytes(10)))),
    ("a file that is no deflate", "cannot-expand", packed(b"\xff" * 50)),
    ("another key for the files", "unknown-encryption-key",
        sealed(client(master_keys=[OTHER_SEED]))),
    ("another key under the right name", "cannot-decrypt", sealed(under_the_right_name)),
    ("two encrypted files exchanged, signed", "cannot-decrypt", sealed(edit(exchange))),
    ("encrypted for another version, signed", "cannot-decrypt",
        sealed(edit(lambda m: m.update(version="3")))),
    ("a path that leads out", "unsafe-path", path("Model.mlpackage/../../../escaped")),
    ("an absolute path", "unsafe-path", path("/tmp/escaped")),
    ("a path with a backslash", "unsafe-path", path("Model.mlpackage/..\\escaped")),
    ("a path twice in upper and lower case", "unsafe-path", edit(
        lambda m: m["files"].append({**m["files"][0], "path": "Model.mlpackage/DATA"
                                     + m["files"][0]["path"].removeprefix("Model.mlpackage/Data")})
    )),
    ("a file beside the model", "unsafe-path", path("escaped")),
    ("the name of a payload that leads out", "malformed",
        first_file(lambda file: file["transport"].update(file="../bundle.json"))),
    ("an app that is too old", "app-too-old", edit(lambda m: m.update(minimum_app="2.0.1"))),
    ("a system that is too old", "system-too-old", client(system=("iOS", "16.7.2"))),
    ("a system that is not served", "system-too-old", client(system=("watchOS", "26.0"))),
    ("a roll-out to nobody", "not-in-rollout", edit(lambda m: m.update(rollout=0))),
    ("a version that failed here before", "failed-before", seen_two(cannot_load_two)),
    ("a server that is gone", "unreachable", lambda w, b: setattr(w.client, "url", "http://127.0.0.1:9/")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "act"), [row[1:] for row in ATTACKS], ids=[row[0] for row in ATTACKS]
)
def test_an_attack_leaves_the_version_in_use(world, bundles, reason, act):
    act(world, bundles)
    before = world.installed()
    with pytest.raises(Refusal) as told:
        world.client.update()

    assert told.value.reason == reason
    assert world.installed() == before
    assert world.client.model() is not None
    left = {p.name for p in world.client.folder.iterdir()}
    assert left <= {"versions", "parts", "installation", "state.json"}
    assert not list(world.client.folder.parent.rglob("escaped"))


def test_a_byte_changed_anywhere_in_a_file_is_refused(world):
    before, tried = world.installed(), 0
    for file in world.manifest()["files"]:
        name, size = "files/" + file["transport"]["file"], file["transport"]["size"]
        for place in sorted({0, 1, size // 3, size // 2, size - 1}):
            flip(name, place)(world, None)
            with pytest.raises(Refusal) as told:
                world.client.update()
            assert told.value.reason == "wrong-digest", (name, place)
            tried += 1
        del world.server.change[name]
    assert world.installed() == before
    assert tried >= 12
    assert world.client.update() == "2"


def instructions(code, *numbers, rest=b""):
    return b"MLD1" + code + struct.pack(f"<{len(numbers)}Q", *numbers) + rest + b"E"


def other_patch(data):
    """Serve another patch for the weights, signed."""

    def act(world, bundles):
        names = world.payload(data)

        def change(manifest):
            for file in manifest["files"]:
                for patch in file["patches"]:
                    patch["transport"].update(names, compression="none", unpacked=len(data))

        world.edit(change)

    return act


def sent_patch(change):
    def act(world, bundles):
        for file in world.manifest()["files"]:
            for patch in file["patches"]:
                world.server.change["files/" + patch["transport"]["file"]] = change

    return act


def for_another_base(world, bundles):
    bases = {f["path"]: f["patches"] for f in world.manifest()["files"]}
    world.serve(bundles["patched from another"])

    def change(manifest):
        for file in manifest["files"]:
            for patch, own in zip(file["patches"], bases[file["path"]], strict=True):
                patch["base"] = own["base"]

    world.edit(change)


PATCHES = [
    ("a byte of the patch changed", "wrong-digest",
        sent_patch(lambda data: bytes([data[0] ^ 1]) + data[1:])),
    ("a patch that was made for another base", "wrong-digest", for_another_base),
    ("a patch that reads beyond its base", "bad-patch",
        other_patch(instructions(b"C", 15_999, 2))),
    ("a patch that makes more than it should", "bad-patch",
        other_patch(b"MLD1" + instructions(b"C", 0, 16_000)[4:-1] * 50 + b"E")),
    ("a patch that is none", "bad-patch", other_patch(b"hello")),
    ("a patch that is cut off", "wrong-size", sent_patch(lambda data: data[: len(data) // 2])),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "act"), [row[1:] for row in PATCHES], ids=[row[0] for row in PATCHES]
)
def test_a_bad_patch_is_answered_by_the_whole_file(world, bundles, reason, act):
    world.serve(bundles["patched"])
    act(world, bundles)

    assert world.client.update() == "2"
    assert reason in [refusal.reason for refusal in world.client.overcome]
    whole = {f["path"]: f["sha256"] for f in world.manifest()["files"]}
    place = world.client.place(2)
    assert {
        p.relative_to(place).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in place.rglob("*")
        if p.is_file()
    } == whole


def rows(marker):
    """Attack and answer of the table behind a marker in the page."""
    text = PAGE.read_text(encoding="utf-8").split(f"<!-- {marker}: ")[1].split("\n\n")[1]
    return re.findall(r"^\| (.+) \| `(.+)` \|$", text, re.M)


def test_the_page_lists_the_attacks_that_are_played():
    played = [(name, reason) for name, reason, _ in ATTACKS]
    played.insert(2, ("a byte of each file changed", "wrong-digest"))

    assert rows("attacks") == played
    assert rows("patches") == [(name, reason) for name, reason, _ in PATCHES]
