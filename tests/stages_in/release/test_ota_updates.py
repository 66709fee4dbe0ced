"""Updates as they should go, with the independent client over HTTP."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from uuid import UUID

import pytest

pytest.importorskip("cryptography")
np = pytest.importorskip("numpy")

from tests.ota_client.client import Client  # noqa: E402 - after the skip
from tests.ota_client.wire import Refusal, bucket  # noqa: E402
from tests.stages_in.release.ota_world import MASTER, OTHER_SEED, SEED, public  # noqa: E402
from tests.stages_in.release.ota_world import world as make_world  # noqa: E402

pytestmark = pytest.mark.toolchain
RNG = np.random.default_rng(5)
WEIGHTS = RNG.normal(0, 0.1, 8000).astype("float16")


def weights(version):
    """Each version moves a few weights more."""
    moved = WEIGHTS.copy()
    moved[: 40 * (version - 1)] += np.float16(0.5)
    return moved.tobytes()


@pytest.fixture
def play(tmp_path, pack, model):
    """``play(bundle, **client)``: a world; ``play.bundle(n, ...)`` packs version n."""
    made = []

    def start(bundle, **facts):
        made.append(make_world(tmp_path / f"world{len(made)}", bundle, **facts))
        return made[-1]

    def bundle(version, previous=(), **params):
        ran = pack(model(weights(version)), previous=list(previous), **params)
        assert ran.ok, ran.error
        return ran.outputs["bundle"]

    start.bundle = bundle
    yield start
    for world in made:
        world.server.close()


def files_of(place):
    files = (p for p in place.rglob("*") if p.is_file())
    return {p.relative_to(place).as_posix(): p.read_bytes() for p in files}


def payloads(world):
    """Names and ranges of the payload that was asked for since the last look."""
    asked = [(n, r) for n, r in world.server.asked if n.startswith("files/")]
    world.server.asked.clear()
    return asked


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"compression": "lzma"},
        {"compression": "none"},
        {"encryption_key": "OTA_KEY"},
        {"encryption_key": "OTA_KEY", "compression": "lzma"},
    ],
    ids=str,
)
def test_a_device_without_a_version_fetches_all_files(play, model, params):
    world = play(play.bundle(1, **params), master_keys=[OTHER_SEED, MASTER])

    assert world.client.update() == "1"
    source = files_of(model(weights(1)))
    assert files_of(world.client.place(1) / "Model.mlpackage") == source
    assert world.client.model() == world.client.place(1) / "Model.mlpackage"
    assert world.client.update() == "up-to-date"


def test_a_file_of_many_segments_is_decrypted(play, pack, model):
    many = RNG.bytes((2 << 20) + 5)
    ran = pack(model(many), encryption_key="OTA_KEY", compression="none")
    world = play(ran.outputs["bundle"], master_keys=[MASTER])

    assert world.client.update() == "1"
    (file,) = world.client.place(1).rglob("weight.bin")
    assert file.read_bytes() == many


@pytest.mark.parametrize("params", [{}, {"encryption_key": "OTA_KEY"}], ids=str)
def test_a_device_with_the_earlier_version_fetches_one_patch(play, params):
    first = play.bundle(1, **params)
    second = play.bundle(2, [first], **params)
    world = play(first, master_keys=[MASTER])
    world.client.update()
    world.serve(second)
    payloads(world)

    assert world.client.update() == "2"
    (patched,) = (f for f in world.manifest()["files"] if f["patches"])
    assert payloads(world) == [(f"files/{patched['patches'][0]['transport']['file']}", None)]
    assert patched["patches"][0]["transport"]["size"] < patched["transport"]["size"] / 10
    (file,) = world.client.place(2).rglob("weight.bin")
    assert file.read_bytes() == weights(2)
    assert not world.client.overcome


def test_a_device_two_versions_behind_has_a_patch_of_its_own(play):
    first = play.bundle(1)
    second = play.bundle(2, [first])
    third = play.bundle(3, [first, second])
    world = play(first)
    world.client.update()
    world.serve(third)

    assert world.client.update() == "3"
    (patched,) = (f for f in world.manifest()["files"] if f["patches"])
    assert len(patched["patches"]) == 2
    assert sum(name == f"files/{patched['transport']['file']}" for name, _ in payloads(world)) == 0


def test_a_patch_may_start_from_the_model_of_the_app(play, model):
    shipped = model(weights(1))
    world = play(play.bundle(2, [shipped]), shipped=shipped)

    assert world.client.update() == "1"
    assert len(payloads(world)) == 1


def test_a_device_whose_files_differ_fetches_the_whole_file(play, model):
    world = play(play.bundle(2, [model(weights(1))]), shipped=model(weights(3)))

    assert world.client.update() == "1"
    (patched,) = (f for f in world.manifest()["files"] if f["patches"])
    assert (f"files/{patched['transport']['file']}", None) in payloads(world)
    assert not world.client.overcome


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on_where_it_was_cut(play, ranges):
    world = play(play.bundle(1))
    world.server.cut_after, world.server.ranges = 20, ranges
    with pytest.raises(Refusal) as told:
        world.client.update()
    cut = payloads(world)

    assert told.value.reason == "wrong-size"
    assert world.client.update() == "1"
    again = payloads(world)
    assert again[0] == (cut[0][0], "bytes=20-")
    assert files_of(world.client.place(1))


def test_what_was_fetched_before_a_cut_is_not_fetched_again(play):
    world = play(play.bundle(1))
    names = [f["transport"]["file"] for f in world.manifest()["files"]]
    world.server.change[f"files/{names[-1]}"] = lambda data: data[:-1]
    with pytest.raises(Refusal):
        world.client.update()
    world.server.change.clear()
    payloads(world)
    parts = {p.name for p in (world.client.folder / "parts").iterdir()}

    world.client.update()
    assert parts == {names[-1]}


@pytest.mark.parametrize(("percent", "low", "high"), [(0, 0, 0), (50, 440, 560), (100, 1000, 1000)])
def test_a_rollout_reaches_its_share_of_installations(play, tmp_path, percent, low, high):
    world = play(play.bundle(1, rollout=percent))
    took = 0
    for number in range(40):
        identity = str(UUID(int=number))
        own = Client(
            world.server.url, "Model", [public(SEED)], tmp_path / f"app{number}", lambda _: None,
            identity=identity,
        )  # fmt: skip
        try:
            took += own.update() == "1"
            assert bucket(identity, "Model", "1") < percent * 100
        except Refusal as refusal:
            assert refusal.reason == "not-in-rollout"
            assert bucket(identity, "Model", "1") >= percent * 100
    assert took == {0: 0, 100: 40}.get(percent, took)
    # 1000 draws with p 0.5: 440 to 560 is almost four standard deviations to either side.
    within = sum(bucket(str(UUID(int=n)), "Model", "1") < percent * 100 for n in range(1000))
    assert low <= within <= high


def test_who_is_in_a_small_rollout_is_in_a_larger_one():
    identities = [str(UUID(int=n)) for n in range(500)]
    small = {i for i in identities if bucket(i, "Model", "1") < 1000}
    large = {i for i in identities if bucket(i, "Model", "1") < 5000}

    assert small < large


def test_going_back_needs_no_download(play):
    first = play.bundle(1)
    second = play.bundle(2, [first])
    back = play.bundle(2, [first, second], rollback_to=1, rollout=0)
    world = play(first)
    world.client.update()
    world.client.confirm()
    world.serve(second)
    world.client.update()
    world.serve(back)
    payloads(world)

    assert world.client.update() == "3"  # though the roll-out is to nobody
    assert payloads(world) == []
    (file,) = world.client.place(3).rglob("weight.bin")
    assert file.read_bytes() == weights(1)
    assert world.client.state().failed == [2]


def test_a_revoked_version_is_left_at_once_even_where_nothing_can_replace_it(play):
    first = play.bundle(1)
    second = play.bundle(2, [first])
    third = play.bundle(3, [first, second], revoked=[2], minimum_app="9.0")
    world = play(first)
    world.client.update()
    world.client.confirm()
    world.serve(second)
    world.client.update()
    world.serve(third)
    with pytest.raises(Refusal) as told:
        world.client.update()

    assert told.value.reason == "app-too-old"
    assert world.client.model() == world.client.place(1) / "Model.mlpackage"


def test_of_several_revoked_versions_none_is_gone_back_to(play):
    bundles = [play.bundle(1)]
    world = play(bundles[0])
    for version in (2, 3):
        world.client.update()
        world.client.confirm()
        bundles.append(play.bundle(version, bundles))
        world.serve(bundles[-1])
    world.client.update()
    world.serve(play.bundle(4, bundles, revoked=[2, 3], minimum_app="9.0"))
    with pytest.raises(Refusal):
        world.client.update()

    assert world.client.model() is None  # version 1 is good, but here no more
    assert world.client.state().failed == [1, 2, 3]


def test_a_version_that_cannot_be_loaded_is_not_installed(play):
    first = play.bundle(1)
    world = play(first)
    world.client.update()
    world.serve(play.bundle(2, [first]))
    world.broken.add(hashlib.sha256(weights(2)).hexdigest())
    with pytest.raises(Refusal) as told:
        world.client.update()

    assert str(told.value) == "cannot-load: the model cannot be loaded"
    assert world.client.state().current == 1


def test_a_version_that_crashes_three_times_gives_way_to_the_last_good_one(play):
    first = play.bundle(1)
    world = play(first)
    world.client.update()
    world.client.confirm()
    world.serve(play.bundle(2, [first]))
    world.client.update()
    begun = [world.client.model() for _ in range(3)]  # and each time the app dies

    assert begun == [world.client.place(2) / "Model.mlpackage"] * 3
    assert world.client.model() == world.client.place(1) / "Model.mlpackage"
    with pytest.raises(Refusal) as told:
        world.client.update()
    assert told.value.reason == "failed-before"


def test_a_version_that_is_confirmed_may_be_begun_for_ever(play):
    world = play(play.bundle(1))
    world.client.update()
    for _ in range(10):
        assert world.client.model()
        world.client.confirm()
    assert world.client.state().good == [1]


def test_only_the_version_in_use_and_the_last_good_one_are_kept(play):
    bundles = [play.bundle(1)]
    world = play(bundles[0])
    for version in (2, 3, 4):
        world.client.update()
        world.client.confirm()
        bundles.append(play.bundle(version, bundles))
        world.serve(bundles[-1])
    world.client.update()

    assert sorted(p.name for p in (world.client.folder / "versions").iterdir()) == ["3", "4"]


def test_keys_change_without_an_app_that_is_left_behind(play):
    both = play.bundle(1, signing_keys=["MLBUILD_OTA_SIGNING_KEY", "OTHER_SIGNING_KEY"])
    for pinned in (SEED, OTHER_SEED):
        world = play(both)
        world.client.pinned = [public(pinned)]
        assert world.client.update() == "1"
    new = play.bundle(2, [both], signing_keys=["OTHER_SIGNING_KEY"])
    world = play(new)
    world.client.pinned = [public(SEED), public(OTHER_SEED)]
    assert world.client.update() == "2"


def test_a_bundle_is_taken_up_to_the_moment_at_which_it_expires(play):
    world = play(play.bundle(1, expires="2030-01-31T00:00:00Z"))
    world.client.now = lambda: datetime(2030, 1, 31, tzinfo=UTC)
    with pytest.raises(Refusal) as told:
        world.client.update()
    assert str(told.value) == "expired: at 2030-01-31T00:00:00Z"
    world.client.now = lambda: datetime(2030, 1, 30, 23, 59, 59, tzinfo=UTC)
    assert world.client.update() == "1"


@pytest.mark.parametrize(
    ("app", "takes"), [("2.0", True), ("2", True), ("2.10", True), ("1.9.9", False)]
)
def test_apps_are_compared_number_by_number(play, app, takes):
    world = play(play.bundle(1, minimum_app="2.0"), app=app)
    if takes:
        assert world.client.update() == "1"
    else:
        with pytest.raises(Refusal, match=r"^app-too-old: 1\.9\.9 is older than 2\.0$"):
            world.client.update()
