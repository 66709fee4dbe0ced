"""The numbers of docs/gates.md, recomputed."""

import re
from functools import lru_cache
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")

from mlbuild.stages._shared.paired.counting import (  # noqa: E402
    detectable,
    mcnemar,
    score_interval,
)
from mlbuild.stages._shared.paired.resampling import bootstrap_interval  # noqa: E402

pytestmark = pytest.mark.toolchain

PAGE = (Path(__file__).parents[2] / "docs" / "gates.md").read_text(encoding="utf-8")
DRAWN = 1200  # of the page's 20,000
WITHIN = 4.5  # per cent: three standard errors of a share of one half


def table(header):
    """The rows of the table with this header."""
    lines = PAGE.split(f"| {header} |")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_worked_examples_are_what_the_functions_say():
    rows = table("n | losses | gains | drop | interval | p | detectable")
    assert len(rows) == 7
    for n, losses, gains, *told in rows:
        n, losses, gains = int(n), int(losses), int(gains)
        low, high = score_interval(losses, gains, n)
        assert told == [
            f"{(losses - gains) / n:.4f}",
            f"{low:.4f} to {high:.4f}",
            f"{mcnemar(losses, gains):.3f}",
            f"{detectable(losses + gains, n):.4f}",
        ]


def drawn(n, losses, gains, seed):
    counts = np.random.default_rng(seed).multinomial(n, [losses, gains, 1 - losses - gains], DRAWN)
    return [(int(loss), int(gain)) for loss, gain, _ in counts]


def test_the_shares_of_good_releases_that_are_blocked():
    rows = table("samples | 2 % parted | 5 % | 10 % | 20 %")
    assert len(rows) == 4
    for row in rows:
        n = int(row[0])
        low = lru_cache(None)(lambda losses, gains, n=n: score_interval(losses, gains, n)[0])
        for parted, cell in zip((0.02, 0.05, 0.1, 0.2), row[1:], strict=True):
            told, plain = map(float, re.fullmatch(r"([\d.]+) \((\d+)\)", cell).groups())
            pairs = drawn(n, parted / 2, parted / 2, seed=n)
            assert 100 * np.mean([low(*pair) > 0 for pair in pairs]) == pytest.approx(told, abs=1)
            worse = 100 * np.mean([loss > gain for loss, gain in pairs])
            assert worse == pytest.approx(plain, abs=WITHIN)


def test_the_shares_of_worse_releases_that_are_blocked():
    rows = table("truly lost | 100 samples | 200 | 500 | 1000 | 2000 | 5000")
    assert len(rows) == 3
    for name, *cells in rows:
        loss = int(name.split()[0]) / 100
        for n, cell in zip((100, 200, 500, 1000, 2000, 5000), cells, strict=True):
            low = lru_cache(None)(lambda losses, gains, n=n: score_interval(losses, gains, n)[0])
            pairs = drawn(n, (0.05 + loss) / 2, (0.05 - loss) / 2, seed=n)
            blocked = 100 * np.mean([low(*pair) > 0 for pair in pairs])
            assert blocked == pytest.approx(float(cell), abs=WITHIN)


def test_the_bootstrap_is_too_sure_where_few_answers_changed():
    said = "`max_upper: 0.02` passed 59 % with 20 samples and 9 % with 100; with the"
    assert said in PAGE
    assert "score interval 0 % and 1 %" in PAGE

    @lru_cache(None)
    def by_bootstrap(losses, gains, n):
        differences = np.repeat([1, -1, 0], [losses, gains, n - losses - gains])
        return bootstrap_interval(differences, 2000)[1]

    for n, told, fair in ((20, 59, 0), (100, 9, 1)):
        pairs = drawn(n, 0.025, 0.005, seed=n)
        passed = 100 * np.mean([by_bootstrap(*pair, n) < 0.02 for pair in pairs])
        assert passed == pytest.approx(told, abs=WITHIN)
        passed = 100 * np.mean([score_interval(*pair, n)[1] < 0.02 for pair in pairs])
        assert passed == pytest.approx(fair, abs=1)
