import struct
import wave

import pytest

torch = pytest.importorskip("torch")
import numpy as np  # noqa: E402
from mlbuild.stages._shared.torch_model import log_mel  # noqa: E402
from mlbuild.stages.train.sound_classifier import waves  # noqa: E402

from mlbuild.coreml import load  # noqa: E402

pytestmark = pytest.mark.toolchain

KIND = "train/sound-classifier"
RATE = 4000
STILL = {"shift": 0.0, "gain_db": 0.0, "noise": 0.0}
QUICK = {
    "sample_rate": RATE, "window_seconds": 0.25, "bands": 16, "channels": [4, 8], "dense": 16,
    "epochs": 6, "batch_size": 8, "learning_rate": 0.01, "augment": STILL, "samples": 6,
}  # fmt: skip


def tone(hertz, seconds=0.25, rate=RATE, seed=0, loud=0.4):
    random = np.random.default_rng(seed)
    times = np.arange(round(seconds * rate)) / rate
    noise = random.normal(0, 0.01, len(times))
    return loud * np.sin(2 * np.pi * hertz * times + random.uniform(0, 6)) + noise


def write(path, samples, rate=RATE, width=2, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = np.clip(np.round(samples * 2 ** (8 * width - 1)), *bounds(width)).astype(np.int64)
    if width == 1:
        data = (whole + 128).astype(np.uint8).tobytes()
    else:
        data = b"".join(int(v).to_bytes(width, "little", signed=True) for v in whole)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)
    return path


def bounds(width):
    return -(2 ** (8 * width - 1)), 2 ** (8 * width - 1) - 1


@pytest.fixture
def tones(tmp_path):
    folder = tmp_path / "tones"
    for label, hertz in (("high", 1500), ("low", 300)):
        for n in range(8):
            write(folder / label / f"{label}_{'ab'[n % 2]}_{n}.wav", tone(hertz, seed=n))
    return folder


def test_it_learns_tones_and_its_package_hears_the_same(run_kind, tones, tmp_path):
    trained = run_kind(KIND, tmp_path=tmp_path, inputs={"sounds": tones}, params=QUICK)

    assert trained.ok, trained.error
    assert trained.metrics["accuracy"]["value"] == 1.0
    assert trained.metrics["accuracy"]["n"] == trained.metrics["window_accuracy"]["n"] == 4
    assert trained.metrics["recordings"] == 16
    assert [row["epoch"] for row in trained.plots["training"]] == list(range(1, 7))
    model, samples = trained.outputs["model"], trained.outputs["samples"]
    assert len(list(samples.rglob("*.npz"))) == 4

    converted = run_kind("convert/coreml", tmp_path=tmp_path, inputs={"model": model})
    assert converted.ok, converted.error
    facts = converted.json("report")
    assert facts["inputs"][0] == {
        "name": "audioSamples", "type": "multiArray", "shape": [1000], "dtype": "FLOAT32",
    }  # fmt: skip
    assert facts["labels"] == ["high", "low"]

    parity = run_kind(
        "validate/parity",
        tmp_path=tmp_path,
        inputs={"reference": model, "candidate": converted.outputs["model"], "samples": samples},
    )
    assert parity.ok, parity.error
    assert parity.metrics["psnr_db"] > 50
    assert parity.metrics["agreement_top1"]["value"] == 1.0


def test_the_front_end_stays_in_float32_in_a_float16_package(run_kind, tones, tmp_path):
    trained = run_kind(
        KIND, tmp_path=tmp_path, inputs={"sounds": tones}, params={**QUICK, "epochs": 1}
    )
    converted = run_kind(
        "convert/coreml", tmp_path=tmp_path, inputs={"model": trained.outputs["model"]}
    )

    operators = load(converted.outputs["model"]).operators()
    kinds = {use.type: [kind for _, kind in use.outputs] for use in operators if use.type == "log"}
    assert all("fp32" in kind for kind in kinds["log"])
    widths = [kind for use in operators if use.type == "conv" for _, kind in use.outputs]
    assert "fp32" in widths[0]  # the Fourier transform
    assert all("fp16" in kind for kind in widths[1:])


def test_log_mel_energies_are_those_of_a_fourier_transform_in_float64():
    audio = tone(700, seconds=0.5, seed=3)
    fft, hop, bands, low, high = 128, 64, 16, 50.0, 2000.0
    net = log_mel.LogMel(RATE, fft, hop, bands, low, high)
    got = net(torch.from_numpy(audio).float()[None])[0].numpy()

    window = np.hanning(fft + 1)[:-1]
    starts = range(0, len(audio) - fft + 1, hop)
    spectra = [np.fft.rfft(audio[s : s + fft] * window) * 2 / window.sum() for s in starts]
    edges = 700 * (10 ** (np.linspace(*mels(low, high), bands + 2) / 2595) - 1)
    wanted = np.log(np.abs(spectra) ** 2 @ triangles(edges, fft).T + 1e-8).T

    assert got.shape == wanted.shape == (bands, net.frames(len(audio)))
    np.testing.assert_allclose(got, wanted, atol=2e-3)  # float32 near the floor of -80 dB


def mels(low, high):
    return [2595 * np.log10(1 + f / 700) for f in (low, high)]


def triangles(edges, fft):
    """Each filter by itself, point by point."""
    bins = np.arange(fft // 2 + 1) * RATE / fft
    return np.array(
        [
            np.interp(bins, edges[b : b + 3], [0, 1, 0], left=0, right=0)
            for b in range(len(edges) - 2)
        ]
    )


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_width_of_sample_is_read(tmp_path, width):
    wanted = tone(440, seed=1)
    found = waves.read(write(tmp_path / "a.wav", wanted, width=width), RATE)

    np.testing.assert_allclose(found, wanted, atol=1.1 * 2.0 ** -(8 * width - 1) + 1e-7)


@pytest.mark.parametrize("size", [4, 8])
def test_floats_are_read_and_a_chunk_before_them_is_passed_over(size):
    wanted = tone(440, seed=1)
    body = wanted.astype(f"<f{size}").tobytes()
    form = struct.pack("<HHIIHH", 3, 1, RATE, RATE * size, size, 8 * size)
    parts = [(b"LIST", b"odd"), (b"fmt ", form), (b"data", body)]
    chunks = b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in parts
    )
    rate, found = waves.decode(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)

    assert rate == RATE
    np.testing.assert_allclose(found[:, 0], wanted, atol=1e-7)


def test_channels_are_averaged_and_rates_are_brought_together(tmp_path):
    left, right = tone(440, rate=8000, seed=1), np.zeros(2000)
    both = np.stack([left, right], axis=1).reshape(-1)
    found = waves.read(write(tmp_path / "a.wav", both, rate=8000, channels=2), RATE)

    assert len(found) == 1000
    np.testing.assert_allclose(found[100:-100], left[::2][100:-100] / 2, atol=0.02)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"ID3 no sound", "no WAV file: it does not begin with RIFF and WAVE"),
        (b"RIFF\0\0\0\0WAVE", "it holds no samples: the file is cut short"),
        (b"RIFF\0\0\0\0WAVEdata\2\0\0\0\0\0", "its samples come before their format"),
        (
            b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 2, 1, 8000, 4000, 1, 4),
            "its samples are of format 2 with 4 bits; read are PCM of 8, 16, 24, 32 bits and "
            "floats of 32 and 64",
        ),
    ],
)
def test_what_is_no_plain_wave_is_told(data, message):
    with pytest.raises(ValueError) as caught:
        waves.decode(data)
    assert str(caught.value) == message


def test_files_that_cannot_be_read_are_left_out_or_fatal(run_kind, tones, tmp_path):
    (tones / "low" / "broken.wav").write_bytes(b"nothing")
    quick = {**QUICK, "epochs": 1}

    skipped = run_kind(KIND, tmp_path=tmp_path, inputs={"sounds": tones}, params=quick)
    fatal = run_kind(
        KIND, tmp_path=tmp_path, inputs={"sounds": tones}, params={**quick, "unreadable": "fail"}
    )

    assert skipped.metrics["unreadable"] == 1
    assert skipped.json("report")["unreadable"] == {"sounds": ["low/broken.wav"]}
    assert fatal.error == (
        "low/broken.wav cannot be read: no WAV file: it does not begin with RIFF and WAVE"
    )


def test_a_group_is_on_one_side_only(run_kind, tones, tmp_path):
    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"sounds": tones},
        params={**QUICK, "epochs": 1, "group_pattern": r"_([ab])_", "holdout": 0.5},
    )

    assert ran.ok, ran.error
    asked = {path.name.split("_")[2] for path in ran.outputs["samples"].rglob("*.npz")}
    assert len(asked) == 1
    assert ran.metrics["accuracy"]["n"] == 8


def test_the_same_seed_gives_the_same_bytes(run_kind, tones, tmp_path, tree):
    runs = [
        run_kind(
            KIND,
            tmp_path=tmp_path,
            inputs={"sounds": tones},
            params={**QUICK, "epochs": 1, "augment": {"shift": 0.1, "gain_db": 3.0, "noise": 0.1}},
        )
        for _ in range(2)
    ]
    for output in ("model", "report", "samples"):
        first, second = (tree(ran.outputs[output]) for ran in runs)
        assert first == second


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"bands": 200},
            "bands: 76 of 200 lie between two frequencies and would hear nothing",
        ),
        (
            {"channels": [4, 4, 4, 4, 4]},
            "5 layers need at least 32 bands and frames, there are 16 and 14",
        ),
        ({"evaluate": "test"}, "evaluate: test, but the input 'test' is missing"),
        (
            {"group_pattern": "speaker_(.)"},
            "group_pattern: 'speaker_(.)' does not match 'high_a_0.wav'",
        ),
    ],
)
def test_what_cannot_be_is_told(run_kind, tones, tmp_path, params, message):
    ran = run_kind(KIND, tmp_path=tmp_path, inputs={"sounds": tones}, params={**QUICK, **params})

    assert ran.kind == "failure"
    assert ran.error == message


def test_a_label_of_the_test_that_was_never_seen_is_told(run_kind, tones, tmp_path):
    write(tmp_path / "test" / "middle" / "x.wav", tone(800))
    ran = run_kind(
        KIND,
        tmp_path=tmp_path,
        inputs={"sounds": tones, "test": tmp_path / "test"},
        params=QUICK,
    )

    assert ran.error == "test: label 'middle' was never seen in training; known are high, low"
