"""Checks of what is trained and on what: learning rates, and metrics that the data set's task has."""

from typing import TYPE_CHECKING, Any

from nas.spec.metrics import METRICS, Needs

if TYPE_CHECKING:
    from nas.spec.search import SearchSpec

#: Path, sentence and value; as in `nas.spec.checks`.
Finding = tuple[tuple[str | int, ...], str, Any]


def training_problems(spec: "SearchSpec") -> list[Finding]:
    """Returns what the training, the data set and the metrics ask for that does not go together."""
    return [*_rate_problems(spec), *_task_problems(spec)]


def _rate_problems(spec: "SearchSpec") -> list[Finding]:
    rate, swept = spec.space.learning_rate, spec.training.learning_rate
    if swept is not None and rate is not None:
        text = "every candidate tries the rates of training.learning_rate; remove this gene, or the list"
        return [(("space", "learning_rate"), text, rate)]
    if swept is None and rate is None:
        text = "a learning rate is missing; give one here, or a list as training.learning_rate"
        return [(("space", "learning_rate"), text, rate)]
    return []


def _task_problems(spec: "SearchSpec") -> list[Finding]:
    task, name = spec.dataset.task, spec.dataset.name
    named: list[tuple[tuple[str | int, ...], str]] = [
        *((("objectives", i, "metric"), each.metric) for i, each in enumerate(spec.objectives)),
        *((("constraints", i, "metric"), each.metric) for i, each in enumerate(spec.constraints)),
        *((("metrics", "also", i), metric) for i, metric in enumerate(spec.metrics.also)),
    ]
    known = [info.name for info in METRICS.values() if info.needs is Needs.TRAINING and task in info.tasks]
    problems: list[Finding] = [
        (
            path,
            f"'{metric}' is defined for {METRICS[metric].tasks[0]}, and '{name}' is a {task}; choose from "
            f"{', '.join(known)}",
            metric,
        )
        for path, metric in named
        if task not in METRICS[metric].tasks
    ]
    if task == "regression" and spec.training.class_weights != "none":
        text = f"'{name}' is a regression and has no classes to weigh by '{spec.training.class_weights}'; remove it"
        problems.append((("training", "class_weights"), text, spec.training.class_weights))
    return problems
