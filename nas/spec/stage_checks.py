"""Checks of a candidate's several evaluations: early stages, and the second look at the front."""

from typing import TYPE_CHECKING, Any

from nas.spec import limits
from nas.spec.metrics import Needs

if TYPE_CHECKING:
    from nas.spec.search import SearchSpec

#: Path, sentence and value, as in `nas.spec.checks`.
Finding = tuple[tuple[str | int, ...], str, Any]

#: Blocks of `metrics` that may ask for fewer samples than others.
_FEWER_SAMPLES = {"quantum_fisher_rank": limits.MAX_FISHER_DRAWS}


def stage_problems(spec: "SearchSpec") -> list[Finding]:
    """Returns what `training.stages` and `algorithm.reevaluate` ask for that the rest of a spec does not bear."""
    return [*_early_problems(spec), *_reevaluation_problems(spec)]


def _early_problems(spec: "SearchSpec") -> list[Finding]:
    stages = spec.training.stages
    if stages is None:
        return []
    here = ("training", "stages")
    if not spec.has_training:
        return [(here, "no metric of this search needs training, so there is nothing to put off; remove it", None)]
    problems: list[Finding] = [
        ((*here, "epochs", i), f"an early stage is shorter than training.epochs ({spec.training.epochs})", epochs)
        for i, epochs in enumerate(stages.epochs)
        if epochs >= spec.training.epochs
    ]
    cheap = [objective for objective in spec.objectives if objective.info.needs is not Needs.TRAINING]
    if stages.epochs[-1] > 0 and len(cheap) == len(spec.objectives):
        text = "no objective needs training, so a stage that trains would tell nothing new; leave 0 alone"
        problems.append(((*here, "epochs"), text, stages.epochs))
    if stages.unmeasured == "ignore" and stages.epochs[0] == 0 and len(cheap) < 2:
        text = (
            f"'ignore' needs two objectives that are known without training, and there is {len(cheap)}: by one alone, "
            "all but the best would be stopped; take 'best', or remove the stage of 0 epochs"
        )
        problems.append(((*here, "unmeasured"), text, stages.unmeasured))
    return problems


def _reevaluation_problems(spec: "SearchSpec") -> list[Finding]:
    reevaluate = spec.algorithm.reevaluate
    if reevaluate is None:
        return []
    factor, settings = reevaluate.factor, spec.metrics.with_samples(reevaluate.factor)
    taken = [
        ("training.replicates", factor * spec.training.replicates, limits.MAX_REPLICATES),
        ("metrics.replicates", settings.replicates, limits.MAX_REPLICATES),
    ]
    taken += [
        (f"metrics.{name}.samples", one.samples, _FEWER_SAMPLES.get(name, limits.MAX_SAMPLES))
        for name in type(settings).model_fields
        if hasattr(one := getattr(settings, name), "samples")
    ]
    return [
        (
            ("algorithm", "reevaluate", "factor"),
            f"{factor} times {path} are {number}, and at most {most} are allowed; take a smaller factor",
            factor,
        )
        for path, number, most in taken
        if number > most
    ]
