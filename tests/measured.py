"""A small search that is really measured, in this process: what real workers must come to as well."""

from typing import Any, Final

import made_up
import torch
from calibrations import calibration
from sqlalchemy import Engine

from models import Evaluation, Search, UnitOfWork
from nas.evaluation import evaluate
from nas.space import Genome
from nas.spec import Protocol

SPEC: Final[dict[str, Any]] = {
    "name": "backup",
    "space": {"qubits": [1, 2], "layers": [1, 2], "learning_rate": {"min": 0.01, "max": 0.2, "log": True}},
    "training": {"epochs": 2, "batch_size": 64, "stages": {"epochs": [0], "margin": 1}},
    "metrics": {"expressibility": {"samples": 200}},
    "algorithm": {"population": 5, "generations": 3, "seed": 3},
    "engine": "auto",
}


def measure(engine: Engine, evaluations: list[Evaluation], *, worker: str = "here") -> None:
    """Plays a worker that really measures."""
    torch.set_num_threads(1)  # as the processes of a worker have it
    with UnitOfWork(engine) as work:
        for evaluation in evaluations:
            (claim,) = work.evaluations.claim([evaluation.id], worker=worker, lease_s=60)
            found = evaluate(Genome.from_json(claim.genome), Protocol.model_validate(claim.protocol))
            assert work.evaluations.succeed(claim, found.to_json(), weights=found.weights)
        work.commit()


def begin(engine: Engine, **changes: Any) -> Search:
    """Submits a search, with changes of its spec, and takes it to the middle of its first generation."""
    with UnitOfWork(engine) as work:
        about = calibration(bundles={2: 4}).to_json()
        work.workers.register("here", device="cpu", n_slots=1, hardware={}, versions={}, calibration=about)
        work.commit()
    search = made_up.submit(engine, **{**SPEC, **changes})
    made_up.advance_all(engine)
    measure(engine, made_up.pending(engine)[:2])
    made_up.advance_all(engine)
    return search


def finish(engine: Engine, search: Search, *, worker: str = "here") -> Search:
    """Takes a search to its end, and returns it as it is then."""
    made_up.advance_all(engine)
    while waiting := made_up.pending(engine):
        measure(engine, waiting, worker=worker)
        made_up.advance_all(engine)
    return made_up.reload(engine, search)
