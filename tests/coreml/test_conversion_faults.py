"""A sample of the fault campaign: who notices a damaged conversion, and that nobody cries wolf.

The whole of it is `python benchmarks/conversion_faults.py`.
"""

import warnings

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
np = pytest.importorskip("numpy")

from benchmarks.conversion import (  # noqa: E402, F401 - their finders register themselves
    faults_of_parameters,
    faults_of_structure,
    faults_of_weights,
)
from benchmarks.conversion.faults import FINDERS, sites  # noqa: E402
from benchmarks.conversion.judging import Truth, named, parity  # noqa: E402
from benchmarks.conversion.program import Program  # noqa: E402
from benchmarks.conversion_faults import (  # noqa: E402
    Injected,
    Model,
    Record,
    World,
    counted,
    reached,
)

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.filterwarnings("ignore"),  # coremltools' and torch's own
]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """One network of each sort of input, in either precision."""
    folder = tmp_path_factory.mktemp("faults")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = [
            Model("mobilenet", 0, "float16", "iOS17"),
            Model("upsampling", 0, "float32", "iOS17"),
        ]
        return {model.net: World(model, folder) for model in models}


@pytest.mark.parametrize("net", ["mobilenet", "upsampling"])
def test_a_faultless_conversion_is_accused_by_nobody(worlds, net):
    assert worlds[net].accused() == ""


CLASSES = {
    "mobilenet": (
        "weights swapped", "weights transposed", "bias", "padding", "activation", "wrong operator",
        "operator dropped", "float16 overflow", "labels", "image scale and bias", "channel order",
    ),
    "upsampling": (
        "epsilon", "axis", "padding", "stride and sampling", "activation", "operator doubled",
        "operands and broadcast", "weights exchanged",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("net", "kind"), [(n, k) for n, kinds in CLASSES.items() for k in kinds])
def test_a_fault_of_each_class_is_caught_by_the_default_gates(worlds, net, kind, tmp_path):
    world = worlds[net]
    program = Program(world.package)
    # In this net the average's windows end at the edge, so that rounding up is no fault.
    site = next(s for s in sites(program, 0)[kind] if not s.what.startswith("avg_pool: ceil_mode"))
    site.edit(program)
    verdict = parity(world.net, world.source, program.save(tmp_path), world.samples)

    assert verdict.wrong, (site, verdict)


def test_the_operator_is_named(worlds, tmp_path):
    world = worlds["upsampling"]
    program = Program(world.package)
    (site,) = [s for s in sites(program, 0)["padding"] if s.what.startswith("pad: mode reflect")][
        :1
    ]
    site.edit(program)
    verdict = named(world.net, world.source, program.save(tmp_path), site)

    assert verdict.wrong, verdict


def test_faults_that_change_nothing_are_told_apart(worlds, tmp_path):
    world = worlds["mobilenet"]
    truth = Truth(world.net, world.package)
    twice = next(
        s for s in sites(truth.original, 0)["operator doubled"] if s.what.startswith("relu6")
    )
    swapped = sites(truth.original, 0)["weights swapped"][0]

    assert truth.unchanged(truth.original.copy(), world.package) == "the same bytes"
    for site, why in ((twice, "the same numbers"), (swapped, "")):
        program = truth.original.copy()
        site.edit(program)
        assert truth.unchanged(program, program.save(tmp_path)) == why


def test_sites_are_the_same_for_the_same_seed_and_every_class_has_some(worlds):
    found = {}
    for world in worlds.values():
        program = Program(world.package)
        one, again = ({k: [s.what for s in v] for k, v in sites(program, 3).items()} for _ in "ab")
        assert one == again
        found.update({kind: some for kind, some in one.items() if some})
    elsewhere = {"gates", "table cut off", "scale of weights"}  # recurrent and compressed models

    assert set(found) == set(FINDERS) - elsewhere


def test_an_edit_leaves_the_undamaged_program_alone(worlds):
    program = Program(worlds["mobilenet"].package)
    for some in sites(program, 0).values():
        for site in some[:2]:
            site.edit(program.copy())

    assert program.same(Program(worlds["mobilenet"].package))


@pytest.mark.parametrize(
    ("hits", "accused", "goal"),
    [
        ((95, 90), {}, True),
        ((94, 90), {}, False),
        ((95, 89), {}, False),
        ((95, 90), {"net": "parity: margin -1 dB"}, False),
    ],
)
def test_the_goals_are_shares_of_true_faults(hits, accused, goal):
    def fault(number, none="", behind=False):
        caught, right = (number < n for n in hits)
        return Injected("m", "k", "w", "p", none, caught, "", right, "", behind)

    faults = [fault(n) for n in range(100)]
    others = [fault(200, none="the same bytes"), fault(200, behind=True)]

    assert len(counted([*faults, *others])) == 100
    assert reached([*faults, *others], accused) is goal


def test_a_campaign_that_was_cut_off_goes_on_from_its_file(tmp_path):
    path = tmp_path / "faults.json"
    record = Record(path, seed=0, per_class=3, resume=True)
    record.models["net"] = [Injected("net", "bias", "w", "p", "", True, "m", False, "c", False)]
    record.faultless["other"] = "parity: margin -1 dB"
    record.save()
    again = Record(path, seed=0, per_class=3, resume=True)

    assert (again.models, again.faultless) == (record.models, record.faultless)
    assert Record(path, seed=0, per_class=3, resume=False).models == {}
    with pytest.raises(SystemExit, match="is of another --seed or --per-class"):
        Record(path, seed=0, per_class=2, resume=True)
