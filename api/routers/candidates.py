"""One candidate with everything that is known of it."""

from uuid import UUID

from fastapi import APIRouter

from api.dependencies import TeamId, Work
from api.documents import CandidateDetail
from api.problems import ProblemDocument, not_found
from api.views import candidate_detail

router = APIRouter(prefix="/v1/candidates", tags=["candidates"])


@router.get("/{candidate_id}", responses={404: {"model": ProblemDocument, "description": "no such candidate"}})
def get_candidate(candidate_id: UUID, work: Work, team_id: TeamId) -> CandidateDetail:
    """Read a candidate: genome, metrics with errors and protocol, curves, stages, drawing and PennyLane source."""
    row = work.candidates.get(team_id, candidate_id)
    if row is None:
        raise not_found("candidate", candidate_id)
    return candidate_detail(*row, work.stages.of_candidates([candidate_id]).get(candidate_id, []))
