"""Made-up results: each depends on genome and protocol alone, as real ones do. Some genomes fail, some kill."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from made_up import result_of, share

from models.evaluations import Claim
from nas.confirmation.arms import Arm
from nas.space import Genome
from nas.spec.confirmation import CONFIRMATION
from worker.outcomes import Outcome


class ChildDied(BaseException):
    """A genome took its process along."""


def compute(
    claims: Sequence[Claim], *, failing: float, deadly: float, stand_still: Callable[[], None]
) -> Iterator[tuple[Claim, Outcome]]:
    """Yields each claim with its outcome.

    Args:
        claims: what to compute.
        failing: share of genomes whose evaluation fails.
        deadly: share of genomes whose evaluation kills its process.
        stand_still: called before each result.

    Raises:
        ChildDied: a member is deadly.
    """
    for claim in claims:
        stand_still()
        digest = Genome.from_json(claim.genome).digest
        if share(digest, "deadly") < deadly:
            raise ChildDied(digest)
        yield claim, _outcome(claim, digest, failing)


def _outcome(claim: Claim, digest: str, failing: float) -> Outcome:
    if share(digest, "failing") < failing:
        return Outcome(error={"class": "Broken", "message": f"{digest[:8]} cannot be measured", "traceback": "…"})
    if claim.protocol.get("kind") == CONFIRMATION:
        return Outcome(result=_confirmed(digest, claim.protocol["seeds"]))
    text = json.dumps([digest, claim.protocol], sort_keys=True)
    return Outcome(result=result_of(digest, claim.protocol), weights=hashlib.sha256(text.encode()).digest())


def _confirmed(digest: str, n_seeds: int) -> dict[str, Any]:
    arms = {
        str(arm): {
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
                    "test_accuracy": 0.5 + 0.4 * share(digest, arm, seed),
                    "test_loss": 0.5,
                    "error": None,
                }
                for seed in range(n_seeds)
            ],
        }
        for arm in Arm
    }
    return {
        "metric": {"name": "test_accuracy", "goal": "maximize", "unit": "share", "bounds": [0.0, 1.0]},
        "rows": {"train": 90, "validation": 30, "test": 30},
        "learning_rate": 0.1,
        "arms": arms,
        "engine": {"name": "made up"},
    }
