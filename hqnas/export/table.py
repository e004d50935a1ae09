"""Candidates and learning curves as CSV, fronts as JSON."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from hqnas.client.results import Candidate, Epoch, Front, Objective, Search, losses
from hqnas.export.genes import GENES, gene_text

#: A spreadsheet takes a cell that begins so for a formula and would run it.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def to_csv(candidates: Iterable[Candidate], objectives: tuple[Objective, ...]) -> str:
    """Returns one line a candidate, best first in the order of the objectives, ties by digest.

    Columns are the place in the search, the genes, and every metric with its standard error, objectives first. Random
    ids and times are left out and floats keep all their digits, so equal results give equal files.
    """
    rows = sorted(candidates, key=lambda c: (losses(c, objectives), c.digest, c.generation, c.index))
    metrics = _metric_names(rows, objectives)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    errors = ((name, f"{name}_std_error") for name in metrics)
    writer.writerow(
        ["generation", "index", "digest", "is_on_front", *GENES, *(_cell(name) for pair in errors for name in pair)]
    )
    for row in rows:
        place = [str(row.generation), str(row.index), row.digest, str(row.is_on_front).lower()]
        genes = [_cell(gene_text(name, row.genome[name])) for name in GENES]
        writer.writerow([*place, *genes, *_metric_cells(row, metrics)])
    return out.getvalue()


def curves_to_csv(curves: Sequence[Sequence[Epoch]]) -> str:
    """Returns one line an epoch of each replicate; a column that the task does not have is left out."""
    points = [(replicate, epoch) for replicate, curve in enumerate(curves) for epoch in curve]
    columns = ["epoch", "train_loss", "validation_loss", "validation_accuracy", "validation_r2"]
    known = [name for name in columns if any(getattr(epoch, name) is not None for _, epoch in points)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["replicate", *known])
    writer.writerows([replicate, *(getattr(epoch, name) for name in known)] for replicate, epoch in points)
    return out.getvalue()


def to_json(search: Search, front: Front) -> str:
    """Returns the search with its spec, and its front, as the API gives them."""
    document = {"search": search.document, "front": front.document}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _metric_names(candidates: Sequence[Candidate], objectives: tuple[Objective, ...]) -> list[str]:
    """Returns the metrics in the order of their columns; those that are genes have a column already."""
    first = [objective.metric for objective in objectives]
    names = [*first, *sorted({name for c in candidates for name in c.metrics} - set(first))]
    return [name for name in names if name not in GENES]


def _metric_cells(candidate: Candidate, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        metric = candidate.metrics.get(name)
        if metric is None:
            yield from ("", "")
        else:
            yield _number(metric.value)
            yield metric.std_error if isinstance(metric.std_error, str) else _number(metric.std_error)


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)


def _cell(text: str) -> str:
    return "'" + text if text.startswith(_FORMULA) else text
