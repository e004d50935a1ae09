"""Whether a candidate goes on to its next stage, judged by what was complete before its generation began.

Rivals are the members of the front at that moment: the verdict depends on the candidate and on them alone, not on the
order in which results of its generation land. Like is compared with like:

    known without training    the rival's value, which is final for both
    trained so far            the rival's value at the same stage; a final one says nothing of an early one
    not measured yet          the best value there can be, or left out (`training.stages.unmeasured`)

A rival whose final value is the best there can be, an accuracy of 1, is not beaten in it, whatever training brings.

Where the front makes allowance for noise (`algorithm.noise`), a rival has to dominate surely besides: values that are
all equal within the noise would stand on the front together (`nas.algorithms.dominance`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.algorithms.clearance import Estimate, Metrics, clearance, estimate, loss_of
from nas.algorithms.dominance import bars, surely_dominates
from nas.algorithms.member import violation_of
from nas.spec import SearchSpec
from nas.spec.fidelity import needs_training
from nas.spec.objectives import Objective
from nas.spec.stages import Stages


@dataclass(frozen=True, slots=True)
class Rival:
    """A member of the front when the generation began: what it came to, and where it was at the same stage."""

    place: tuple[int, int]  #: generation and index
    final: Metrics
    at_stage: Metrics


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a candidate goes no further."""

    reason: str
    violation: float  #: of the constraints that are known already
    by: tuple[int, int] | None = None  #: place of the rival that dominates it; None for a broken constraint
    clearance: float | None = None  #: of that rival, in standard errors; None where training cannot change the outcome


def judge(spec: SearchSpec, known: Metrics, rivals: Sequence[Rival]) -> Stop | None:
    """Returns why a candidate is stopped at an early stage, or None for one that goes on.

    A broken constraint on a metric that needs no training stops it, for the full evaluation would find the same value.
    Else it is stopped by a rival whose clearance reaches `training.stages.margin`; of several, by the clearest.

    Args:
        spec: of a search with stages.
        known: all that was measured of the candidate so far.
        rivals: in the order of their places.
    """
    stages = spec.training.stages
    assert stages is not None
    violation = _known_violation(spec, known)
    if violation > 0.0:
        return Stop(_broken(spec, known), violation)
    clearances = [_clearance_of(spec, stages, known, rival) for rival in rivals]
    best = max(range(len(rivals)), key=clearances.__getitem__, default=None)
    if best is None or clearances[best] < stages.margin:
        return None
    return _dominated(spec, known, rivals[best], clearances[best])


def _known_violation(spec: SearchSpec, known: Metrics) -> float:
    settled = [one for one in spec.constraints if one.metric in known and not needs_training(one.metric)]
    values = {name: float(measured["value"]) for name, measured in known.items()}
    return violation_of(spec.model_copy(update={"constraints": settled}), values)


def _broken(spec: SearchSpec, known: Metrics) -> str:
    broken = [
        f"{one.metric} is {value:.4g}, and "
        + (
            f"at most {one.at_most:g}"
            if one.at_most is not None and value > one.at_most
            else f"at least {one.at_least:g}"
        )
        + " is asked"
        for one in spec.constraints
        if one.metric in known and not needs_training(one.metric)
        if one.violation(value := float(known[one.metric]["value"])) > 0.0
    ]
    return "; ".join(broken)


def _dominated(spec: SearchSpec, known: Metrics, rival: Rival, by: float) -> Stop:
    trained = [objective for objective in spec.objectives if needs_training(objective.metric)]
    unbeatable = [one.metric for one in trained if _is_best_possible(one, rival.final[one.metric])]
    left_out = [one.metric for one in trained if one.metric not in known and one.metric not in unbeatable]
    text = f"dominated by {rival.place[0]}.{rival.place[1]}"
    if math.isfinite(by):
        text += f", with {by:.3g} standard errors to spare in every objective"
        text += f" but {' and '.join(unbeatable)}, which cannot be better than there" if unbeatable else ""
    elif not left_out:
        text += ", whatever further training brings"
    text += f"; {' and '.join(left_out)} not measured yet" if left_out else ""
    return Stop(text, 0.0, rival.place, by if math.isfinite(by) else None)


def _clearance_of(spec: SearchSpec, stages: Stages, known: Metrics, rival: Rival) -> float:
    ours, theirs, most = [], [], math.inf
    for objective in spec.objectives:
        name = objective.metric
        if needs_training(name) and _is_best_possible(objective, rival.final[name]):
            # Equal at best: the rival's value, taken as exact, against the same.
            pair = Estimate(loss_of(objective, rival.final[name])), Estimate(loss_of(objective, rival.final[name]))
        elif not needs_training(name):
            pair = estimate(objective, known[name]), estimate(objective, rival.final[name])
        elif name in known:
            pair = estimate(objective, known[name]), estimate(objective, rival.at_stage[name])
            # A tie of replicates without spread looks exact, and is none: training goes on.
            most = min(most, 0.0) if pair[0].loss == pair[1].loss else most
        elif stages.unmeasured == "ignore":
            continue
        else:
            return -math.inf
        ours.append(pair[0])
        theirs.append(pair[1])
    found = min(most, clearance(theirs, ours))
    if math.isfinite(found) and spec.algorithm.noise != "ignore" and not _surely_dominates(theirs, ours):
        return -math.inf
    return found


def _surely_dominates(ones: Sequence[Estimate], others: Sequence[Estimate]) -> bool:
    one, other = (bars([[each.loss for each in pair]], [[each.std_error for each in pair]]) for pair in (ones, others))
    return bool(surely_dominates(one, other)[0, 0])


def _is_best_possible(objective: Objective, measured: Mapping[str, Any]) -> bool:
    """Whether the value is at the end of its scale: a share lies between 0 and 1, but for an R² without a lower end."""
    has_end = objective.info.unit == "share" and (objective.is_maximized or objective.metric != "validation_r2")
    return has_end and float(measured["value"]) == float(objective.is_maximized)
