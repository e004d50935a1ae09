"""The controller's loop. It may be killed at any point, and any number may run: all it knows is in the database."""

import math
import signal
import threading
import time
import uuid
from collections.abc import Callable
from types import FrameType

import structlog
from sqlalchemy import Engine

from config.settings import Settings
from models import Bell, UnitOfWork, connect, disposing, is_of_the_statement, is_transient
from models.database import PATIENT_S
from models.states import CONFIRMATION_OPEN, SEARCH_OPEN, ConfirmationState, SearchState
from worker.advance import advance
from worker.broker import make_app
from worker.confirm import advance_confirmation, end_confirmation
from worker.controller_presence import ControllerPresence
from worker.dispatch import Dispatcher
from worker.fault_points import FaultPoint, Reach, unharmed
from worker.sweep import sweep

log = structlog.get_logger()

_SWEEP_EVERY_S = 2.0
_RETRY_S = 2.0
#: For one statement: an ended search of many thousand candidates is tidied up in one.
_ANSWER_S = 30.0


def run_controller(settings: Settings, *, reach: Reach = unharmed) -> None:
    """Advances searches and dispatches their evaluations until SIGTERM or SIGINT.

    Raises:
        InvalidSettings: no database is set, or the broker's URL is of no known kind.
    """
    stop = threading.Event()

    def _on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _on_signal)
    url = settings.require_database_url()
    with disposing(connect(url, application="controller", pool_size=2, answer_s=_ANSWER_S)) as engine:
        bell = Bell(url, application="controller")
        dispatcher = Dispatcher(engine, make_app(settings), settings, reach=reach)
        presence = ControllerPresence(engine, dispatcher, settings)
        log.info("controller_started")
        control(engine, bell, dispatcher, presence, settings, stop, reach=reach)
        presence.leave()
        bell.close()
    log.info("controller_stopped")


def advance_one(
    engine: Engine, settings: Settings, *, slow: set[uuid.UUID] | None = None, reach: Reach = unharmed
) -> bool:
    """Advances the search that waited longest, in one transaction; returns whether there was one.

    Args:
        engine: of the database.
        settings: how long a worker may be silent.
        slow: searches of which the database has cut a step off. They are tried again after all others, with more time.
        reach: called at each fault point.
    """
    slow = set() if slow is None else slow
    with UnitOfWork(engine) as work:
        search = work.searches.take_movable(worker_timeout_s=settings.worker_timeout_s)
        if search is None:
            return False
        search_id, team_id = search.id, search.team_id
        try:
            reach(FaultPoint.ADVANCE_LOCKED)
            if search_id in slow:
                work.allow_idle(PATIENT_S)
            advance(work, search, worker_timeout_s=settings.worker_timeout_s, reach=reach)
            reach(FaultPoint.ADVANCE_BEFORE_COMMIT)
            work.commit()
            reach(FaultPoint.ADVANCE_COMMITTED)
        except Exception as failure:  # one search that cannot be advanced must not stop the others
            if is_of_the_statement(failure):
                log.warning("search_set_back", search_id=str(search_id), error=str(failure))
                slow.add(search_id)
            elif is_transient(failure):
                raise
            else:
                log.exception("search_not_advanced", search_id=str(search_id))
                slow.discard(search_id)
        else:
            slow.discard(search_id)
            return True
    with UnitOfWork(engine) as work:
        if search_id in slow:
            work.searches.set_back(search_id)
            work.commit()
            return False
        broken = work.searches.lock(team_id, search_id)
        if broken is not None and broken.state in SEARCH_OPEN:
            reason = "the controller met an error in advancing it, which its log tells; what was evaluated is kept"
            work.searches.end(broken, SearchState.FAILED, reason)
            work.evaluations.cancel_unwanted(search_id)
            work.commit()
    return True


def confirm_one(engine: Engine, *, reach: Reach = unharmed) -> bool:
    """Advances the confirmation that waited longest, in one transaction; returns whether there was one."""
    with UnitOfWork(engine) as work:
        taken = work.confirmations.take_movable()
        if taken is None:
            return False
        confirmation, search = taken
        confirmation_id = confirmation.id
        try:
            reach(FaultPoint.ADVANCE_LOCKED)
            advance_confirmation(work, confirmation, search)
            reach(FaultPoint.ADVANCE_BEFORE_COMMIT)
            work.commit()
            reach(FaultPoint.ADVANCE_COMMITTED)
        except Exception as failure:  # as for searches
            is_set_back = is_of_the_statement(failure)
            if is_set_back:
                log.warning("confirmation_set_back", confirmation_id=str(confirmation_id), error=str(failure))
            elif is_transient(failure):
                raise
            else:
                log.exception("confirmation_not_advanced", confirmation_id=str(confirmation_id))
        else:
            return True
    with UnitOfWork(engine) as work:
        if is_set_back:
            work.confirmations.set_back(confirmation_id)
            work.commit()
            return False
        broken = work.confirmations.lock(confirmation_id)
        if broken.state in CONFIRMATION_OPEN:
            reason = "the controller met an error in advancing it, which its log tells; what was measured is kept"
            end_confirmation(work, broken, ConfirmationState.FAILED, reason)
            work.commit()
    return True


def control(
    engine: Engine,
    bell: Bell,
    dispatcher: Dispatcher,
    presence: ControllerPresence,
    settings: Settings,
    stop: threading.Event,
    *,
    reach: Reach = unharmed,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Advances, dispatches and sweeps until told to stop, whether the database answers or not.

    Args:
        engine: of the database.
        bell: what to wait for when nothing can move.
        dispatcher: over the same database.
        presence: likewise; it beats once in each round.
        settings: how long to wait at most, and what counts as lost.
        stop: set to end after the step under way.
        reach: called at each fault point.
        monotonic: the clock by which it is time to sweep again.
    """
    swept_at = -math.inf
    slow: set[uuid.UUID] = set()
    while not stop.is_set():
        try:
            until = monotonic() + settings.poll_s
            has_moved = True
            # Not for ever: where each step allows the next one, evaluations have to go out meanwhile.
            while has_moved and monotonic() < until and not stop.is_set():
                has_moved = advance_one(engine, settings, slow=slow, reach=reach) or confirm_one(engine, reach=reach)
            dispatcher.run()
            if monotonic() - swept_at > _SWEEP_EVERY_S:
                sweep(engine, settings, reach=reach)
                swept_at = monotonic()
            presence.beat()
            if not has_moved:
                bell.wait(settings.poll_s)
        except Exception as failure:
            if not is_transient(failure):
                raise
            log.warning("database_unreachable", error=str(failure))
            stop.wait(_RETRY_S)
