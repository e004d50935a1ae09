"""Means, intervals and paired tests over seeds.

What varies between seeds are initial parameters and the order of minibatches; the test split is the same for all, so
intervals are about training anew, and not about other data.

- A mean comes with Student's interval, mean ± t(0.975, n − 1) · s/√n.
- Two arms are compared by their differences at equal seeds: the same interval of the mean difference, the paired t
  test, and the exact test that flips signs (Fisher 1935), which assumes nothing of the shape of the differences. Over n
  seeds the latter cannot give less than 2/2ⁿ: 0.0625 for five.
- Where all differences are equal, s = 0 and t has no value; the exact test decides there.
- p-values of all comparisons of a confirmation are adjusted together (Holm 1979).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

#: Of intervals; a test is decided at 1 minus this.
CONFIDENCE: Final = 0.95

#: Pairs that a comparison needs.
MIN_PAIRS: Final = 3

#: Sign flips are counted out up to this many, and drawn beyond.
_MOST_FLIPS: Final = 2**14

#: Differences of scores that agree to this are equal: a share is a quotient of whole numbers, rounded once.
_EQUAL: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over seeds with its interval, in the unit of the values."""

    mean: float
    low: float | None  #: None for a single value
    high: float | None
    n: int

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return {"mean": self.mean, "low": self.low, "high": self.high, "n": self.n}


@dataclass(frozen=True, slots=True)
class PairedTest:
    """A comparison of two arms over the seeds that both have."""

    difference: Interval  #: first minus second
    test: str  #: which of the two p-values counts
    p_value: float
    p_exact: float  #: of the sign flips
    smallest_p_exact: float  #: 2/2ⁿ

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return {
            "difference": self.difference.to_json(),
            "test": self.test,
            "p_value": self.p_value,
            "p_exact": self.p_exact,
            "smallest_p_exact": self.smallest_p_exact,
        }


def interval(values: Sequence[float], *, bounds: tuple[float, float] = (-math.inf, math.inf)) -> Interval:
    """Returns the mean of at least one value with Student's interval, cut where the quantity ends.

    Raises:
        ValueError: there is no value.
    """
    from scipy import stats  # the controller, which confirms now and then, starts without it

    if not values:
        raise ValueError("a mean needs at least one value")
    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return Interval(mean, None, None, n)
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1)) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return Interval(mean, max(bounds[0], mean - half), min(bounds[1], mean + half), n)


def paired_test(first: Sequence[float], second: Sequence[float]) -> PairedTest:
    """Returns the two-sided comparison of values that belong together one by one.

    Raises:
        ValueError: fewer than three pairs, or not as many of one as of the other.
    """
    from scipy import stats  # as above

    if len(first) != len(second) or len(first) < MIN_PAIRS:
        raise ValueError(f"a paired test needs {MIN_PAIRS} pairs; there are {len(first)} and {len(second)} values")
    differences = np.subtract(first, second)
    differences[np.abs(differences) < _EQUAL] = 0.0
    p_exact = _sign_flips(differences)
    spread = float(np.ptp(differences))
    is_constant = spread < _EQUAL
    p_value = p_exact if is_constant else float(stats.ttest_1samp(differences, 0.0).pvalue)
    return PairedTest(
        difference=interval(differences.tolist()),
        test="exact sign flips" if is_constant else "paired t",
        p_value=p_value,
        p_exact=p_exact,
        smallest_p_exact=2.0 ** (1 - len(differences)),
    )


def _sign_flips(differences: NDArray[np.float64]) -> float:
    """Returns the two-sided p-value of the mean among all 2ⁿ choices of signs, or among many drawn ones."""
    from scipy import stats  # as above

    if not differences.any():
        return 1.0
    found = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_MOST_FLIPS,
        alternative="two-sided",
        rng=np.random.default_rng(0),
    )
    return min(1.0, float(found.pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns the p-values adjusted for their number, in their order: max over j ≤ i of min(1, (m − j + 1) p₍ⱼ₎)."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted
