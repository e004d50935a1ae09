"""Do cheap metrics foretell the trained one?"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from hqnas.export import in_words
from hqnas.report.correlation import COEFFICIENTS, Association, association, coefficients
from hqnas.report.intervals import draw_intervals
from hqnas.report.section import Section, Table
from hqnas.report.study import Row, Study
from nas.spec import METRICS, Needs

_TITLE: Final = "Proxies against trained performance"
_TARGETS: Final = ("validation_accuracy", "validation_r2", "validation_loss")


def proxies(study: Study) -> Section:
    """Returns how every metric that needs no training goes together with the trained one, by training mode."""
    target = next((name for name in _TARGETS if name in study.metrics), None)
    if target is None:
        return Section("proxies", _TITLE, ("Nothing was trained, so there is nothing to foretell.",))
    found = {
        (group, metric): one
        for metric in METRICS  # in the order of the catalogue
        if metric in study.metrics and METRICS[metric].needs is not Needs.TRAINING
        for group, rows in study.groups(metric, target).items()
        if (one := _association(rows, metric, target)) is not None
    }
    if not found:
        return Section("proxies", _TITLE, (f"Too few candidates, or none that vary, to compare with {target}.",))
    clear = [(mode, metric, one) for (mode, metric), one in found.items() if one.spearman.is_clear]
    best = max(clear, key=lambda item: abs(item[2].spearman.value), default=None)
    sentences = [f"Rank correlation of each metric that needs no training with {in_words(target)}, 95 % intervals."]
    without = [member.label for member in study.members if all(np.isnan(row.value(target)) for row in member.rows)]
    if without:
        sentences.append(f"Not measured, and so left out: {', '.join(without)}.")
    if best is None:
        sentences.append("No interval leaves out 0: none of these metrics foretells training here.")
    else:
        sentences.append(
            f"The closest is {in_words(best[1])} in {best[0]}, ρ = {best[2].spearman}; {len(clear)} of "
            f"{len(found)} intervals leave out 0, and one in twenty does by chance."
        )
    rows = tuple((mode, metric, *coefficients(one, n=one.n)) for (mode, metric), one in found.items())
    drawn = {(mode, in_words(metric)): one.spearman for (mode, metric), one in found.items()}
    groups = list(dict.fromkeys(group for group, _ in found))
    label = f"Spearman ρ with {in_words(target)}, 95 % interval"
    picture = draw_intervals({"": drawn}, groups=groups, x_label=label, x_limits=(-1.05, 1.05))
    return Section("proxies", _TITLE, tuple(sentences), Table(("mode", "metric", *COEFFICIENTS), rows), picture)


def _association(rows: Sequence[Row], metric: str, target: str) -> Association | None:
    return association(np.array([row.value(metric) for row in rows]), np.array([row.value(target) for row in rows]))
