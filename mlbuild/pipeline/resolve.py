"""Text with places -> facts: params, profiles, matrix, references, types. Runs nothing.

Everything that is wrong is told at once, sorted by place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from mlbuild.pipeline.against import add_twins
from mlbuild.pipeline.conflicts import Made, Read, check_made, check_read
from mlbuild.pipeline.draft import Draft, read_drafts
from mlbuild.pipeline.garbage import uncollected
from mlbuild.pipeline.header import check_profiles, check_top, flag, pipeline_name, with_ledger
from mlbuild.pipeline.inputs import check_inputs
from mlbuild.pipeline.kinds import Kinds
from mlbuild.pipeline.links import check_links
from mlbuild.pipeline.load import Document
from mlbuild.pipeline.naming import axes_of, marked, slug, variant_name
from mlbuild.pipeline.nodes import Mapped, Node
from mlbuild.pipeline.outputs import Outputs, check_outputs
from mlbuild.pipeline.overlay import with_profiles, with_sets
from mlbuild.pipeline.params import resolve_params
from mlbuild.pipeline.paths import project_path
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.release import read_released, settle_release
from mlbuild.pipeline.root import project_root
from mlbuild.pipeline.sections import read_datasets, read_toolchains
from mlbuild.pipeline.substitute import Scope, uses_matrix
from mlbuild.pipeline.targets import Targets
from mlbuild.pipeline.through import lead_through
from mlbuild.pipeline.typed import decide_toolchains
from mlbuild.pipeline.variants import Builder
from mlbuild.pipeline.wiring import expand
from mlbuild.records import Dataset, DatasetRef, PathRef, ResolvedPipeline, Stage


@uncollected()
def resolve(
    doc: Document,
    registry: Kinds,
    *,
    sets: Sequence[str] = (),
    profiles: Sequence[str] = (),
    root: Path | None = None,
    toolchains: Collection[str] | None = None,
    check_files: bool = True,
) -> ResolvedPipeline:
    """The pipeline with everything settled.

    Args:
        doc: the file as it was read.
        registry: the stage kinds.
        sets: ``NAME=VALUE`` arguments of ``--set``.
        profiles: names of profiles; the last one is on top.
        root: the project root, found from the file where it is not given.
        toolchains: names of the built-in toolchains; without them, names are not checked.
        check_files: whether paths and used datasets must be there.

    Raises:
        PipelineError: with all problems, sorted by place.
    """
    root = (root or project_root(doc.path)).resolve()
    problems = doc.problems.copy()
    check_top(doc.root, problems)
    check_profiles(doc.root, problems)
    tree = with_sets(with_profiles(doc.root, profiles, problems), sets, problems)
    name = pipeline_name(tree, doc.path, problems)
    params = resolve_params(tree.get("params"), problems)
    datasets = read_datasets(tree.get("datasets"), params, root, problems)
    custom = read_toolchains(tree.get("toolchains"), params, root, problems)
    drafts, off = read_drafts(tree.get("stages"), params, registry, problems)
    released = read_released(tree.get("release"), name, params, problems)
    if released is not None:
        add_twins(drafts, released.artifacts, problems)
        datasets |= released.datasets(drafts.values())
    check_links(drafts, off, datasets, problems)
    lead_through(drafts, datasets, registry, problems)
    decide_toolchains(drafts, datasets, problems)
    expand(drafts, problems)
    for draft in drafts.values():
        check_inputs(draft, drafts, problems)
        check_outputs(draft, problems)
    known = None if toolchains is None else {*toolchains, *custom}
    targets, outputs = Targets(drafts, problems), Outputs(name, root, problems)
    builder = Builder(params, list(datasets), targets, outputs, known, root, problems)
    built = list(_stages(drafts, builder))
    _check_paths(doc, root, built, datasets, tree, check_files, problems)
    release = None
    if released is not None:
        scope = Scope({"params": params}, "'release'", problems)
        release = settle_release(released, drafts, targets, scope)
    ledger = with_ledger(tree, problems)
    if released is not None and not ledger:
        hint = "leave 'ledger: none' out: a release is what the ledger records of a commit"
        problems.add(released.section, "'release' needs the ledger", hint=hint)
    strict = flag(tree.get("strict"), "'strict'", problems)
    problems.raise_any()
    return ResolvedPipeline(
        name=name,
        file=doc.path,
        root=root,
        params=params,
        stages=tuple(stage for _, stage in built),
        datasets={n: d for n, d in datasets.items() if d is not None},
        toolchains=custom,
        ledger=ledger,
        strict=strict,
        release=release,
    )


def _stages(drafts: Mapping[str, Draft], builder: Builder) -> Iterator[tuple[Draft, Stage]]:
    slugs = _slugs(drafts)
    for draft in drafts.values():
        if draft.broken and _speaks_of_matrix(draft):
            continue
        for combo in draft.variants:
            name = variant_name(draft.name, axes_of(combo))
            yield draft, builder.stage(draft, combo, slugs[name])


def _speaks_of_matrix(draft: Draft) -> bool:
    """Whether its axes matter; they are not known where a draft is broken."""
    links = any(link.templated for link in draft.links())
    return links or uses_matrix(draft.node)


def _slugs(drafts: Mapping[str, Draft]) -> dict[str, str]:
    """Variant -> its folder's name; those that would share one are told apart by a digest."""
    found = {
        variant_name(draft.name, axes_of(combo)): slug(draft.name, axes_of(combo))
        for draft in drafts.values()
        for combo in draft.variants
    }
    # Folders that differ only in case are one folder on a Mac.
    counts = Counter(plain.lower() for plain in found.values())
    return {
        name: marked(plain, name) if counts[plain.lower()] > 1 else plain
        for name, plain in found.items()
    }


def _check_paths(
    doc: Document,
    root: Path,
    built: Sequence[tuple[Draft, Stage]],
    datasets: Mapping[str, Dataset | None],
    tree: Mapped,
    check_files: bool,
    problems: Problems,
) -> None:
    made = check_made(_made(built), problems)
    check_read(_read(doc, root, built, datasets, tree, check_files), made, root, problems)


def _made(built: Sequence[tuple[Draft, Stage]]) -> Iterator[Made]:
    for draft, stage in built:
        section = draft.node.get("outputs")
        for output in stage.outputs:
            at: Node = draft.key
            if isinstance(section, Mapped) and output.name in section.entries:
                at = section.entries[output.name].value
            elif draft.command is not None and output.name in draft.node.entries:
                at = draft.node.entries[output.name].value
            where = f"stage '{stage.name}'"
            yield Made(output.path, f"{draft.name}.{output.name}", where, at)


def _read(
    doc: Document,
    root: Path,
    built: Sequence[tuple[Draft, Stage]],
    datasets: Mapping[str, Dataset | None],
    tree: Mapped,
    check_files: bool,
) -> Iterator[Read]:
    yield Read(project_path(str(doc.path.resolve()), root), "the pipeline file", None)
    used: set[str] = set()
    for draft, stage in built:
        nodes = {wire.role: [r.node for r in wire.references] for wire in draft.wires}
        for item in stage.inputs:
            for number, source in enumerate(item.sources):
                if isinstance(source, DatasetRef):
                    used.add(source.name)
                elif isinstance(source, PathRef):
                    at = nodes[item.role]
                    node: Node | None = at[number] if len(at) == len(item.sources) else at[0]
                    what = f"{draft.where}: input '{item.role}'"
                    yield Read(source.path, what, node if check_files else None)
    section = tree.get("datasets")
    for name, dataset in datasets.items():
        if dataset is None or dataset.scheme != "path" or not isinstance(section, Mapped):
            continue
        inner = section.entries[name].value
        # A dataset that no stage uses may be absent.
        looked = name in used and check_files
        needed = inner.get("path") if looked and isinstance(inner, Mapped) else None
        yield Read(dataset.location, f"dataset '{name}'", needed, dataset=True)
