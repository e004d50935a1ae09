"""Processes as coroutines of one thread: each runs until it stands still, and goes on when the schedule says so."""

from collections.abc import Callable
from typing import Final

from greenlet import getcurrent, greenlet

#: Statements in a row after which a process that never stands still is taken for one that never will.
_TOO_MANY: Final = 20_000


class Killed(BaseException):
    """The process ended without a word. What it held in memory is gone, and its transaction is rolled back."""


class Stuck(AssertionError):
    """Something goes on for ever."""


class Actor:
    """A simulated process or thread. Its name says what it is in the trace."""

    def __init__(self, name: str, body: Callable[[], None]) -> None:
        self.name = name
        self.is_dead = False  #: killed, or at the end of its body
        self.due: float | None = None  #: when it goes on by itself, while it waits with nothing open
        self.is_frozen = False  #: gets no turns
        self.n_statements = 0
        self._greenlet = greenlet(lambda: self._run(body))

    def _run(self, body: Callable[[], None]) -> None:
        try:
            body()
        except Killed:
            pass
        finally:
            self.is_dead = True

    def resume(self) -> None:
        """Lets it run until it stands still again; what it raises ends it, and is raised here."""
        self.due = None
        self.n_statements = 0
        # Where an actor started the turn: back to whoever gave it.
        self._greenlet.parent = getcurrent()
        self._greenlet.switch()

    def stand_still(self, *, due: float | None = None) -> None:
        """Called by the process itself: gives the turn back, and returns with its next one.

        Args:
            due: when it wants the next one, by the simulated clock; by default at any time.

        Raises:
            Killed: there will be none.
        """
        self.due = due
        parent = self._greenlet.parent
        assert parent is not None
        parent.switch()
        self.live()

    def live(self) -> None:
        """Called by the process itself at each statement.

        Raises:
            Killed: it is dead already: a SIGKILL runs no clean-up.
            Stuck: it has not stood still for too long.
        """
        if self.is_dead:
            raise Killed
        self.n_statements += 1
        if self.n_statements > _TOO_MANY:
            raise Stuck(f"{self.name} has sent {_TOO_MANY} statements and goes on")

    def kill(self) -> None:
        """Ends it where it stands."""
        if self.is_dead:
            return
        self.is_dead = True
        if self._greenlet:
            self._greenlet.parent = getcurrent()
            self._greenlet.throw(Killed)
