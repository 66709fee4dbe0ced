"""Kinds around Xcode, with a double of ``xcrun`` that checks what it is told."""

import base64
import json
import os
import sys
import textwrap
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore"),  # coremltools' and torch's own
]

KEY = b"bplist00-a-key-of-apple\x00\x01\xfe"

# What Apple's tool does, as far as a stage can see: it wants folders that exist, names what it
# makes by the model's file, and ends with the codes that xcrun and its tools end with.
XCRUN = """\
#!{python}
import json, os, pathlib, shutil, sys

fault = os.environ.get("FAULT", "")
with open(os.environ["CALLS"], "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
if fault == "tool":
    sys.exit(print('xcrun: error: unable to find utility "coremlcompiler", not a developer tool '
                   'or in PATH', file=sys.stderr) or 72)
if fault == "licence":
    sys.exit(print("You have not agreed to the Xcode license agreements. Please run "
                   "'sudo xcodebuild -license' from within a Terminal window to review and agree "
                   "to the Xcode and Apple SDKs license.", file=sys.stderr) or 69)
tool, verb, model, target, *options = sys.argv[1:]
assert tool == "coremlcompiler" and verb in ("compile", "generate"), sys.argv
model, target = pathlib.Path(model), pathlib.Path(target)
if not target.is_dir():
    sys.exit(print("coremlcompiler: error: unable to open output file", file=sys.stderr) or 1)
given = dict(zip(options[::2], options[1::2]))
known = {{"--platform", "--deployment-target", "--language", "--swift-version", "--encrypt"}}
if set(given) - known or len(options) % 2:
    sys.exit(print("coremlc: error: unknown option", options, file=sys.stderr) or 64)
if fault == "compile":
    print("compiling", model.name)
    sys.exit(print("coremlc: error: compiler error: Espresso exception: invalid blob",
                   file=sys.stderr) or 1)
weights = next(model.rglob("weight.bin")).read_bytes()
if verb == "generate":
    (target / (model.stem + ".swift")).write_text("class " + model.stem + " {{}}\\n")
elif fault != "silent":
    made = target / (model.stem + ".mlmodelc")
    made.mkdir()
    if "--encrypt" in given:
        key = pathlib.Path(given["--encrypt"])
        assert key.suffix == ".mlmodelkey", key
        with open(os.environ["CALLS"], "a") as log:
            seen = [oct(key.stat().st_mode & 0o777), key.read_text("latin-1")]
            log.write(json.dumps(seen) + "\\n")
        if fault != "plain":
            weights = bytes(b ^ 0x5A for b in weights)
        if fault == "leak":
            (made / "info.bin").write_bytes(b"head" + key.read_bytes() + b"tail")
    (made / "weights.bin").write_bytes(weights)
"""


@pytest.fixture
def xcode(tmp_path, monkeypatch):
    """``xcode() -> calls``: a Mac with Xcode; what was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "xcrun"
    script.write_text(textwrap.dedent(XCRUN.format(python=sys.executable)))
    script.chmod(0o755)
    log = tmp_path / "calls"
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(log))
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    return lambda: [json.loads(line) for line in log.read_text().splitlines()]


@pytest.fixture
def compiled(run_kind, classifier, tmp_path):
    def run(kind="package/compiled", **params):
        return run_kind(kind, params=params, inputs={"model": classifier}, tmp_path=tmp_path)

    return run


@pytest.fixture
def key(tmp_path, monkeypatch):
    file = tmp_path / "Dogs.mlmodelkey"
    file.write_bytes(KEY)
    monkeypatch.setenv("MLMODELKEY", str(file))
    return file


def test_a_model_is_compiled_and_gets_its_interface(xcode, compiled):
    ran = compiled(platform="ios", deployment_target="17.0", swift_version="5.0")

    assert ran.ok, ran.error
    assert ran.outputs["model"].name == "Model.mlmodelc"
    assert (ran.outputs["model"] / "weights.bin").stat().st_size > 0
    assert ran.text("interface") == "class Model {}\n"
    assert ran.metrics["size_mb"] > 0
    first, second = xcode()
    assert first[:2] == ["coremlcompiler", "compile"]
    assert Path(first[2]).name == "Model.mlpackage"
    assert first[4:] == ["--platform", "ios", "--deployment-target", "17.0"]
    assert second[1] == "generate"
    assert second[4:8] == ["--language", "Swift", "--swift-version", "5.0"]
    assert second[8:] == first[4:]


def test_a_name_is_the_models_and_the_classs(xcode, compiled):
    ran = compiled(name="Breeds")

    assert ran.text("interface") == "class Breeds {}\n"
    assert all(Path(call[2]).name == "Breeds.mlpackage" for call in xcode())
    assert all("--platform" not in call for call in xcode())


@pytest.mark.usefixtures("xcode")
@pytest.mark.parametrize(
    ("fault", "error", "hint"),
    [
        (
            "tool",
            "this Mac has no `coremlcompiler`: it comes with Xcode, not with the command line "
            "tools",
            "install Xcode from the App Store, then: sudo xcode-select --switch "
            "/Applications/Xcode.app/Contents/Developer",
        ),
        (
            "licence",
            "Xcode's licence was not accepted on this Mac",
            "sudo xcodebuild -license accept",
        ),
        (
            "compile",
            "coremlcompiler compile failed with exit status 1:\ncompiling Model.mlpackage\n"
            "coremlc: error: compiler error: Espresso exception: invalid blob",
            None,
        ),
        ("silent", "coremlcompiler left no compiled model (.mlmodelc), but nothing", None),
    ],
)
def test_what_goes_wrong_is_told_with_a_remedy(compiled, monkeypatch, fault, error, hint):
    monkeypatch.setenv("FAULT", fault)
    ran = compiled()

    assert (ran.kind, ran.error, ran.hint) == ("failure", error, hint)
    assert not ran.outputs["model"].exists()


def test_a_mac_without_xcrun_is_told(compiled, tmp_path, monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert compiled().error == "there is no `xcrun` on PATH"


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has Xcode")
@pytest.mark.parametrize("kind", ["package/compiled", "package/encrypted"])
def test_other_systems_are_refused_by_name(compiled, kind):
    ran = compiled(kind)

    assert ran.error == (
        f"{kind} needs Xcode's coremlcompiler, which only macOS has; this is Linux"
    )
    assert "`resources: {macos: 1}`" in ran.hint


def test_a_model_is_encrypted_with_the_file_that_the_secret_names(xcode, compiled, key):
    ran = compiled("package/encrypted", platform="macos", deployment_target="14.0")

    assert ran.ok, ran.error
    (call, used) = xcode()
    assert call[4:6] == ["--encrypt", str(key)]
    assert call[6:] == ["--platform", "macos", "--deployment-target", "14.0"]
    assert used[1].encode("latin-1") == KEY
    assert key.read_bytes() == KEY


def test_base64_becomes_a_file_for_its_user_alone_and_is_gone_afterwards(
    xcode, compiled, monkeypatch, tmp_path
):
    monkeypatch.setenv("APPLE_KEY", base64.encodebytes(KEY).decode())
    ran = compiled("package/encrypted", key_env="APPLE_KEY")

    assert ran.ok, ran.error
    (call, (mode, content)) = xcode()
    assert (mode, content.encode("latin-1")) == ("0o600", KEY)
    assert not Path(call[5]).exists()
    holding = [p for p in tmp_path.rglob("*") if p.is_file() and KEY in p.read_bytes()]
    assert holding == []
    assert base64.b64encode(KEY).decode() not in json.dumps(ran.events)


def test_the_file_is_gone_after_a_failure_too(xcode, compiled, monkeypatch, tmp_path):
    monkeypatch.setenv("MLMODELKEY", base64.b64encode(KEY).decode())
    monkeypatch.setenv("FAULT", "compile")

    assert "compiler error" in compiled("package/encrypted").error
    assert not list(tmp_path.rglob("*.mlmodelkey"))


@pytest.mark.usefixtures("xcode", "key")
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("leak", "the compiled model holds the key, in info.bin: it is not published"),
        (
            "plain",
            "the compiled model is not encrypted: weights.bin holds the weights as they were",
        ),
    ],
)
def test_neither_key_nor_plain_weights_are_published(
    run_kind, heavy, monkeypatch, tmp_path, fault, error
):
    monkeypatch.setenv("FAULT", fault)
    ran = run_kind("package/encrypted", inputs={"model": heavy}, tmp_path=tmp_path)

    assert ran.error == error
    assert not ran.outputs["model"].exists()


@pytest.fixture
def heavy(classifier, tmp_path):
    """A package whose weights are large enough to be looked for."""
    import shutil

    package = shutil.copytree(classifier, tmp_path / "Heavy.mlpackage")
    next(package.rglob("weight.bin")).write_bytes(os.urandom(9000))
    return package


@pytest.mark.usefixtures("xcode")
@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("", "the secret MLMODELKEY is not set"),
        (
            "no/such/file.mlmodelkey",
            "the secret MLMODELKEY is neither a file that exists nor base64",
        ),
    ],
)
def test_a_missing_key_is_told_without_its_value(compiled, monkeypatch, value, error):
    monkeypatch.setenv("MLMODELKEY", value)
    ran = compiled("package/encrypted")

    assert ran.error == error
    assert not value or value not in json.dumps(ran.events)
