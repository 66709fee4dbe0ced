"""The formats against published vectors, against openssl and gzip, and against docs/ota.md."""

from __future__ import annotations

import hashlib
import importlib
import re
import shutil
import struct
import subprocess
import sys
import types
import zlib
from pathlib import Path

import pytest

pytest.importorskip("cryptography")
np = pytest.importorskip("numpy")
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from tests.ota_client import wire as theirs  # noqa: E402
from tests.stages_in.release.ota_world import SEED, public, signed  # noqa: E402

pytestmark = pytest.mark.toolchain
ROOT = Path(__file__).parents[3]


def needs(tool):
    """Without the tool there is no such test: every suite must pass with none skipped."""
    return (lambda test: test) if shutil.which(tool) else (lambda test: None)


def ours(name):
    """A module of stages/_shared/ota."""
    if "_ota_stages" not in sys.modules:
        package = types.ModuleType("_ota_stages")
        package.__path__ = [str(ROOT / "stages")]
        sys.modules["_ota_stages"] = package
    return importlib.import_module(f"_ota_stages._shared.ota.{name}")


def run(*command, data=None):
    done = subprocess.run(command, input=data, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def vector(what):
    """A value of the page's last table."""
    text = (ROOT / "docs/ota.md").read_text(encoding="utf-8").split("## Test vectors")[1]
    (found,) = re.findall(rf"^\| {re.escape(what)} \| `(.+)` \|$", text, re.M)
    return found


KEY = bytes(range(32))
CONTEXT = "for Dogs, 1.2.0, full, `Dogs.mlpackage/Manifest.json`"  # as the page words what is bound


def test_ed25519_is_that_of_rfc_8032():
    keys = ours("keys")
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    (key,) = keys.signing_keys(["K"], {"K": secret.hex()})

    assert key.public.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key._key.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9"
        "b46bd25bf5f0595bbe24655141438e7a100b"
    )


def test_hkdf_is_that_of_rfc_5869():
    okm = theirs.derived(b"\x0b" * 22, bytes(range(13)), bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"), 42)

    assert okm.hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


@pytest.mark.parametrize(
    ("key", "nonce", "plain", "bound", "sealed"),
    [
        # Test cases 14 and 16 of the GCM specification that NIST published.
        ("00" * 32, "00" * 12, "00" * 16, "",
         "cea7403d4d606b6e074ec5d3baf39d18" "d0d1c8a799996bf0265b98b5d48ab919"),
        ("feffe9928665731c6d6a8f9467308308" * 2, "cafebabefacedbaddecaf888",
         "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
         "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
         "feedfacedeadbeeffeedfacedeadbeefabaddad2",
         "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
         "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
         "76fc6ece0f4e1768cddf8853bb2d551b"),
    ],
)  # fmt: skip
def test_gcm_is_that_of_nist(key, nonce, plain, bound, sealed):
    cipher = AESGCM(bytes.fromhex(key))
    made = cipher.encrypt(bytes.fromhex(nonce), bytes.fromhex(plain), bytes.fromhex(bound))

    assert made.hex() == sealed


@needs("openssl")
def test_openssl_verifies_a_bundles_signature(pack, model, tmp_path):
    bundle = pack(model(b"weights" * 9)).outputs["bundle"]
    line = (bundle / "bundle.sig").read_text().split()
    # What precedes the 32 bytes of an Ed25519 key in DER (RFC 8410).
    key = bytes.fromhex("302a300506032b6570032100") + public(SEED)
    (tmp_path / "key.der").write_bytes(key)
    (tmp_path / "sig").write_bytes(run("openssl", "base64", "-d", "-A", data=line[2].encode()))
    message = b"mlbuild-ota/1\n" + (bundle / "bundle.json").read_bytes()
    (tmp_path / "message").write_bytes(message)
    command = (
        "openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey",
        str(tmp_path / "key.der"), "-rawin", "-sigfile", str(tmp_path / "sig"), "-in",
        str(tmp_path / "message"),
    )  # fmt: skip

    assert b"Signature Verified Successfully" in run(*command)
    (tmp_path / "message").write_bytes(message[:-1])
    assert subprocess.run(command, capture_output=True, timeout=60).returncode != 0


@needs("openssl")
def test_openssl_derives_the_keys_of_files_and_decrypts_them(tmp_path):
    keys, sealing, wire = ours("keys"), ours("sealing"), ours("wire")
    plain = bytes(range(256)) * 5
    context = wire.context("Dogs", "1.2.0", "full", "Dogs.mlpackage/a")
    sealed, salt = sealing.seal(plain, keys.EncryptionKey(KEY), context)
    assert salt == hashlib.sha256(plain).digest()
    okm = run(
        "openssl", "kdf", "-keylen", "40", "-kdfopt", "digest:SHA256",
        "-kdfopt", f"hexkey:{KEY.hex()}", "-kdfopt", f"hexsalt:{salt.hex()}",
        "-kdfopt", f"hexinfo:{context.hex()}", "-binary", "HKDF",
    )  # fmt: skip
    # GCM encrypts with counters from 2 on behind the nonce (SP 800-38D); the tag is the library's.
    nonce = okm[32:] + struct.pack(">I", 0)
    counters = run(
        "openssl", "enc", "-d", "-aes-256-ctr", "-nopad", "-K", okm[:32].hex(),
        "-iv", (nonce + struct.pack(">I", 2)).hex(), data=sealed[:-16],
    )  # fmt: skip

    assert counters == plain


@needs("gzip")
def test_gzip_reads_what_was_deflated():
    data = b"a network of many layers " * 99
    packed, method = ours("compression").compress(data, "deflate")
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # RFC 1952 around the bare stream
    tail = struct.pack("<II", zlib.crc32(data), len(data))

    assert method == "deflate"
    assert run("gzip", "-dc", data=head + packed + tail) == data


@needs("xz")
def test_xz_reads_what_lzma_made():
    data = b"a network of many layers " * 99
    packed, method = ours("compression").compress(data, "lzma")

    assert method == "lzma"
    assert run("xz", "-dc", data=packed) == data


def test_the_vectors_of_the_page_are_those_of_the_stage_and_of_the_client():
    keys, sealing, wire = ours("keys"), ours("sealing"), ours("wire")
    (key,) = keys.signing_keys(["K"], {"K": KEY.hex()})
    name, line = vector("its name"), key.line(b"{}\n")
    assert keys._raw(vector("public key of the signing key, base64")) == key.public == public(SEED)
    signature = vector("signature of a bundle.json that is `{}\\n`")
    assert line == f"ed25519 {name} {signature}\n"
    assert line == signed(b"{}\n")
    theirs.verify(line.encode(), b"{}\n", [key.public])

    master = keys.EncryptionKey(KEY)
    assert master.id == vector("name of the master key")
    assert theirs.derived(KEY, None, b"mlbuild-ota/1 key", 8).hex() == master.id
    context = wire.context("Dogs", "1.2.0", "full", "Dogs.mlpackage/Manifest.json")
    sealed, salt = sealing.seal(b"hello, model", master, context)
    assert salt.hex() == vector("salt of `hello, model`, not compressed")
    assert sealed.hex() == vector(f"the same encrypted, {CONTEXT}")
    assert theirs.opened(sealed, KEY, salt, context) == b"hello, model"

    installation = "00000000-0000-4000-8000-000000000000"
    for module in (wire, theirs):
        first, second = (module.bucket(installation, "Dogs", v) for v in ("1.2.0", "1.3.0"))
        assert str(first) == vector(f"bucket of {installation}, Dogs, 1.2.0")
        assert str(second) == vector("bucket of the same, 1.3.0")

    patch = bytes.fromhex(vector("a patch that makes `cdeXYba` of `abcdefgh`"))
    assert ours("patch").apply(b"abcdefgh", patch, 7) == b"cdeXYba"
    assert theirs.patched(b"abcdefgh", patch, 7) == b"cdeXYba"


def test_the_vectors_of_the_page_are_those_of_the_swift_tests():
    folder = ROOT / "stages/_shared/ota/swift"
    text = (folder / "Tests.swift.j2").read_text(encoding="utf-8")
    text = re.sub(r'"\s*\+ "', "", text)  # literals over two lines
    table = (ROOT / "docs/ota.md").read_text(encoding="utf-8").split("## Test vectors")[1]
    values = re.findall(r"\| `([^`]+)` \|$", table, re.M)

    assert len(values) == 9
    assert [value for value in values if value not in text] == []


def _edited(draw):
    """A text and another one that was made of it by cutting, inserting and moving."""
    old = draw(st.binary(max_size=400)) * draw(st.integers(1, 3))
    new = bytearray(old)
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(new)))
        end = draw(st.integers(start, len(new)))
        new[start:end] = draw(st.one_of(st.binary(max_size=80), st.just(bytes(new[:start]))))
    return old, bytes(new)


def test_runs_are_as_long_as_bytes_are_equal():
    old = np.random.default_rng(0).bytes(5000)
    runs = ours("matching").runs

    def found(new):
        return [(run.new, run.old, run.length) for run in runs(old, new)]

    assert found(old) == [(0, 0, 5000)]
    assert found(old[10:]) == [(0, 10, 4990)]  # though no block begins at 10
    assert found(b"abc" + old[:3000] + b"de" + old[3001:]) == [(3, 0, 3000), (3005, 3001, 1999)]
    assert found(old[2000:] + old[:2000]) == [(0, 2000, 3000), (3000, 0, 2000)]


@settings(deadline=None)  # the machine may be busy
@given(st.composite(_edited)())
def test_a_patch_leads_from_any_file_to_any_other(pair):
    old, new = pair
    patch = ours("patch").patch(old, new)

    assert ours("patch").apply(old, patch, len(new)) == new
    assert theirs.patched(old, patch, len(new)) == new


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=300), st.binary(max_size=200), st.integers(0, 500))
def test_no_instructions_crash_whoever_reads_them(old, instructions, size):
    for prefix in (b"", b"MLD1", b"MLD1C", b"MLD1A" + bytes(8)):
        for read, known in (
            (theirs.patched, theirs.Refusal),
            (ours("patch").apply, ours("patch").Problem),
        ):
            try:
                made = read(old, prefix + instructions, size)
            except known:
                continue
            assert len(made) <= size


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=600), st.sampled_from(["none", "deflate", "lzma"]))
def test_what_is_compressed_expands_to_itself(data, method):
    packed, how = ours("compression").compress(data, method)

    assert len(packed) <= len(data)
    assert ours("compression").expand(packed, how, len(data)) == data
    assert theirs.expanded(packed, how, len(data)) == data


def moved(weights, spread):
    """Each by a little of its own."""
    return weights + np.random.default_rng(1).normal(0, spread, weights.size)


@pytest.mark.parametrize(
    ("name", "changed", "method", "share"),
    [
        # What a patch may be of the new file's compressed size.
        ("the same", lambda w: w, "deflate", 0.001),
        ("some weights", lambda w: np.where(np.arange(w.size) < 2000, w * 2, w), "deflate", 0.05),
        ("all by 0.2 % of their spread", lambda w: moved(w, 1e-4), "deflate", 0.5),
        ("all by 0.2 % of their spread", lambda w: moved(w, 1e-4), "lzma", 0.43),
        ("three bytes in front", None, "deflate", 0.01),
    ],
)
def test_patches_of_weights_are_small(name, changed, method, share):
    weights = np.random.default_rng(0).normal(0, 0.05, 100_000).astype("float16")
    old = weights.tobytes()
    new = b"abc" + old if changed is None else changed(weights).astype("float16").tobytes()
    packed, _ = ours("compression").compress(ours("patch").patch(old, new), method)
    whole, _ = ours("compression").compress(new, method)

    assert len(packed) < share * len(whole)
