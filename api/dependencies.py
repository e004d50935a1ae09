"""What a request gets: the state of the application, its team, a transaction, a place in a list."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from sqlalchemy import Engine

from api.problems import invalid
from config.settings import Settings
from models import DEFAULT_TEAM_ID, UnitOfWork
from nas.spec import Problem


@dataclass(frozen=True, slots=True)
class State:
    """What all requests share."""

    engine: Engine
    settings: Settings


def get_state(request: Request) -> State:
    """Returns the state that the application was made with."""
    state = request.app.state.hqnas
    assert isinstance(state, State)
    return state


def get_work(state: Annotated[State, Depends(get_state)]) -> Iterator[UnitOfWork]:
    """Gives a request one transaction; what is not committed is rolled back."""
    with UnitOfWork(state.engine) as work:
        yield work


def get_team() -> UUID:
    """Returns the team of the request: without keys, everyone on the machine is the default team."""
    return DEFAULT_TEAM_ID


SharedState = Annotated[State, Depends(get_state)]
Work = Annotated[UnitOfWork, Depends(get_work)]
TeamId = Annotated[UUID, Depends(get_team)]
Limit = Annotated[int, Query(ge=1, le=500, description="most items of one page")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before")]


def encode_cursor(place: str) -> str:
    """Returns a place in a list as an opaque text."""
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """Returns the place behind a cursor.

    Raises:
        ApiProblem: the cursor was not made by `encode_cursor`.
    """
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise bad_cursor() from error


def bad_cursor() -> Exception:
    """Returns the error for a cursor that leads nowhere."""
    return invalid([Problem("cursor", "is not a cursor of this list; start again without one")])


def etag_of(search_id: UUID, revision: int) -> str:
    """Returns the entity tag of everything that changes with a search's revision."""
    return f'"{search_id}-{revision}"'


def is_unchanged(request: Request, response: Response, etag: str) -> bool:
    """Whether the caller has this version already. The tag goes out with the answer either way."""
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "private, no-cache"
    held = request.headers.get("if-none-match", "")
    return bool({etag, "*"} & {tag.strip().removeprefix("W/") for tag in held.split(",")})
