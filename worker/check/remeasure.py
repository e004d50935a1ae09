"""Results, measured again: on one kind of machine they are the same to the last bit (I4). This loads the simulators."""

import json
from typing import Any
from uuid import UUID

import torch
from sqlalchemy import Row

from models import UnitOfWork
from nas.engines import make_engine
from nas.errors import EvaluationError
from nas.evaluation import evaluate
from nas.space import Genome
from nas.spec import METRICS, Protocol
from worker.check.findings import Findings, Report
from worker.machine import hardware


def remeasure(work: UnitOfWork, *, n: int, search_id: UUID | None = None) -> Report:
    """Evaluates up to `n` succeeded evaluations again, drawn at random, and compares every value and error.

    Only what a processor of this kind measured, with these versions and in double precision, has to come out alike:
    what else is drawn is counted in a note. No transaction is open while computing.
    """
    findings = Findings()
    drawn = work.audit.draw_succeeded(search_id, n=n)
    work.session.rollback()
    torch.set_num_threads(1)  # the order of sums, and so the last digits, depends on it
    here = _processor(hardware())
    comparable = [row for row in drawn if _processor(row.hardware or {}) == here and _is_reproducible(row)]
    for row in comparable:
        difference = _difference(row)
        if difference is not None:
            claim = "an evaluation comes out otherwise when it is measured again: {difference}"
            findings.violation("I4", claim, row.id, difference=difference)
    n_left_out = len(drawn) - len(comparable)
    findings.note(
        f"{len(comparable)} results were measured again"
        + (f"; {n_left_out} others are of another processor, device, precision or version" if n_left_out else "")
    )
    return Report(findings.violations, findings.notes, n_searches=0, n_candidates=0, n_evaluations=len(comparable))


def _processor(about: dict[str, Any]) -> tuple[Any, Any]:
    return about.get("machine"), about.get("processor")


def _is_reproducible(row: Row[*tuple[Any, ...]]) -> bool:
    """Whether what measured a result is what would measure it here."""
    if row.protocol.get("device") != "cpu" or row.protocol.get("precision") != "complex128":
        return False
    if any(name not in METRICS or METRICS[name].version != v for name, v in row.protocol["metrics"].items()):
        return False
    try:
        engine = make_engine(row.protocol["engine"], "complex128", "cpu")
    except EvaluationError:
        return False
    return bool(row.result.get("engine") == engine.info.to_json())


def _difference(row: Row[*tuple[Any, ...]]) -> str | None:
    """Returns the first metric that comes out otherwise, in words."""
    try:
        found = evaluate(Genome.from_json(row.genome), Protocol.model_validate(row.protocol))
    except EvaluationError as problem:
        return f"it fails, for {problem}"
    for name, measured in json.loads(json.dumps(found.to_json()["metrics"])).items():
        before = row.result["metrics"].get(name, {})
        for key in ("value", "std_error"):
            if measured[key] != before.get(key):
                return f"{name} has {key} {measured[key]!r}, and had {before.get(key)!r}"
    return None
