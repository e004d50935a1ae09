"""The protocols of a candidate's evaluations, from the cheapest to the most exact.

    early stages    what needs no training, and then the objectives that do, after few epochs
    full            all of the spec: the one evaluation of a search without stages, and shared with it
    again           the same with more samples and replicates, from another seed

Seeds do not depend on the number of epochs: the fits of an early stage are to the last bit the beginnings of the full
ones, though of several learning rates another may be ahead by then, and what needs no training has its final value from
the first stage on.
"""

from dataclasses import dataclass
from enum import StrEnum

from nas.spec import limits
from nas.spec.engines import EngineName
from nas.spec.metrics import METRICS, Needs
from nas.spec.protocol import Protocol
from nas.spec.search import SearchSpec


class StageKind(StrEnum):
    """What an evaluation of a candidate is for."""

    EARLY = "early"
    FULL = "full"
    AGAIN = "again"


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One evaluation that a candidate goes through; `epochs` are those that it trains for, a replicate."""

    kind: StageKind
    epochs: int
    protocol: Protocol


def needs_training(metric: str) -> bool:
    """Whether the metric changes with the number of epochs."""
    return METRICS[metric].needs is Needs.TRAINING


def full_epochs(spec: SearchSpec) -> int:
    """Returns the epochs of a full evaluation, a replicate; 0 where nothing is trained."""
    return spec.training.epochs if spec.has_training else 0


def stage_plans(spec: SearchSpec, *, engine: EngineName | None = None) -> tuple[StagePlan, ...]:
    """Returns the stages of a candidate in their order, at least the full one; `engine` as for `Protocol.from_spec`."""
    full = Protocol.from_spec(spec, engine=engine)
    early = [] if spec.training.stages is None else spec.training.stages.epochs
    return (
        *(_early(spec, full, epochs, is_first=number == 0) for number, epochs in enumerate(early)),
        StagePlan(StageKind.FULL, full_epochs(spec), full),
    )


def again_plan(spec: SearchSpec, *, engine: EngineName | None = None) -> StagePlan:
    """Returns how the front of a search is looked at again.

    With another seed the new samples are independent of those that put a candidate on the front: whatever luck there
    was in them does not count twice.

    Raises:
        ValueError: the spec asks for no second look.
    """
    if spec.algorithm.reevaluate is None:
        raise ValueError("the search has no algorithm.reevaluate")
    factor = spec.algorithm.reevaluate.factor
    full = Protocol.from_spec(spec, engine=engine)
    training = full.training.model_copy(
        update={
            "replicates": factor * full.training.replicates,
            "seed": (full.training.seed + 1) % (limits.MAX_SEED + 1),
        }
    )
    protocol = full.model_copy(update={"training": training, "settings": full.settings.with_samples(factor)})
    return StagePlan(StageKind.AGAIN, full_epochs(spec), protocol)


def _early(spec: SearchSpec, full: Protocol, epochs: int, *, is_first: bool) -> StagePlan:
    objectives = {objective.metric for objective in spec.objectives}
    metrics = {
        name: version
        for name, version in full.metrics.items()
        if (epochs > 0 and name in objectives if needs_training(name) else is_first)
    }
    # Without training, the number of epochs changes nothing that is measured; a protocol has at least one.
    training = full.training.model_copy(update={"epochs": max(1, epochs)})
    return StagePlan(StageKind.EARLY, epochs, full.model_copy(update={"metrics": metrics, "training": training}))
