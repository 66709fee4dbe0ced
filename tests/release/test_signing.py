"""Signing a release folder: which keys are taken, and what never leaves the process."""

import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mlbuild.errors import DataError, MlbuildError
from mlbuild.release.checking.folder import look
from mlbuild.release.checking.keys import WithIdentity, public_key, with_key
from mlbuild.release.checking.signature import check_signature
from mlbuild.release.signing import new_key, sign
from tests.release.keys import pair
from tests.release.made import git

SECRET, PUBLIC = pair()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    release = tmp_path / "releases/dogs/v1.0.0"
    (release / "artifacts/model").mkdir(parents=True)
    (release / "artifacts/model/weights.bin").write_bytes(bytes(range(256)))
    (release / "manifest.json").write_text("{}\n")
    (tmp_path / "release.pub").write_bytes(PUBLIC)
    return release


def by_team(folder: Path) -> bool:
    key = with_key(public_key(folder.parents[2] / "release.pub"), "release.pub")
    return check_signature(look(folder), key).by == "release.pub"


def refusal(folder: Path, spec: Mapping[str, object], environ: Mapping[str, str]) -> str:
    with pytest.raises(MlbuildError) as caught:
        sign(folder, spec, environ, folder.parents[2])
    assert not (folder / "model.sig").exists()
    assert sorted(p.name for p in folder.iterdir()) == ["artifacts", "manifest.json"]
    return caught.value.render()


# --- key pairs ----------------------------------------------------------------------------------


def test_a_new_key_pair_is_pem_and_only_its_owner_reads_the_private_half(tmp_path: Path) -> None:
    private, public = tmp_path / "keys/release", tmp_path / "keys/release.pub"
    old = os.umask(0)
    try:
        new_key(private, public)
    finally:
        os.umask(old)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert private.read_text().startswith("-----BEGIN PRIVATE KEY-----\n")
    key = serialization.load_pem_public_key(public.read_bytes())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"


@pytest.mark.parametrize("there", ["release", "release.pub"])
def test_a_key_is_never_replaced(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("precious")
    with pytest.raises(DataError, match=f"{there} is there already; a key is never replaced"):
        new_key(tmp_path / "release", tmp_path / "release.pub")
    assert [p.name for p in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "precious"


def test_no_half_of_a_pair_is_left_where_the_other_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        new_key(tmp_path / "release", tmp_path / "file/release.pub")
    assert not (tmp_path / "release").exists()


# --- signing with a key -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ({"key_env": "KEY"}, SECRET),
        ({"key_env": "KEY"}, SECRET.replace("\n", "\\n")),
        ({"key_env": "KEY"}, "keys/release"),
        ({"key": "keys/release"}, ""),
        ({"key": "keys/release", "key_env": "KEY"}, ""),
    ],
    ids=["text", "one line", "path in a variable", "path", "variable unset, path given"],
)
def test_a_key_comes_from_a_variable_or_a_file(
    folder: Path, spec: Mapping[str, str], value: str
) -> None:
    root = folder.parents[2]
    (root / "keys").mkdir()
    (root / "keys/release").write_text(SECRET)
    made = sign(folder, {**spec, "public_key": "release.pub"}, {"KEY": value}, root)
    assert made == folder / "model.sig"
    assert by_team(folder)


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()], ids=lambda c: c.name)
def test_keys_that_a_team_has_already_may_be_of_a_larger_curve(
    folder: Path, curve: ec.EllipticCurve
) -> None:
    key = ec.generate_private_key(curve)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.public_key().public_bytes(serialization.Encoding.PEM, form)
    (folder.parents[2] / "release.pub").write_bytes(public)
    spec = {"key_env": "KEY", "public_key": "release.pub"}
    sign(folder, spec, {"KEY": pem_of(key)}, folder.parents[2])
    assert by_team(folder)


def test_without_a_word_on_signing_nothing_is_signed(folder: Path) -> None:
    assert sign(folder, {}, {}, folder) is None
    assert not (folder / "model.sig").exists()


def test_a_signature_that_holds_is_kept_and_one_that_does_not_is_made_again(folder: Path) -> None:
    spec, environ = {"key_env": "KEY"}, {"KEY": SECRET}
    sign(folder, spec, environ, folder)
    first = (folder / "model.sig").read_bytes()
    sign(folder, spec, environ, folder)
    assert (folder / "model.sig").read_bytes() == first, "publishing again sends the same bytes"
    (folder / "manifest.json").write_text("{} \n")
    sign(folder, spec, environ, folder)
    assert by_team(folder)
    sign(folder, spec, {"KEY": pair("another")[0]}, folder)
    assert not by_team(folder)


def test_what_a_killed_signing_left_is_neither_signed_nor_kept(folder: Path) -> None:
    (folder / ".model.sig.new").write_text("half")
    sign(folder, {"key_env": "KEY"}, {"KEY": SECRET}, folder)
    assert by_team(folder)
    assert not (folder / ".model.sig.new").exists()


def test_the_signature_names_every_file_but_itself(folder: Path) -> None:
    (folder / ".gitattributes").write_text("*.bin filter=lfs\n")
    sign(folder, {"key_env": "KEY"}, {"KEY": SECRET}, folder)
    envelope = json.loads((folder / "model.sig").read_text())["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    names = [row["name"] for row in statement["predicate"]["resources"]]
    assert names == [".gitattributes", "artifacts/model/weights.bin", "manifest.json"]


@pytest.mark.parametrize("ignoring", [[], ["--no-ignore-git-paths"]], ids=["default", "all"])
def test_the_official_verifier_accepts_the_signature(folder: Path, ignoring: list[str]) -> None:
    sign(folder, {"key_env": "KEY"}, {"KEY": SECRET}, folder)
    verify = [sys.executable, "-m", "model_signing", "verify", "key", str(folder), *ignoring]
    verify += ["--signature", str(folder / "model.sig")]
    verify += ["--public_key", str(folder.parents[2] / "release.pub")]
    done = subprocess.run(verify, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "Verification succeeded\n")
    # What the docs say of the option.
    (folder / ".gitattributes").write_text("* filter=evil\n")
    assert subprocess.run(verify, capture_output=True).returncode == (1 if ignoring else 0)


def test_a_folder_with_a_link_is_not_signed(folder: Path) -> None:
    (folder / "artifacts/model/link").symlink_to("/etc/passwd")
    told = refusal(folder, {"key_env": "KEY"}, {"KEY": SECRET})
    assert "cannot be signed" in told
    assert "it is a symlink" in told


# --- what is refused, and never told ------------------------------------------------------------


def pem_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: str = "") -> str:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password.encode())
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, encryption).decode()


FIT = "mlbuild makes key pairs that fit: mlbuild release PIPELINE --new-key keys/release"
PEM_LINE = SECRET.splitlines()[1]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (
            "",
            "there is no key to sign with: KEY is not set\n"
            "  hint: set KEY to the private key (PEM) or to its path",
        ),
        (
            PEM_LINE,  # the key without its first and last line
            "the key that KEY names cannot be read: No such file or directory\n"
            "  hint: it must be a private key (PEM), or the path of one",
        ),
        (
            PEM_LINE * 90,
            "the key that KEY names cannot be read: File name too long\n"
            "  hint: it must be a private key (PEM), or the path of one",
        ),
        (SECRET[:100], f"the key in KEY is no private key in PEM\n  hint: {FIT}"),
        (PUBLIC.decode(), f"the key in KEY is no private key in PEM\n  hint: {FIT}"),
        (
            pem_of(ec.generate_private_key(ec.SECP256R1()), "password"),
            "the key in KEY is encrypted with a password\n"
            "  hint: decrypt it, or let CI keep it as a secret",
        ),
        (
            pem_of(ec.generate_private_key(ec.SECP256K1())),
            "the key in KEY is of a type that model-signing does not sign with\n"
            f"  got: secp256k1\n  allowed: secp256r1, secp384r1, secp521r1\n  hint: {FIT}",
        ),
        (
            pem_of(rsa.generate_private_key(65537, 2048)),
            "the key in KEY is of a type that model-signing does not sign with\n"
            f"  got: RSAPrivateKey\n  allowed: secp256r1, secp384r1, secp521r1\n  hint: {FIT}",
        ),
    ],
    ids=["unset", "no PEM", "long", "cut", "public", "encrypted", "curve", "rsa"],
)
def test_a_key_that_does_not_fit_is_refused_and_never_shown(
    folder: Path, value: str, told: str
) -> None:
    with pytest.raises(MlbuildError) as caught:
        sign(folder, {"key_env": "KEY"}, {"KEY": value}, folder)
    assert caught.value.render() == told
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert not (folder / "model.sig").exists()


@pytest.mark.parametrize("spec", [{"key": "keys/release"}, {"key_env": "KEY"}], ids=str)
def test_a_private_key_that_is_in_git_is_refused(folder: Path, spec: Mapping[str, str]) -> None:
    root = folder.parents[2]
    (root / "keys").mkdir()
    (root / "keys/release").write_text(SECRET)
    git(root, "init", "-q", ".")
    sign(folder, spec, {"KEY": "keys/release"}, root)
    (folder / "model.sig").unlink()
    git(root, "add", "keys/release")
    name = "the key keys/release" if "key" in spec else "the key that KEY names"
    assert refusal(folder, spec, {"KEY": "keys/release"}) == (
        f"{name} is in git: whoever has a clone can sign\n"
        "  hint: make a new pair (this one is known to all), and let .gitignore name it"
    )


def test_no_key_at_all(folder: Path) -> None:
    told = refusal(folder, {"public_key": "release.pub"}, {})
    assert told == (
        "there is no key to sign with\n"
        "  hint: name one in `release: sign:`: key_env, key, or keyless: true"
    )


def test_a_key_of_another_pair_than_the_one_in_git_is_refused(folder: Path) -> None:
    spec = {"key_env": "KEY", "public_key": "release.pub"}
    told = refusal(folder, spec, {"KEY": pair("another")[0]})
    public = folder.parents[2] / "release.pub"
    assert told == (
        f"the key in KEY does not belong to {public}: nobody could verify what it signs\n"
        "  hint: sign with the key of that pair, or commit the new public key first"
    )


def test_a_missing_public_key_is_told_before_anything_is_signed(folder: Path) -> None:
    told = refusal(folder, {"key_env": "KEY", "public_key": "no.pub"}, {"KEY": SECRET})
    public = folder.parents[2] / "no.pub"
    assert told == f"the public key {public} cannot be read: No such file or directory"


def test_a_public_key_of_another_curve_is_refused(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256K1())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = folder.parents[2] / "release.pub"
    public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
    with pytest.raises(DataError) as caught:
        public_key(public)
    assert caught.value.render() == (
        f"{public} is of a type that model-signing does not know\n"
        "  got: secp256k1\n  allowed: secp256r1, secp384r1, secp521r1"
    )


def test_without_the_library_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "model_signing", None)
    told = refusal(folder, {"key_env": "KEY"}, {"KEY": SECRET})
    assert told == (
        "signatures need the package model-signing, which is not installed\n"
        "  got: import of model_signing halted; None in sys.modules\n"
        "  hint: pip install 'mlbuild-pipelines[release]'"
    )


def test_the_private_key_is_never_written_to_a_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and opened is not None and isinstance(arguments[0], str):
            writes = isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if writes:
                opened.append(arguments[0])

    sys.addaudithook(hook)
    sign(folder, {"key_env": "KEY"}, {"KEY": SECRET}, folder)
    ours = [path for path in opened if str(folder.parents[2]) in path or path.startswith("/tmp")]
    assert {Path(path).name for path in ours} == {".model.sig.new"}


# --- without a key ------------------------------------------------------------------------------

_CI = ("GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "SIGSTORE_ID_TOKEN")


@pytest.fixture
def no_ci(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):  # where sigstore keeps its roots of trust
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in _CI:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


REMEDY = (
    "GitHub: `permissions: {id-token: write}`; GitLab: `id_tokens: {SIGSTORE_ID_TOKEN: "
    "{aud: sigstore}}`. Elsewhere sign with a key pair: key_env"
)


def test_keyless_signing_is_refused_where_there_is_no_identity(
    folder: Path, no_ci: pytest.MonkeyPatch
) -> None:
    assert refusal(folder, {"keyless": True}, {}) == (
        f"keyless signing needs the identity of a CI job, and there is none here\n  hint: {REMEDY}"
    )


def test_a_job_without_the_permission_is_told_which_one(
    folder: Path, no_ci: pytest.MonkeyPatch
) -> None:
    no_ci.setenv("GITHUB_ACTIONS", "true")
    no_ci.delenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", raising=False)
    told = refusal(folder, {"keyless": True}, {})
    assert told.startswith("this CI job gives no identity to sign with: ")
    assert told.endswith(f"  hint: {REMEDY}")


def test_a_keyless_signature_that_is_none_is_a_finding_and_needs_no_network(
    folder: Path, no_ci: pytest.MonkeyPatch
) -> None:
    sign(folder, {"key_env": "KEY"}, {"KEY": SECRET}, folder)
    value = json.loads((folder / "model.sig").read_text())
    certificate = {"rawBytes": base64.b64encode(b"no certificate").decode()}
    value["verificationMaterial"] = {"certificate": certificate, "tlogEntries": []}
    (folder / "model.sig").write_text(json.dumps(value, separators=(",", ":")))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        no_ci.setenv(name, "http://127.0.0.1:9")
    expected = WithIdentity("https://gitlab.example.org/dogs", "https://gitlab.example.org")
    signed = check_signature(look(folder), expected)
    assert signed.by is None
    (finding,) = signed.findings
    assert finding.what.startswith("the signature does not hold: ")
    assert finding.expected == (
        "a signature of https://gitlab.example.org/dogs, "
        "for whom https://gitlab.example.org vouches"
    )


def test_the_token_of_a_job_is_never_told(folder: Path, no_ci: pytest.MonkeyPatch) -> None:
    def part(value: Mapping[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims = {"aud": "sigstore", "iss": "https://gitlab.example.org", "sub": "project:dogs"}
    token = f"{part({'alg': 'RS256'})}.{part(claims)}.c2lnbmF0dXJl"
    no_ci.setenv("GITLAB_CI", "true")
    no_ci.setenv("SIGSTORE_ID_TOKEN", token)
    # Nothing answers there: the job's network fails at once.
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        no_ci.setenv(name, "http://127.0.0.1:9")
    no_ci.delenv("NO_PROXY", raising=False)
    no_ci.delenv("no_proxy", raising=False)
    told = refusal(folder, {"keyless": True}, {})
    assert told.startswith("keyless signing failed: ")
    assert told.endswith(
        "it needs the network (Sigstore's certificate authority and its log); try again"
    )
    assert token not in told
