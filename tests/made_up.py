"""Searches over a real database with made-up results: what is told, selected and proposed, without any simulator.

A result depends on the genome and the protocol alone, as a real one does. Accuracy grows with the epochs trained; what
is measured again comes out a little different, for its samples are others.
"""

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, select, text

from config.settings import Settings
from models import Candidate, Evaluation, Search, Stage, UnitOfWork
from models.states import EvaluationState
from models.tables import DEFAULT_TEAM_ID
from nas.spec import METRICS, parse_spec
from worker.controller import advance_one

SETTINGS = Settings()
EPOCHS = 20

SPEC: dict[str, Any] = {
    "name": "staged",
    "dataset": {"name": "iris"},
    "space": {
        "qubits": {"min": 2, "max": 5},
        "layers": {"min": 1, "max": 5},
        "topology": ["none", "linear", "ring"],
        "learning_rate": {"min": 1e-3, "max": 0.1, "log": True},
    },
    "training": {"epochs": EPOCHS, "stages": {"epochs": [0, 5]}},
    "objectives": [{"metric": "validation_accuracy"}, {"metric": "expressibility"}],
    "algorithm": {"population": 6, "generations": 3},
    "engine": "default.qubit",
}


def submit(engine: Engine, /, **changes: Any) -> Search:
    spec = parse_spec({**SPEC, **changes})
    with UnitOfWork(engine) as work:
        search, _ = work.searches.submit(
            DEFAULT_TEAM_ID, name=spec.name, spec=spec.model_dump(mode="json"), idempotency_key=None
        )
        work.commit()
        return search


def reload(engine: Engine, search: Search) -> Search:
    with UnitOfWork(engine) as work:
        return work.session.get_one(Search, search.id)


def share(*parts: object) -> float:
    """Returns a number between 0 and 1 that depends on the parts alone."""
    return hashlib.sha256(repr(parts).encode()).digest()[0] / 255


def result_of(digest: str, protocol: dict[str, Any]) -> dict[str, Any]:
    """Returns made-up metrics, those that the protocol names."""
    training = protocol["training"]
    luck = 0.1 * (share(digest, "luck", training["seed"]) - 0.5)
    trained = training["epochs"] / EPOCHS
    values = {
        "validation_accuracy": (0.9 * share(digest, "accuracy") + luck) * trained,
        "expressibility": share(digest, "expressibility") + luck,
        "gradient_variance": -2 * share(digest, "variance"),
    }
    return {
        "metrics": {
            name: {
                "value": values.get(name, 1.0),
                "std_error": "exact" if METRICS[name].is_static else 0.02,
                "unit": METRICS[name].unit,
                "version": version,
            }
            for name, version in protocol["metrics"].items()
        }
    }


Fails = Callable[[Evaluation], bool]


def confirmed(accuracies: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Returns a result of a confirmation, from the test accuracies of each arm by seed."""
    arms = {
        arm: {
            "parameters": 20,
            "trained_parameters": 20,
            "quantum_parameters": 4,
            "two_qubit_gates": 1,
            "hidden": None,
            "is_void": False,
            "trials": [
                {
                    "seed": seed,
                    "epoch": 2,
                    "validation_loss": 0.5,
                    "test_accuracy": accuracy,
                    "test_loss": 0.5,
                    "error": None,
                }
                for seed, accuracy in enumerate(by_seed)
            ],
        }
        for arm, by_seed in accuracies.items()
    }
    return {
        "metric": {"name": "test_accuracy", "goal": "maximize", "unit": "share", "bounds": [0.0, 1.0]},
        "rows": {"train": 90, "validation": 30, "test": 30},
        "learning_rate": 0.1,
        "arms": arms,
        "engine": {"name": "made up"},
    }


def never(_: Evaluation) -> bool:
    return False


def pending(engine: Engine) -> list[Evaluation]:
    with UnitOfWork(engine) as work:
        statement = select(Evaluation).where(Evaluation.state == EvaluationState.PENDING)
        return list(work.session.scalars(statement.order_by(Evaluation.sequence)))


def settle(engine: Engine, evaluations: Sequence[Evaluation], *, fails: Fails = never) -> None:
    """Plays the workers."""
    with UnitOfWork(engine) as work:
        for evaluation in evaluations:
            (claim,) = work.evaluations.claim([evaluation.id], worker="w", lease_s=60)
            if fails(evaluation):
                work.evaluations.fail(claim, {"class": "Broken", "message": "it broke", "traceback": "…"})
            else:
                work.evaluations.succeed(claim, result_of(evaluation.genome_digest, evaluation.protocol))
        work.commit()


def advance_all(engine: Engine) -> None:
    while advance_one(engine, SETTINGS):
        pass


def run(
    engine: Engine, search: Search, *, limit: int | None = None, newest: bool = False, fails: Fails = never
) -> Search:
    """Runs a search to its end, `limit` results at a time, the oldest or the newest first."""
    advance_all(engine)
    while waiting := pending(engine):
        settle(engine, (waiting[::-1] if newest else waiting)[:limit], fails=fails)
        advance_all(engine)
    return reload(engine, search)


def candidates(engine: Engine, search: Search) -> list[Candidate]:
    with UnitOfWork(engine) as work:
        statement = select(Candidate).where(Candidate.search_id == search.id)
        return list(work.session.scalars(statement.order_by(Candidate.generation, Candidate.index)))


def stages(engine: Engine, search: Search) -> dict[uuid.UUID, list[Stage]]:
    with UnitOfWork(engine) as work:
        return work.stages.of_candidates(one.id for one in candidates(engine, search))


@dataclass(frozen=True, slots=True)
class Finished:
    """A search that went undisturbed to its end, with all that was recorded of it."""

    search: Search
    candidates: list[Candidate]
    stages: dict[uuid.UUID, list[Stage]]
    outcome: list[Any]

    def in_state(self, state: str) -> list[Candidate]:
        return [one for one in self.candidates if one.state == state]


def finished(engine: Engine, /, **changes: Any) -> Finished:
    """Runs a search alone in the database."""
    empty(engine)
    search = run(engine, submit(engine, **changes))
    return Finished(search, candidates(engine, search), stages(engine, search), outcome(engine, search))


def empty(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE candidates, generations, evaluations, searches CASCADE"))


def outcome(engine: Engine, search: Search) -> list[Any]:
    """Returns all of a search that must not depend on when results land."""
    of_candidates = stages(engine, search)
    return [
        (
            (one.generation, one.index, one.digest, one.state, one.objectives, one.violation, one.metrics, one.stopped),
            (one.on_front, one.is_survivor, one.error),
            [(s.number, s.kind, s.epochs, s.state, s.metrics, s.error) for s in of_candidates.get(one.id, [])],
        )
        for one in candidates(engine, search)
    ]
