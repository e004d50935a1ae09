"""Being asked to stop: Ctrl-C, SIGTERM, a closed terminal, the end of the process that started us."""

import os
import signal
from types import FrameType, TracebackType
from typing import Any, Final, Self

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """Somebody asked the launcher to stop; no error."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.status = 128 + number
        """The exit status by which a shell knows it."""


class StopSignals:
    """Notes requests to stop while it is entered, so that no handler interrupts anybody halfway through something."""

    def __init__(self, *, watches_parent: bool) -> None:
        self._parent = os.getppid() if watches_parent else None
        self._numbers: list[signal.Signals] = []
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in STOP_SIGNALS:
            # Who started us under `nohup` wants no end at hangup.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def is_stopped(self) -> bool:
        """Whether to stop."""
        return bool(self._numbers) or (self._parent is not None and os.getppid() != self._parent)

    @property
    def is_urgent(self) -> bool:
        """Whether the person asked twice, and does not want to wait."""
        return len(self._numbers) > 1

    @property
    def is_from_terminal(self) -> bool:
        """Whether it was Ctrl-C, which the terminal sends to the command as well."""
        return self._numbers[:1] == [signal.SIGINT]

    def check(self) -> None:
        """Goes on unless somebody asked to stop.

        Raises:
            Stopped: somebody did.
        """
        if self.is_stopped:
            raise Stopped(self._numbers[0] if self._numbers else signal.SIGTERM)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._numbers.append(signal.Signals(number))
