"""What package/ota writes, and what it refuses."""

from __future__ import annotations

import base64
import hashlib
import json
import lzma
import re

import pytest

pytest.importorskip("cryptography")
np = pytest.importorskip("numpy")

from tests.stages_in.release.conftest import ENCRYPTION, OTHER_SIGNING, SIGNING  # noqa: E402
from tests.stages_in.release.ota_world import OTHER_SEED, SEED, public  # noqa: E402

pytestmark = pytest.mark.toolchain


def weights(seed=0, count=4000):
    return np.random.default_rng(seed).normal(0, 0.1, count).astype("float16")


def manifest(ran):
    return json.loads((ran.outputs["bundle"] / "bundle.json").read_bytes())


def tree(folder):
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def test_a_bundle_is_a_manifest_signatures_and_files_by_digest(pack, model):
    ran = pack(model(weights().tobytes()))

    assert ran.ok, ran.error
    files = tree(ran.outputs["bundle"])
    named = {f["transport"]["file"] for f in manifest(ran)["files"]}
    assert set(files) == {"bundle.json", "bundle.sig", *(f"files/{name}" for name in named)}
    for name, data in files.items():
        if name.startswith("files/"):
            assert hashlib.sha256(data).hexdigest() == name.removeprefix("files/")
    assert manifest(ran)["minimum_os"]["iOS"] == "17.0"
    assert manifest(ran)["sequence"] == 1
    assert ran.metrics["update_ratio"] == 1


@pytest.mark.parametrize("facts", [{}, {"encryption_key": "OTA_KEY"}, {"compression": "lzma"}])
def test_equal_inputs_are_equal_bytes(pack, model, facts):
    old, new = model(weights().tobytes()), model(weights(1).tobytes())
    first, again = (pack(new, previous=[old], **facts) for _ in range(2))

    assert tree(first.outputs["bundle"]) == tree(again.outputs["bundle"])
    assert tree(first.outputs["client"]) == tree(again.outputs["client"])


def test_no_key_is_in_an_output_or_a_log(pack, model):
    ran = pack(
        model(weights().tobytes()),
        signing_keys=["MLBUILD_OTA_SIGNING_KEY", "OTHER_SIGNING_KEY"],
        encryption_key="OTA_KEY",
    )

    assert ran.ok, ran.error
    told = [*tree(ran.outputs["bundle"]).values(), *tree(ran.outputs["client"]).values()]
    told += [json.dumps([ran.events, ran.metrics]).encode()]
    for key in (SIGNING, OTHER_SIGNING, ENCRYPTION):
        raw = base64.b64decode(key)
        for form in (raw, key.encode(), key[:20].encode(), raw.hex().encode()):
            assert not any(form in text for text in told)


def test_an_encrypted_bundle_holds_nothing_of_the_model(pack, model):
    ran = pack(model(b"a long text that shows" * 200), encryption_key="OTA_KEY", compression="none")

    assert ran.ok, ran.error
    assert not any(b"text that shows" in data for data in tree(ran.outputs["bundle"]).values())


def test_no_two_messages_are_encrypted_under_one_key(pack, model):
    same = model(weights().tobytes())
    first = manifest(pack(same, encryption_key="OTA_KEY"))
    again = manifest(pack(same, encryption_key="OTA_KEY", version="2"))

    def sent(of):
        return {f["transport"]["file"] for f in of["files"]}

    assert [f["transport"]["salt"] for f in first["files"]] == [
        f["transport"]["salt"] for f in again["files"]
    ]
    assert not sent(first) & sent(again)  # the version is part of each key


def test_a_patch_is_there_only_where_it_is_smaller(pack, model):
    new = weights(1)
    near, far = new.copy(), weights(2)
    near[:10] = 0
    ran = pack(model(new.tobytes()), previous=[model(near.tobytes()), model(far.tobytes())])

    assert ran.ok, ran.error
    (file,) = (f for f in manifest(ran)["files"] if f["path"].endswith("weight.bin"))
    (patch,) = file["patches"]
    assert patch["base"] == hashlib.sha256(near.tobytes()).hexdigest()
    assert patch["transport"]["size"] < file["transport"]["size"] / 10
    named = {f["transport"]["file"] for f in manifest(ran)["files"]}
    served = {p.name for p in (ran.outputs["bundle"] / "files").iterdir()}
    assert served == named | {patch["transport"]["file"]}


def test_the_number_goes_on_from_the_newest_bundle(pack, model):
    first = pack(model(weights().tobytes()), sequence=7)
    second = pack(model(weights(1).tobytes()), previous=[first.outputs["bundle"]])

    assert manifest(second)["sequence"] == 8
    assert manifest(second)["version"] == "8"
    assert second.metrics["update_mb_from.7"] == second.metrics["update_mb"]


def test_an_encrypted_bundle_may_be_previous_to_one_that_is_not(pack, model):
    first = pack(model(weights().tobytes()), encryption_key="OTA_KEY")
    new = weights()
    new[5] = 1
    second = pack(
        model(new.tobytes()), previous=[first.outputs["bundle"]], encryption_key="OTA_KEY"
    )
    without = pack(model(new.tobytes()), previous=[first.outputs["bundle"]])

    assert second.metrics["update_ratio"] < 0.1
    assert re.fullmatch(r"Model\.ota: Model\.mlpackage/.* is encrypted", without.error)
    assert without.hint == "give its key with `encryption_key`"


def test_going_back_delivers_the_earlier_model_and_revokes_what_lies_between(pack, model):
    one, two, three = (weights(seed).tobytes() for seed in (1, 2, 3))
    first = pack(model(one)).outputs["bundle"]
    second = pack(model(two), previous=[first]).outputs["bundle"]
    third = pack(model(three), previous=[first, second]).outputs["bundle"]
    back = pack(model(three), previous=[first, second, third], rollback_to=1)

    assert back.ok, back.error
    told = manifest(back)
    assert (told["sequence"], told["rollback_to"], told["revoked"]) == (4, 1, [2, 3])
    old = json.loads((first / "bundle.json").read_bytes())
    assert [f["sha256"] for f in told["files"]] == [f["sha256"] for f in old["files"]]


def test_a_model_file_is_a_bundle_too(pack, tmp_path):
    file = tmp_path / "Old.mlmodel"
    file.write_bytes(b"\x08\x04" + b"network" * 50)
    ran = pack(file)

    assert ran.ok, ran.error
    assert [f["path"] for f in manifest(ran)["files"]] == ["Model.mlmodel"]
    assert manifest(ran)["minimum_os"]["iOS"] == "15.0"
    assert manifest(ran)["model"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_two_keys_sign_while_they_are_changed(pack, model):
    names = ["MLBUILD_OTA_SIGNING_KEY", "OTHER_SIGNING_KEY"]
    ran = pack(model(weights().tobytes()), signing_keys=names)

    lines = (ran.outputs["bundle"] / "bundle.sig").read_text().splitlines()
    ids = [hashlib.sha256(public(seed)).hexdigest()[:16] for seed in (SEED, OTHER_SEED)]
    assert [line.split()[1] for line in lines] == ids


def test_keys_may_be_pem_and_hex(pack, model, monkeypatch):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = Ed25519PrivateKey.from_private_bytes(SEED)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    plain = pack(model(b"w" * 99), encryption_key="OTA_KEY")
    monkeypatch.setenv("MLBUILD_OTA_SIGNING_KEY", pem)
    monkeypatch.setenv("OTA_KEY", base64.b64decode(ENCRYPTION).hex())
    other = pack(model(b"w" * 99), encryption_key="OTA_KEY")

    assert tree(plain.outputs["bundle"]) == tree(other.outputs["bundle"])


PINNED = base64.b64encode(public(SEED)).decode()
OTHER = base64.b64encode(public(OTHER_SEED)).decode()
REFUSED = [
    # parameters, error, hint
    (
        {"signing_keys": ["NOT_SET"]},
        "signing_keys: the environment variable NOT_SET is not set",
        "add `secrets: [NOT_SET]` to the stage and set it where mlbuild runs",
    ),
    (
        {"signing_keys": ["SHORT"]},
        "signing_keys: what SHORT holds is no Ed25519 private key",
        "PEM without a password, or its 32 bytes in base64: openssl genpkey -algorithm ed25519",
    ),
    (
        {"signing_keys": ["BAD_PEM"]},
        "signing_keys: what BAD_PEM holds is no Ed25519 private key",
        "PEM without a password, or its 32 bytes in base64: openssl genpkey -algorithm ed25519",
    ),
    (
        {"signing_keys": ["MLBUILD_OTA_SIGNING_KEY", "MLBUILD_OTA_SIGNING_KEY"]},
        "signing_keys: two variables hold the same key",
        None,
    ),
    (
        {"encryption_key": "SHORT"},
        "encryption_key: what SHORT holds is no key of 32 bytes in base64 or hex",
        "make one with: openssl rand -base64 32",
    ),
    ({"public_keys": ["abc"]}, "public_keys: 'abc' is no Ed25519 key of 32 bytes in base64", None),
    (
        {"public_keys": [OTHER]},
        "public_keys: none is that of the signing key 56475aa75463474c, so that no client would "
        "take the bundle",
        f"add {PINNED}, or sign with the other key",
    ),
    (
        {"sequence": 1},
        "sequence: 1 is not greater than 1 of an earlier bundle, so that clients which have that "
        "one would refuse it",
        "leave it out: it is then counted on",
    ),
    (
        {"rollback_to": 5},
        "rollback_to: no bundle with sequence 5 is among the inputs `previous`",
        "given are 1",
    ),
    ({"revoked": [2]}, "revoked: 2 is no earlier bundle, this one is 2", None),
    (
        {"rollback_to": 1, "revoked": [1]},
        "revoked: 1 is what `rollback_to` returns to",
        None,
    ),
    (
        {"expires": "2030-02-30T00:00:00Z"},
        "expires: '2030-02-30T00:00:00Z' is no moment that the calendar knows",
        None,
    ),
    (
        {"platforms": {"iOS": "16.0"}},
        "platforms: the model needs iOS 17.0, asked was 16.0",
        "convert the model with an older `target`",
    ),
]


@pytest.mark.parametrize(("params", "error", "hint"), REFUSED, ids=[str(r[0]) for r in REFUSED])
def test_what_cannot_be_is_refused(pack, model, monkeypatch, params, error, hint):
    monkeypatch.setenv("SHORT", "c2hvcnQ=")
    monkeypatch.setenv(
        "BAD_PEM", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----"
    )
    first = pack(model(weights().tobytes())).outputs["bundle"]
    ran = pack(model(weights(1).tobytes()), previous=[first], **params)

    assert (ran.kind, ran.error, ran.hint) == ("failure", error, hint)


def test_bundles_of_another_model_and_damaged_ones_are_no_previous(pack, model):
    first = pack(model(weights().tobytes())).outputs["bundle"]
    told = json.loads((first / "bundle.json").read_bytes())
    victim = first / "files" / told["files"][1]["transport"]["file"]
    victim.write_bytes(victim.read_bytes()[:-1] + b"!")
    damaged = pack(model(weights(1).tobytes()), previous=[first])
    (first / "bundle.json").write_text(json.dumps({**told, "name": "Cats"}))
    other = pack(model(weights(1).tobytes()), previous=[first])

    assert damaged.error == (
        "Model.ota: Model.mlpackage/Data/com.apple.CoreML/weights/weight.bin is damaged: "
        "its SHA-256 is another one"
    )
    assert other.error == "previous: Model.ota is a bundle of 'Cats', this one is of 'Model'"
    assert other.hint == "set `name` to it, or give bundles of this model"


def test_a_model_is_not_signed_again_where_its_bundle_was_not_signed(pack, model):
    first = pack(model(weights().tobytes())).outputs["bundle"]
    second = pack(model(weights(1).tobytes()), previous=[first]).outputs["bundle"]
    hint = "if an earlier key of yours has signed it, list that in `public_keys`"
    for change in ("", "ed25519 56475aa75463474c AAAA\n", "trust me\n"):
        (first / "bundle.sig").write_text(change)
        back = pack(model(weights(1).tobytes()), previous=[first, second], rollback_to=1)

        assert back.error == "rollback_to: Model.ota is not signed by a key that the client pins"
        assert back.hint == hint


def test_a_bundle_of_an_earlier_key_is_delivered_again_where_that_is_pinned(pack, model):
    first = pack(model(weights().tobytes()), signing_keys=["OTHER_SIGNING_KEY"]).outputs["bundle"]
    second = pack(model(weights(1).tobytes()), previous=[first]).outputs["bundle"]
    back = {"previous": [first, second], "rollback_to": 1}

    assert not pack(model(weights().tobytes()), **back).ok
    assert pack(model(weights().tobytes()), **back, public_keys=[PINNED, OTHER]).ok


def test_a_bundle_whose_files_are_others_than_its_manifest_says_is_no_previous(pack, model):
    first = pack(model(weights().tobytes())).outputs["bundle"]
    told = json.loads((first / "bundle.json").read_bytes())
    told["files"][2]["sha256"] = "0" * 64
    (first / "bundle.json").write_text(json.dumps(told))

    ran = pack(model(weights(1).tobytes()), previous=[first])
    assert ran.error == "Model.ota: Model.mlpackage/Manifest.json has another SHA-256"


@pytest.mark.parametrize("text", ['{"format": 1}', '{"format": 1, "name": "Model", "model": 3}'])
def test_a_manifest_that_is_none_is_told(pack, model, text):
    first = pack(model(weights().tobytes())).outputs["bundle"]
    (first / "bundle.json").write_text(text)
    ran = pack(model(weights(1).tobytes()), previous=[first])

    assert ran.kind == "failure"
    assert ran.error.startswith("Model.ota: bundle.json is none of a bundle (")


@pytest.mark.parametrize(
    ("files", "error"),
    [
        (["Data/Weights.bin", "Data/weights.bin"],
         "Dogs.mlpackage: two files differ only in upper and lower case"),
        (["Data/a\\b"], "Dogs.mlpackage: the file 'Data/a\\\\b' is no relative path"),
    ],
)  # fmt: skip
def test_a_model_that_no_client_would_take_is_refused(pack, model, files, error):
    package = model(b"weights")
    for file in files:
        (package / file).write_bytes(b"x")

    assert pack(package).error == error


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("Data/weights/weight.bin", None),
        ("a..b/.hidden", None),
        ("", "is no relative path"),
        ("/a", "is no relative path"),
        ("a\\b", "is no relative path"),
        ("a\0b", "is no relative path"),
        ("../a", "leads out of its folder"),
        ("a/./b", "leads out of its folder"),
        ("a//b", "leads out of its folder"),
        ("a/", "leads out of its folder"),
        ("é" * 128, "is too long"),
    ],
)
def test_paths_that_a_bundle_may_hold(path, complaint):
    from tests.stages_in.release.test_ota_formats import ours

    assert ours("wire").path_complaint(path) == complaint


def test_a_bundle_that_does_not_open_to_its_model_is_not_handed_on(pack, model, monkeypatch):
    compress = lzma.compress
    monkeypatch.setattr(lzma, "compress", lambda data, **how: compress(data[::-1], **how))
    ran = pack(model(weights().tobytes()), compression="lzma")

    assert ran.error == (
        "Model.ota: Model.mlpackage/Data/com.apple.CoreML/model.mlmodel has another SHA-256"
    )


def test_a_folder_that_is_no_model_is_refused(pack, tmp_path):
    (tmp_path / "None.mlpackage").mkdir()
    (tmp_path / "None.mlpackage/Manifest.json").write_text("{}")

    told = pack(tmp_path / "None.mlpackage").error
    assert told == "the model cannot be read: no readable Manifest.json ('itemInfoEntries')"
