"""Searches: submit, list, read, cancel, and what they found."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Header, Query, Request, Response

from api.dependencies import (
    Cursor,
    Limit,
    SharedState,
    TeamId,
    Work,
    bad_cursor,
    decode_cursor,
    encode_cursor,
    etag_of,
    is_unchanged,
)
from api.documents import (
    CandidateDocument,
    FrontDocument,
    GenerationDocument,
    Page,
    SearchDocument,
    SearchSummary,
)
from api.problems import ApiProblem, ProblemDocument, not_found
from api.routers.examples import SPEC_EXAMPLES
from api.views import candidate_document, front_document, search_document, search_summary, why_no_weights
from models import Search, UnitOfWork
from models.states import SEARCH_OPEN, SearchState
from nas.spec import SearchSpec

router = APIRouter(prefix="/v1/searches", tags=["searches"])

SAFETENSORS = "application/vnd.safetensors"

_MAX_INTEGER = 2**31  # of the columns

_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": ProblemDocument, "description": "no such search"}}
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "unchanged since the revision in If-None-Match"}}


@router.post("", status_code=202, responses={422: {"model": ProblemDocument, "description": "the spec was refused"}})
def submit_search(
    spec: Annotated[SearchSpec, Body(openapi_examples=SPEC_EXAMPLES)],
    response: Response,
    work: Work,
    team_id: TeamId,
    state: SharedState,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=200, description="the same key again answers with the same search"),
    ] = None,
) -> SearchDocument:
    """Submit a search. It is validated completely, stored, and taken up by a controller at once."""
    document = spec.model_dump(mode="json")
    search, is_new = work.searches.submit(team_id, name=spec.name, spec=document, idempotency_key=idempotency_key)
    if not is_new and search.spec != document:
        raise ApiProblem(
            422, "idempotency-key-reused", "Idempotency key reused",
            f"Idempotency-Key {idempotency_key!r} belongs to search {search.id}, which has another spec; use a new key",
        )  # fmt: skip
    if is_new:
        work.ring()
        work.commit()
    response.headers["Location"] = f"/v1/searches/{search.id}"
    return _document(work, search, state)


@router.get("")
def list_searches(
    work: Work,
    team_id: TeamId,
    state: SharedState,
    limit: Limit = 50,
    cursor: Cursor = None,
    only: Annotated[SearchState | None, Query(alias="state", description="only searches in this state")] = None,
) -> Page[SearchSummary]:
    """List searches, newest first."""
    before = None if cursor is None else _uuid_at(cursor)
    rows = work.searches.page(team_id, limit=limit + 1, before=before, state=only)
    rates = work.searches.rates([row.id for row in rows if row.state in SEARCH_OPEN])
    slots = work.workers.slots(timeout_s=state.settings.worker_timeout_s)
    return Page(
        items=[search_summary(row, rate=rates.get(row.id), slots=slots) for row in rows[:limit]],
        next_cursor=encode_cursor(str(rows[limit - 1].id)) if len(rows) > limit else None,
    )


@router.get("/{search_id}", responses={**_UNKNOWN, **_UNCHANGED}, response_model=SearchDocument)
def get_search(
    search_id: UUID, request: Request, response: Response, work: Work, team_id: TeamId, state: SharedState
) -> SearchDocument | Response:
    """Read a search: its state, progress and spec."""
    if _is_unchanged(work, team_id, search_id, request, response):
        return Response(status_code=304, headers=dict(response.headers))
    return _document(work, _get(work, team_id, search_id), state)


@router.post("/{search_id}/cancel", status_code=202, responses=_UNKNOWN)
def cancel_search(search_id: UUID, work: Work, team_id: TeamId, state: SharedState) -> SearchDocument:
    """Cancel a search. No evaluation starts for it after the answer; one that has ended already stays as it is."""
    search = work.searches.lock(team_id, search_id)
    if search is None:
        raise not_found("search", search_id)
    if search.state in SEARCH_OPEN:
        work.searches.end(search, SearchState.CANCELLED, "cancelled on request")
        work.evaluations.cancel_unwanted(search.id)
        work.weights.drop_of(search.id)
        work.ring()
        work.commit()
    return _document(work, search, state)


@router.get("/{search_id}/front", responses={**_UNKNOWN, **_UNCHANGED}, response_model=FrontDocument)
def get_front(
    search_id: UUID, request: Request, response: Response, work: Work, team_id: TeamId
) -> FrontDocument | Response:
    """Read the Pareto front as it stands. An unchanged front costs a 304 and touches none of its rows."""
    if _is_unchanged(work, team_id, search_id, request, response):
        return Response(status_code=304, headers=dict(response.headers))
    return front_document(_get(work, team_id, search_id), work.candidates.front(search_id))


@router.get("/{search_id}/candidates", responses=_UNKNOWN)
def list_candidates(
    search_id: UUID, work: Work, team_id: TeamId, limit: Limit = 100, cursor: Cursor = None
) -> Page[CandidateDocument]:
    """List all candidates in the order in which they were proposed."""
    spec = SearchSpec.model_validate(_get(work, team_id, search_id).spec)
    after = None if cursor is None else _place_at(cursor)
    rows = work.candidates.page(search_id, limit=limit + 1, after=after)
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        items=[candidate_document(row, spec) for row in rows[:limit]],
        next_cursor=encode_cursor(f"{last.generation}.{last.index}") if last else None,
    )


@router.get(
    "/{search_id}/candidates/{candidate_id}/weights",
    response_class=Response,
    responses={
        200: {"content": {SAFETENSORS: {}}, "description": "a safetensors file with its metadata under `hqnas`"},
        404: {"model": ProblemDocument, "description": "no such candidate, or its weights are not kept"},
    },
)
def get_weights(search_id: UUID, candidate_id: UUID, work: Work, team_id: TeamId) -> Response:
    """Download the fitted parameters of a candidate on a front, of every replicate at the epoch that it reports."""
    row = work.candidates.get(team_id, candidate_id)
    if row is None or row[0].search_id != search_id:
        raise not_found("candidate", f"{candidate_id} in search {search_id}")
    candidate, evaluation, _ = row
    content = work.weights.get(evaluation.id)
    if content is None:
        raise ApiProblem(404, "no-weights", "No weights", why_no_weights(candidate, evaluation))
    name = f"{candidate.digest[:12]}.safetensors"
    return Response(content, media_type=SAFETENSORS, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@router.get("/{search_id}/generations", responses=_UNKNOWN)
def list_generations(search_id: UUID, work: Work, team_id: TeamId) -> Page[GenerationDocument]:
    """List the completed generations with the hypervolume that each reached."""
    _get(work, team_id, search_id)
    items = [
        GenerationDocument(
            number=row.number, evaluations=row.n_evaluations, hypervolume=row.hypervolume, finished_at=row.finished_at
        )
        for row in work.searches.generations(search_id)
    ]
    return Page(items=items, next_cursor=None)


def _get(work: UnitOfWork, team_id: UUID, search_id: UUID) -> Search:
    search = work.searches.get(team_id, search_id)
    if search is None:
        raise not_found("search", search_id)
    return search


def _is_unchanged(work: UnitOfWork, team_id: UUID, search_id: UUID, request: Request, response: Response) -> bool:
    revision = work.searches.revision(team_id, search_id)
    if revision is None:
        raise not_found("search", search_id)
    return is_unchanged(request, response, etag_of(search_id, revision))


def _document(work: UnitOfWork, search: Search, state: SharedState) -> SearchDocument:
    return search_document(
        search,
        rate=work.searches.rates([search.id]).get(search.id) if search.state in SEARCH_OPEN else None,
        slots=work.workers.slots(timeout_s=state.settings.worker_timeout_s),
    )


def _uuid_at(cursor: str) -> UUID:
    try:
        return UUID(decode_cursor(cursor))
    except ValueError as error:
        raise bad_cursor() from error


def _place_at(cursor: str) -> tuple[int, int]:
    try:
        generation, index = (int(number) for number in decode_cursor(cursor).split("."))
    except ValueError as error:
        raise bad_cursor() from error
    if not (0 <= generation < _MAX_INTEGER and 0 <= index < _MAX_INTEGER):
        raise bad_cursor()
    return generation, index
