"""Confirmations: what a search found, trained anew beside controls and tested once on the split that it never saw."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Header, Query, Request, Response

from api.confirmations import ConfirmationDocument, confirmation_document
from api.dependencies import SharedState, TeamId, Work, etag_of, is_unchanged
from api.problems import ApiProblem, ProblemDocument, invalid, not_found
from models import Candidate, Confirmation, Search, UnitOfWork
from models.states import CONFIRMATION_OPEN, SEARCH_OPEN, CandidateState, ConfirmationState
from nas.spec import Problem, SearchSpec
from nas.spec.confirmation import MAX_MEMBERS, ConfirmationRequest

router = APIRouter(prefix="/v1/searches/{search_id}/confirmation", tags=["confirmations"])

_UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"model": ProblemDocument, "description": "no such search, candidate or confirmation"}
}
_REFUSED: dict[int | str, dict[str, Any]] = {
    409: {"model": ProblemDocument, "description": "the search cannot be confirmed, or not now"},
    422: {"model": ProblemDocument, "description": "the request was refused"},
}

_Number = Annotated[
    int | None, Query(ge=1, lt=2**31, description="which confirmation of the search; by default the newest")
]


@router.post("", status_code=202, responses={**_UNKNOWN, **_REFUSED})
def confirm_search(
    search_id: UUID,
    response: Response,
    work: Work,
    team_id: TeamId,
    state: SharedState,
    request: Annotated[ConfirmationRequest | None, Body()] = None,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=200, description="the same key again answers with the same confirmation"),
    ] = None,
) -> ConfirmationDocument:
    """Confirm candidates of a search that has ended: train each anew with several seeds beside three controls.

    This opens the held-out test split, which no search sees. How often that has happened is counted and shown.
    """
    search = work.searches.lock(team_id, search_id)
    if search is None:
        raise not_found("search", search_id)
    request = request or ConfirmationRequest()
    document = request.model_dump(mode="json")
    earlier = work.confirmations.by_key(search_id, idempotency_key) if idempotency_key is not None else None
    if earlier is not None and earlier.request != document:
        raise ApiProblem(
            422, "idempotency-key-reused", "Idempotency key reused",
            f"Idempotency-Key {idempotency_key!r} belongs to confirmation {earlier.number} of search {search_id}, "
            "which asked for something else; use a new key",
        )  # fmt: skip
    confirmation = earlier or _ask(work, search, request, document, idempotency_key)
    response.headers["Location"] = f"/v1/searches/{search_id}/confirmation?number={confirmation.number}"
    return _document(work, confirmation, search, state)


@router.get("", responses={**_UNKNOWN, 304: {"description": "unchanged"}}, response_model=ConfirmationDocument)
def get_confirmation(
    search_id: UUID,
    request: Request,
    response: Response,
    work: Work,
    team_id: TeamId,
    state: SharedState,
    number: _Number = None,
) -> ConfirmationDocument | Response:
    """Read a confirmation: how far it is, every training, and in the end means, tests and a sentence a member."""
    search = _search(work, team_id, search_id)
    head = work.confirmations.head(search_id, number=number)
    if head is None:
        raise _no_confirmation(search_id, number)
    if is_unchanged(request, response, etag_of(*head)):
        return Response(status_code=304, headers=dict(response.headers))
    confirmation = work.confirmations.get(search_id, number=number)
    assert confirmation is not None
    return _document(work, confirmation, search, state)


@router.post("/cancel", status_code=202, responses=_UNKNOWN)
def cancel_confirmation(search_id: UUID, work: Work, team_id: TeamId, state: SharedState) -> ConfirmationDocument:
    """Cancel the newest confirmation of a search. No training starts for it after the answer; what is there stays."""
    search = work.searches.lock(team_id, search_id)
    found = work.confirmations.get(search_id) if search is not None else None
    if search is None:
        raise not_found("search", search_id)
    if found is None:
        raise _no_confirmation(search_id, None)
    confirmation = work.confirmations.lock(found.id)
    if confirmation.state in CONFIRMATION_OPEN:
        work.confirmations.end(confirmation, ConfirmationState.CANCELLED, "cancelled on request")
        work.evaluations.cancel_unconfirmed(confirmation.id)
        work.ring()
        work.commit()
    return _document(work, confirmation, search, state)


def _ask(
    work: UnitOfWork,
    search: Search,
    request: ConfirmationRequest,
    document: dict[str, Any],
    idempotency_key: str | None,
) -> Confirmation:
    spec = SearchSpec.model_validate(search.spec)
    _refuse_unready(work, search, spec)
    if request.epochs is not None and request.epochs < spec.training.epochs:
        reason = f"{request.epochs} is below the {spec.training.epochs} of the search; a confirmation trains no less"
        raise invalid([Problem("epochs", reason)])
    members = _members(work, search, request)
    confirmation = work.confirmations.add(
        search,
        [member.id for member in members],
        request=document,
        n_seeds=request.seeds,
        epochs=request.epochs or spec.training.epochs,
        idempotency_key=idempotency_key,
    )
    work.ring()
    work.commit()
    return confirmation


def _refuse_unready(work: UnitOfWork, search: Search, spec: SearchSpec) -> None:
    """Refuses a search that cannot be confirmed as it is."""
    newest = work.confirmations.get(search.id)
    reason = None
    if search.state in SEARCH_OPEN:
        reason = f"is {search.state}, and its front may still change; wait for its end, or cancel it"
    elif not spec.has_training:
        reason = "trained nothing, so there is nothing to test; a search trains for validation_accuracy, say"
    elif newest is not None and newest.state in CONFIRMATION_OPEN:
        reason = f"is being confirmed already (confirmation {newest.number}); wait for its end, or cancel it"
    if reason is not None:
        raise ApiProblem(409, "not-confirmable", "Not confirmable", f"search {search.id} {reason}")


def _members(work: UnitOfWork, search: Search, request: ConfirmationRequest) -> list[Candidate]:
    if request.members is None:
        front = work.candidates.front(search.id)
        if not front:
            detail = f"the front of search {search.id} is empty, so there is nothing to confirm"
            raise ApiProblem(409, "not-confirmable", "Not confirmable", detail)
        if len(front) > MAX_MEMBERS:
            reason = f"the front has {len(front)} members, and a confirmation takes at most {MAX_MEMBERS}; name some"
            raise invalid([Problem("members", reason)])
        return front
    found = {row.id: row for row in work.confirmations.candidates(search.id, request.members)}
    for index, wanted in enumerate(request.members):
        if wanted not in found:
            raise not_found(f"candidate of search {search.id} with the id", wanted)
        if found[wanted].state != CandidateState.EVALUATED:
            reason = f"candidate {wanted} is {found[wanted].state}; only evaluated ones can be confirmed"
            raise invalid([Problem(f"members.{index}", reason)])
    return [found[wanted] for wanted in request.members]


def _search(work: UnitOfWork, team_id: UUID, search_id: UUID) -> Search:
    search = work.searches.get(team_id, search_id)
    if search is None:
        raise not_found("search", search_id)
    return search


def _no_confirmation(search_id: UUID, number: int | None) -> ApiProblem:
    which = "confirmation" if number is None else f"confirmation {number}"
    return not_found(f"{which} of search", f"{search_id}; POST to the same path makes one")


def _document(work: UnitOfWork, confirmation: Confirmation, search: Search, state: SharedState) -> ConfirmationDocument:
    members = work.confirmations.members(confirmation.id)
    slots = work.workers.slots(timeout_s=state.settings.worker_timeout_s)
    return confirmation_document(confirmation, search, members, slots=slots)
