"""From the scores of all members to means, comparisons and one sentence a member.

A member is *better* or *worse* than a control where the adjusted p-value is at most 5 %, and *no better* otherwise:
the words claim what was shown, and nothing is claimed from a difference that chance gives as easily.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from nas.confirmation.arms import CONTROLS, Arm
from nas.confirmation.statistics import CONFIDENCE, MIN_PAIRS, PairedTest, holm, interval, paired_test

Result = Mapping[str, Any]  #: of `trial.Confirmed.to_json`

ALPHA: Final = round(1.0 - CONFIDENCE, 10)

_NAMES: Final = {
    Arm.FROZEN_CIRCUIT: "its frozen circuit",
    Arm.NO_ENTANGLEMENT: "itself without entanglement",
    Arm.CLASSICAL_NET: "its classical control",
}
_VOID: Final = {
    Arm.FROZEN_CIRCUIT: "its circuit has nothing to freeze",
    Arm.NO_ENTANGLEMENT: "it has no entangling gate to take away",
}


def report(results: Sequence[Result | None]) -> dict[str, Any]:
    """Returns the statistics of a confirmation as JSON values: of the tests together, and of each member in order.

    Args:
        results: of the members; None for one that could not be measured.
    """
    tests = {
        (member, arm): test
        for member, result in enumerate(results)
        if result is not None
        for arm in CONTROLS
        if (test := _test(result, arm)) is not None
    }
    adjusted = dict(zip(tests, holm([test.p_value for test in tests.values()]), strict=True))
    members = [
        None
        if result is None
        else _member(
            result, {arm: (tests[member, arm], adjusted[member, arm]) for arm in CONTROLS if (member, arm) in tests}
        )
        for member, result in enumerate(results)
    ]
    return {"tests": _about_tests(tests), "members": members}


def arm_means(result: Result) -> dict[str, Any]:
    """Returns mean and interval of every arm that has trials which ended."""
    name, (low, high) = result["metric"]["name"], result["metric"]["bounds"]
    bounds = -math.inf if low is None else low, math.inf if high is None else high
    scores = {arm: [t[name] for t in about["trials"] if t["error"] is None] for arm, about in result["arms"].items()}
    return {arm: interval(values, bounds=bounds).to_json() for arm, values in scores.items() if values}


def _about_tests(tests: Mapping[Any, PairedTest]) -> dict[str, Any]:
    smallest = [test.smallest_p_exact for test in tests.values()]
    return {
        "n_tests": len(tests),
        "alpha": ALPHA,
        "confidence": CONFIDENCE,
        "test": "paired t over seeds, two-sided; exact sign flips where all differences are equal",
        "correction": "Holm over all comparisons of the confirmation",
        "smallest_p_exact": max(smallest, default=None),
    }


def _test(result: Result, arm: Arm) -> PairedTest | None:
    """Returns the comparison over the seeds that ended in both arms, or None without enough of them."""
    name, control = result["metric"]["name"], result["arms"][arm]
    if control["is_void"]:
        return None
    own, other = (
        {trial["seed"]: trial[name] for trial in about["trials"] if trial["error"] is None}
        for about in (result["arms"][Arm.CANDIDATE], control)
    )
    seeds = sorted(own.keys() & other.keys())
    if len(seeds) < MIN_PAIRS:
        return None
    return paired_test([own[seed] for seed in seeds], [other[seed] for seed in seeds])


def _member(result: Result, tests: Mapping[Arm, tuple[PairedTest, float]]) -> dict[str, Any]:
    is_maximized = result["metric"]["goal"] == "maximize"
    comparisons = [
        {
            "control": str(arm),
            **test.to_json(),
            "p_adjusted": p_adjusted,
            "verdict": verdict(test, p_adjusted, is_maximized=is_maximized),
        }
        for arm, (test, p_adjusted) in tests.items()
    ]
    means = arm_means(result)
    return {"means": means, "comparisons": comparisons, "sentence": _sentence(result, means, comparisons)}


def verdict(test: PairedTest, p_adjusted: float, *, is_maximized: bool) -> str:
    """Returns `better`, `worse` or `no better`."""
    if p_adjusted > ALPHA:
        return "no better"
    return "better" if (test.difference.mean > 0) == is_maximized else "worse"


def _sentence(result: Result, means: Mapping[str, Any], comparisons: Sequence[Mapping[str, Any]]) -> str:
    n_diverged = sum(t["error"] is not None for t in result["arms"][Arm.CANDIDATE]["trials"])
    name = result["metric"]["name"].replace("_", " ").replace("r2", "R²")
    name = name[0].upper() + name[1:]
    own = means.get(Arm.CANDIDATE)
    if own is None:
        return f"{name} is not known: all {n_diverged} trainings diverged."
    head = f"{name} {own['mean']:.3f}"
    if own["low"] is not None:
        head += f" (95 % interval {own['low']:.3f} to {own['high']:.3f} over {own['n']} seeds)"
    by_control = {one["control"]: one for one in comparisons}
    clauses = [_clause(arm, result, by_control.get(arm)) for arm in CONTROLS]
    tail = f" {n_diverged} of its trainings diverged and are left out." if n_diverged else ""
    return f"{head}: {'; '.join(clauses)}.{tail}"


def _clause(arm: Arm, result: Result, comparison: Mapping[str, Any] | None) -> str:
    if result["arms"][arm]["is_void"]:
        return _VOID[arm]
    if comparison is None:
        return f"not comparable with {_NAMES[arm]}, for fewer than {MIN_PAIRS} seeds ended in both"
    clause = f"{comparison['verdict']} than {_NAMES[arm]}"
    if comparison["verdict"] != "no better":
        clause += f" by {abs(comparison['difference']['mean']):.3f}"
    return f"{clause}, {p_text(comparison['p_adjusted'])}"


def p_text(p_value: float) -> str:
    """Returns a p-value at two significant digits: `p = 0.4`."""
    return "p < 0.0001" if p_value < 1e-4 else f"p = {p_value:.2g}"
