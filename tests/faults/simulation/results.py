"""Made-up results: each depends on genome and protocol alone, as real ones do. Some genomes fail, some kill."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from made_up import confirmed, result_of, share

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
    return confirmed({arm: [0.5 + 0.4 * share(digest, arm, seed) for seed in range(n_seeds)] for arm in map(str, Arm)})
