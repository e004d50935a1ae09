"""A controller makes itself known: that it lives, and whether it reaches the broker, which the API never asks."""

import math
import os
import socket
import time
from collections.abc import Callable

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from config.settings import Settings
from models import UnitOfWork, is_transient
from worker.dispatch import Dispatcher

log = structlog.get_logger()


class ControllerPresence:
    """Beats from the controller's own loop: one that hangs does not count as live."""

    def __init__(
        self,
        engine: Engine,
        dispatcher: Dispatcher,
        settings: Settings,
        *,
        name: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._dispatcher = dispatcher
        self._period_s = settings.renew_s
        self._name = name or f"{os.getpid()}@{socket.gethostname()}"
        self._monotonic = monotonic
        self._beaten_at = -math.inf

    def beat(self) -> None:
        """Says that the controller lives, and what it sees of the broker, if it is time to.

        Raises:
            DBAPIError: the database cannot be reached.
        """
        if self._monotonic() - self._beaten_at < self._period_s:
            return
        broker_error = self._dispatcher.check_broker()
        with UnitOfWork(self._engine) as work:
            work.controllers.beat(self._name, broker_error=broker_error)
            work.commit()
        self._beaten_at = self._monotonic()

    def leave(self) -> None:
        """Takes the controller off the list, if the database answers."""
        try:
            with UnitOfWork(self._engine) as work:
                work.controllers.leave(self._name)
                work.commit()
        except DBAPIError as failure:
            if not is_transient(failure):
                raise
            log.warning("controller_left_silently", error=str(failure))
