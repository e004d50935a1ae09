"""What people ask of the API: its own functions, called until the database answers."""

import uuid
from collections.abc import Callable
from typing import Any, Final

from fastapi import Response
from faults.simulation.actors import Actor
from faults.simulation.scenarios import Request
from faults.simulation.world import SETTINGS, World
from sqlalchemy import text

from api.dependencies import State
from api.routers.confirmations import confirm_search
from api.routers.searches import cancel_search, submit_search
from models import UnitOfWork, is_transient
from models.tables import DEFAULT_TEAM_ID
from nas.spec import parse_spec
from nas.spec.confirmation import ConfirmationRequest

_OTHER_TEAM: Final = uuid.UUID("00000000-0000-7000-8000-000000000002")
_TEAMS: Final = (DEFAULT_TEAM_ID, _OTHER_TEAM)
_RETRY_S: Final = 1.0


def add_teams(world: World) -> None:
    """Makes the team that is not there by default."""
    with world.engine.begin() as connection:
        connection.execute(text("INSERT INTO teams (id, name) VALUES (:id, 'others')"), {"id": _OTHER_TEAM})


class Caller:
    """Submits one search of a scenario, may cancel it midway, or confirm it at its end."""

    def __init__(self, world: World, request: Request, number: int) -> None:
        self.request = request
        self.team_id = _TEAMS[request.team]
        self.search_id: uuid.UUID | None = None
        self.has_cancelled = False
        self.has_confirmed = False
        self.actor: Actor | None = None
        self._world = world
        self._number = number
        self._state = State(world.engine, SETTINGS)

    @property
    def is_busy(self) -> bool:
        """Whether an answer is waited for."""
        return self.actor is not None and not self.actor.is_dead

    def submit(self) -> None:
        """Asks for the search, under a key of its own."""
        self._ask("submit", self._submit)

    def cancel(self) -> None:
        """Asks to cancel it."""
        self._ask("cancel", self._cancel)

    def confirm(self) -> None:
        """Asks to confirm its front."""
        self._ask("confirm", self._confirm)

    def _ask(self, what: str, request: Callable[[UnitOfWork], Any]) -> None:
        self.actor = Actor(f"{what} {self._number}", lambda: self._until_answered(request))

    def _until_answered(self, request: Callable[[UnitOfWork], Any]) -> None:
        while True:
            try:
                with UnitOfWork(self._world.engine) as work:
                    request(work)
            except Exception as failure:
                if not is_transient(failure):
                    raise
                self._world.rest(_RETRY_S)
            else:
                return

    def _submit(self, work: UnitOfWork) -> None:
        spec, key = parse_spec(self.request.spec), f"key {self._number}"
        answer = submit_search(spec, Response(), work, self.team_id, self._state, key)
        self.search_id = uuid.UUID(str(answer.id))

    def _cancel(self, work: UnitOfWork) -> None:
        assert self.search_id is not None
        cancel_search(self.search_id, work, self.team_id, self._state)
        self.has_cancelled = True

    def _confirm(self, work: UnitOfWork) -> None:
        assert self.search_id is not None
        request, key = ConfirmationRequest(seeds=3), f"key {self._number}"
        confirm_search(self.search_id, Response(), work, self.team_id, self._state, request, key)
        self.has_confirmed = True
