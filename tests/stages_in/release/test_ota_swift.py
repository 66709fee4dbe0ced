"""The generated client in Swift parses, is whole, and holds together. Nothing compiles it here."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

pytest.importorskip("cryptography")
pytest.importorskip("numpy")
tree_sitter_swift = pytest.importorskip("tree_sitter_swift")
from tree_sitter import Language, Parser  # noqa: E402 - after the skip

from tests.stages_in.conftest import _harness  # noqa: E402
from tests.stages_in.release.conftest import packer, set_keys, write_model  # noqa: E402
from tests.stages_in.release.ota_world import OTHER_SEED, SEED, public  # noqa: E402

pytestmark = pytest.mark.toolchain
ROOT = Path(__file__).parents[3]
PARSER = Parser(Language(tree_sitter_swift.language()))
REASON = re.compile(r'case (\w+)(?: = "([\w-]+)")?$', re.M)
URL = "https://models.example.com/dogs/"
# Types of Apple's frameworks and of Swift that the client uses. A name that is neither here nor
# declared in the package is a slip of the pen.
KNOWN = frozenset(
    [
        "AES",
        "Algorithm",
        "Bool",
        "Bundle",
        "Bytes",
        "CaseIterable",
        "CheckedContinuation",
        "Codable",
        "CodingKey",
        "CodingKeys",
        "Comparable",
        "Curve25519",
        "CustomStringConvertible",
        "Data",
        "Date",
        "Decodable",
        "Element",
        "Equatable",
        "Error",
        "FileHandle",
        "FileManager",
        "FilterError",
        "GCM",
        "HKDF",
        "HTTPURLResponse",
        "ISO8601DateFormatter",
        "Int",
        "JSONDecoder",
        "JSONEncoder",
        "MLModel",
        "MLModelConfiguration",
        "NSObject",
        "Nonce",
        "OutputFilter",
        "Package",
        "PrivateKey",
        "ProcessInfo",
        "PublicKey",
        "ResponseDisposition",
        "SHA256",
        "SealedBox",
        "Self",
        "Sendable",
        "Sequence",
        "Set",
        "Signing",
        "String",
        "SymmetricKey",
        "Task",
        "UInt32",
        "UInt64",
        "UInt8",
        "URL",
        "URLError",
        "URLRequest",
        "URLResourceKey",
        "URLResourceValues",
        "URLResponse",
        "URLSession",
        "URLSessionConfiguration",
        "URLSessionDataDelegate",
        "URLSessionDataTask",
        "URLSessionTask",
        "UUID",
        "Void",
        "XCTAssertEqual",
        "XCTAssertFalse",
        "XCTAssertLessThan",
        "XCTAssertNil",
        "XCTAssertNoThrow",
        "XCTUnwrap",
        "XCTestCase",
        "testable",
        "unchecked",
    ]
)


@pytest.fixture
def client(pack, model):
    """``client(**params) -> {path: text}``."""

    def make(**params):
        ran = pack(model(b"weights" * 99), **params)
        assert ran.ok, ran.error
        folder = ran.outputs["client"]
        files = (p for p in folder.rglob("*") if p.is_file())
        return {p.relative_to(folder).as_posix(): p.read_text() for p in files}

    return make


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The client of a bundle without parameters."""
    folder = tmp_path_factory.mktemp("plain")
    with pytest.MonkeyPatch.context() as patch:
        set_keys(patch)
        pack = packer(_harness().runner(patch, "release"), folder)
        made = pack(write_model(folder / "Model.mlpackage", b"weights" * 99)).outputs["client"]
    return {p.relative_to(made).as_posix(): p.read_text() for p in made.rglob("*") if p.is_file()}


VARIANTS = [
    {},
    {"url": URL},
    {"encryption_key": "OTA_KEY"},
    {"signing_keys": ["MLBUILD_OTA_SIGNING_KEY", "OTHER_SIGNING_KEY"], "url": URL},
    {"platforms": {"iOS": "18.0"}, "minimum_app": "2.0"},
]


def swift(files):
    return {path: text for path, text in files.items() if path.endswith(".swift")}


def parses(text):
    return not PARSER.parse(text.encode()).root_node.has_error


@pytest.mark.parametrize("params", VARIANTS, ids=str)
def test_all_of_it_parses_and_nothing_is_left_to_fill_in(client, params):
    files = client(**params)

    assert len(swift(files)) == 16
    for path, text in files.items():
        assert not re.search(r"\{\{|\}\}|\{%|%\}|\{#|TODO|FIXME|XXX|<#|fatalError", text), path
        assert "None" not in text, path
    for path, text in swift(files).items():
        assert parses(text), path
        assert max(map(len, text.splitlines())) <= 104, path


def test_keys_address_and_systems_are_those_of_the_bundle(client):
    import base64

    files = client(**VARIANTS[3])
    text = files["Sources/ModelOTA/Configuration.swift"]
    for seed in (SEED, OTHER_SEED):
        assert f'Data(base64Encoded: "{base64.b64encode(public(seed)).decode()}")!' in text
    assert f'public static let source = URL(string: "{URL}")!' in text
    assert 'public static let name = "Model"' in text
    assert '.iOS("17.0")' in files["Package.swift"]
    assert "source: URL," in client()["Sources/ModelOTA/Configuration.swift"]


def test_the_signature_is_verified_before_anything_is_parsed(plain):
    text = plain["Sources/ModelOTA/ModelUpdater.swift"]
    update = text[text.index("func update()") : text.index("private static let mayChange")]
    order = ["fetching.text", "Signatures.verify", "Manifest.decoded", "rules.identity"]
    order += ["remember", "rules.eligibility", "install("]

    places = [update.index(step) for step in order]
    assert places == sorted(places)
    signatures = plain["Sources/ModelOTA/Signatures.swift"]
    assert "JSON" not in signatures


def test_it_knows_the_reasons_that_the_page_lists(plain):
    text = plain["Sources/ModelOTA/Refusal.swift"]
    named = dict(REASON.findall(text))
    reasons = {raw or name for name, raw in named.items()}
    page = (ROOT / "docs/ota.md").read_text(encoding="utf-8")
    steps = page.split("## What a client does")[1].split("## What it protects from")[0]
    told = set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", steps))
    fields = {"name", "expires", "sequence", "newest", "revoked", "failed", "current", "good"}
    fields |= {"format", "encryption", "displaced", "starts"}

    assert told - fields == reasons
    for name in named:
        used = sum(f".{name}" in body for body in swift(plain).values())
        assert used, name


def test_every_reason_of_the_page_is_one_of_the_other_clients(plain):
    text = plain["Sources/ModelOTA/Refusal.swift"]
    reasons = {raw or name for name, raw in REASON.findall(text)}
    folder = ROOT / "tests/ota_client"
    own = "".join(p.read_text() for p in folder.glob("*.py"))

    assert set(re.findall(r'Refusal\(\s*"([a-z-]+)"', own)) == reasons


def nodes(text, *kinds):
    waiting, found = [PARSER.parse(text.encode()).root_node], []
    while waiting:
        node = waiting.pop()
        if node.type in kinds:
            found.append(node)
        waiting += node.children
    return found


def declared(files):
    """Types that the package declares, with everything that is named in them."""
    types = {}
    for text in swift(files).values():
        for node in nodes(text, "class_declaration", "protocol_declaration"):
            name = node.child_by_field_name("name").text.decode().rpartition(".")[2]
            body = node.child_by_field_name("body").text.decode()
            members = set(re.findall(r"(?:func|let|var|struct|enum|class) (\w+)", body))
            members |= {w for case in re.findall(r"case ([\w, ]+)", body) for w in case.split(", ")}
            members |= {"init"} | set(re.findall(r"case (\w+)", body))
            types.setdefault(name, set()).update(members)
    return types


def test_types_and_members_that_it_names_are_declared(client):
    files = client(**VARIANTS[2])
    types = declared(files)
    types["ModelOTATests"] = set()
    named = [n for text in swift(files).values() for n in nodes(text, "type_identifier")]
    assert {n.text.decode() for n in named} - set(types) - KNOWN == set()

    for path, text in swift(files).items():
        code = re.sub(r'"[^"\n]*"|//.*', "", text)
        for name, member in re.findall(r"\b([A-Z]\w+)\.(\w+)", code):
            if name in types and member != "self":
                inside = types[name] | {"CodingKeys"}
                assert member in inside or member in types, f"{path}: {name}.{member}"


def test_arguments_have_the_labels_of_what_they_call(plain):
    """Functions that are called by name within the package, and how they are declared."""
    files = plain
    labels = {}
    for text in swift(files).values():
        for name, inside in re.findall(r"func (\w+)(?:<[^>]*>)?\(([^)]*)\)", text):
            parts = re.split(r",(?![^<\[(]*[>\])])", inside)
            given = [part.split(":")[0].split()[0] for part in parts if part.strip()]
            labels.setdefault(name, set()).add(tuple(given))
    wanted = {
        "unpack": ("_", "_", "opener", "to"),
        "apply": ("_", "to", "into", "size"),
        "verify": ("_", "of", "pinned"),
        "identity": ("_", "digest", "state"),
        "eligibility": ("_", "state"),
        "bucket": ("installation", "name", "version"),
        "context": ("name", "version", "kind", "path"),
        "file": ("_", "to"),
        "text": ("_", "longest"),
    }
    everything = "".join(swift(files).values())
    for name, signature in wanted.items():
        assert signature in labels[name], name
        named = [label for label in signature if label != "_"]
        calls = re.findall(rf"(?<!func )\b\w+\.{name}\(((?:[^()]|\([^()]*\))*)\)", everything)
        assert calls, name
        for call in calls:
            assert re.findall(r"(?:^|[,\s])(\w+):", re.sub(r"\([^()]*\)", "", call)) == named, call


@pytest.mark.parametrize("seed", range(40))
def test_the_parser_notices_swift_that_is_broken(plain, seed):
    draw = random.Random(seed)
    path, text = draw.choice(sorted(swift(plain).items()))
    code = re.sub(r'//[^\n]*|"[^"\n]*"', lambda found: " " * len(found.group()), text)
    place = draw.choice([i for i, c in enumerate(code) if c in "{}()"])
    broken = text[:place] + text[place + 1 :]

    assert parses(text)
    assert not parses(broken), f"{path} without {text[place]!r} at {place}"


def test_a_template_that_gives_no_swift_stops_the_stage(monkeypatch, pack, model, tmp_path):
    import shutil

    import jinja2

    templates = shutil.copytree(ROOT / "stages/_shared/ota/swift", tmp_path / "swift")
    broken = templates / "Rules.swift.j2"
    broken.write_text(broken.read_text().replace("func identity(", "func identity("[:-1], 1))

    def loader(_):
        return jinja2.DictLoader({p.name: p.read_text() for p in templates.iterdir()})

    monkeypatch.setattr(jinja2, "FileSystemLoader", loader)
    ran = pack(model(b"weights" * 99))

    assert not ran.ok
    assert ran.error.startswith(
        "the Swift made for this bundle does not parse: Sources/ModelOTA/Rules.swift:"
    )
