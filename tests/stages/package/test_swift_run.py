import shutil

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytest.importorskip("tree_sitter_swift")
import tree_sitter_swift  # noqa: E402
from tree_sitter import Language, Parser  # noqa: E402

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore"),  # coremltools' and torch's own
]

KIND = "package/swift"


def parses(text):
    tree = Parser(Language(tree_sitter_swift.language())).parse(text.encode())
    return not tree.root_node.has_error


def swift_files(ran):
    package = ran.outputs["package"]
    return {p.relative_to(package).as_posix(): p.read_text() for p in package.rglob("*.swift")}


def test_a_classifier_with_nasty_labels_becomes_swift_that_parses(run_kind, classifier, tmp_path):
    ran = run_kind(KIND, params={"name": "Dogs"}, inputs={"model": classifier}, tmp_path=tmp_path)

    assert ran.ok, ran.error
    files = swift_files(ran)
    name = ran.outputs["package"].name
    assert sorted(files) == [
        "Package.swift",
        f"Sources/{name}/{name}Classifier.swift",
        f"Tests/{name}Tests/{name}Tests.swift",
    ]
    assert all(parses(text) for text in files.values())
    wrapper = files[f"Sources/{name}/{name}Classifier.swift"]
    for label in (
        r'"say \"woof\""',
        r'"back\\slash"',
        r'"\\(injected())"',
        '"Löwchen 犬 🐕"',
        r'"line\nbreak"',
        r'"tab\tnull\0"',
        r'"right-to-left \u{202E} mark"',
    ):
        assert f"        {label},\n" in wrapper
    assert "public var `in`: CVPixelBuffer" in wrapper
    assert "public let `class`: String" in wrapper
    assert wrapper.count("async throws") >= 6
    assert '.iOS("17.0")' in files["Package.swift"]


def test_the_model_lies_in_the_package_unchanged_and_writable(run_kind, classifier, tree, tmp_path):
    kept = shutil.copytree(classifier, tmp_path / "Kept.mlpackage")
    for file in kept.rglob("*"):
        if file.is_file():
            file.chmod(0o444)
    ran = run_kind(KIND, inputs={"model": kept}, tmp_path=tmp_path)

    assert ran.ok, ran.error
    (model,) = ran.outputs["package"].rglob("*.mlpackage")
    assert tree(model) == tree(classifier)
    assert all(f.stat().st_mode & 0o200 for f in model.rglob("*") if f.is_file())


def test_a_model_of_arrays_gets_typed_inputs_and_outputs(run_kind, arrays, tmp_path):
    ran = run_kind(KIND, inputs={"model": arrays}, tmp_path=tmp_path)

    assert ran.ok, ran.error
    files = swift_files(ran)
    assert all(parses(text) for text in files.values())
    wrapper = next(text for path, text in files.items() if path.startswith("Sources"))
    assert "public init(`default`: MLMultiArray, `throws`: MLMultiArray)" in wrapper
    assert "public let sum: MLMultiArray" in wrapper
    assert "public let self_: MLMultiArray" in wrapper
    assert "CGImage" not in wrapper
    assert '.iOS("16.0")' in files["Package.swift"]


def test_equal_models_are_equal_packages(run_kind, classifier, report, tree, tmp_path):
    inputs = {"model": classifier, "reports": [report]}
    first, again = (run_kind(KIND, inputs=inputs, tmp_path=tmp_path) for _ in range(2))

    assert tree(first.outputs["package"]) == tree(again.outputs["package"])


def test_the_readme_tells_the_figures(run_kind, classifier, report, tmp_path):
    ran = run_kind(KIND, inputs={"model": classifier, "reports": [report]}, tmp_path=tmp_path)
    readme = (ran.outputs["package"] / "README.md").read_text()

    assert "| validate/parity | psnr_db | 41.25 |" in readme
    assert "| validate/parity | agreement_top1 | 0.9 (n 20) |" in readme
    assert r"| author | A \| B |" in readme


def test_the_wrapper_may_not_bear_the_packages_name(run_kind, classifier, tmp_path):
    name = run_kind(KIND, inputs={"model": classifier}, tmp_path=tmp_path).outputs["package"].name
    ran = run_kind(KIND, params={"type": name}, inputs={"model": classifier}, tmp_path=tmp_path)

    assert ran.error == (
        f"type: '{name}' is the package's own name, which Xcode gives the class it generates"
    )


@pytest.mark.parametrize(
    ("platforms", "error"),
    [
        ({"iOS": "15.0"}, "platforms: the model needs iOS 17.0, asked was 15.0"),
        (
            {"android": "14"},
            "platforms: 'android' is unknown, allowed: iOS, macOS, tvOS, visionOS",
        ),
        ({"iOS": "new"}, "platforms: 'new' is no version such as '17.0'"),
    ],
)
def test_wrong_platforms_are_told(run_kind, classifier, tmp_path, platforms, error):
    ran = run_kind(
        KIND, params={"platforms": platforms}, inputs={"model": classifier}, tmp_path=tmp_path
    )

    assert ran.error == error


def _for_newer(model, tmp_path, name="Newer.mlpackage", rename=()):
    """The same model for iOS 18."""
    import coremltools as ct

    loaded = ct.models.MLModel(str(model), skip_model_load=True)
    spec = loaded.get_spec()
    spec.specificationVersion = 9
    for old, new in rename:
        ct.utils.rename_feature(spec, old, new)
    newer = ct.models.MLModel(spec, weights_dir=loaded.weights_dir, skip_model_load=True)
    newer.save(str(tmp_path / name))
    return tmp_path / name


def test_the_newest_model_that_a_system_can_run_is_chosen(run_kind, arrays, tree, tmp_path):
    newer = _for_newer(arrays, tmp_path)
    words = tmp_path / "vocab.txt"
    words.write_text("[PAD]\n")
    inputs = {"model": arrays, "variants": [newer], "files": [words]}
    ran = run_kind(KIND, inputs=inputs, tmp_path=tmp_path)

    assert ran.ok, ran.error
    files, package = swift_files(ran), ran.outputs["package"]
    assert all(parses(text) for text in files.values())
    name = package.name
    wrapper = next(text for path, text in files.items() if path.startswith("Sources"))
    assert (
        "        if #available(iOS 18.0, macOS 15.0, tvOS 18.0, visionOS 2.0, *) {\n"
        f'            return "{name}IOS18"\n        }}\n        return "{name}"\n'
    ) in wrapper
    assert "let name = modelName" in wrapper
    assert '.copy("Resources/vocab.txt")' in files["Package.swift"]
    assert f'.process("Resources/{name}IOS18.mlpackage")' in files["Package.swift"]
    assert '.iOS("16.0")' in files["Package.swift"]
    resources = package / "Sources" / name / "Resources"
    assert tree(resources / f"{name}IOS18.mlpackage") == tree(newer)
    assert (resources / "vocab.txt").read_text() == "[PAD]\n"
    assert f"| older ones | `{name}` |" in (package / "README.md").read_text()


def test_variants_that_an_app_could_tell_apart_are_refused(run_kind, arrays, tmp_path):
    newer = _for_newer(arrays, tmp_path, rename=[("default", "other")])
    twice = run_kind(KIND, inputs={"model": arrays, "variants": [arrays]}, tmp_path=tmp_path)
    older = run_kind(KIND, inputs={"model": newer, "variants": [arrays]}, tmp_path=tmp_path)
    other = run_kind(KIND, inputs={"model": arrays, "variants": [newer]}, tmp_path=tmp_path)

    assert twice.error == "variants: two models are for iOS16: which of them should run?"
    assert older.hint == "give the one for the oldest system as `model`"
    assert other.error == (
        "variants: the model for iOS18 has the inputs other, throws, the other one default, throws"
    )


def test_two_files_of_one_name_are_refused(run_kind, arrays, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "vocab.txt").write_text("x")
    inputs = {"model": arrays, "files": [tmp_path / "a", tmp_path / "b" / "vocab.txt"]}
    ran = run_kind(KIND, inputs=inputs, tmp_path=tmp_path)

    assert ran.error == "files: two are called vocab.txt, a bundle knows only one"
