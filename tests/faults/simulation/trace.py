"""What happened in a schedule, line by line, with the log of the production code in its place."""

import contextlib
import hashlib
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import structlog

#: Facts of log events that are no part of a schedule: they differ from run to run.
_LEFT_OUT = frozenset({"seconds"})


class Trace:
    """Numbered lines: the time, who, what, and facts."""

    def __init__(self, now: Callable[[], float], who: Callable[[], str]) -> None:
        self.lines: list[str] = []
        self.faults: Counter[str] = Counter()
        self._now = now
        self._who = who

    def note(self, what: str, /, **facts: Any) -> None:
        """Adds a line about whoever runs now."""
        told = " ".join(f"{name}={_short(fact)}" for name, fact in facts.items())
        self.lines.append(f"{len(self.lines):5} {self._now():8.1f} s  {self._who():14} {what} {told}".rstrip())

    def fault(self, what: str, /, **facts: Any) -> None:
        """Adds a line about something that went wrong, and counts it."""
        self.faults[what] += 1
        self.note(f"✗ {what}", **facts)

    @property
    def digest(self) -> str:
        """Equal for equal traces."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()[:16]

    @contextlib.contextmanager
    def taking_the_log(self) -> Iterator[None]:
        """Puts what the production code logs into the trace for as long as the block runs."""
        before = structlog.get_config()
        structlog.configure(
            processors=[structlog.processors.format_exc_info, self._take],
            wrapper_class=structlog.make_filtering_bound_logger(0),
            cache_logger_on_first_use=False,
        )
        try:
            yield
        finally:
            structlog.configure(**before)

    def _take(self, _: object, level: str, event: dict[str, Any]) -> str:
        facts = {name: fact for name, fact in event.items() if name not in _LEFT_OUT | {"event", "exception"}}
        self.note(f"{'' if level in ('info', 'debug') else level + ': '}{event['event']}", **facts)
        if "exception" in event:
            self.lines.extend(str(event["exception"]).splitlines())
        raise structlog.DropEvent


def _short(fact: Any) -> str:
    if isinstance(fact, list | tuple | set | frozenset):
        return f"[{', '.join(map(_short, fact))}]"
    if isinstance(fact, uuid.UUID):
        return short(fact)
    with contextlib.suppress(ValueError, AttributeError):
        return short(uuid.UUID(fact))
    return " ".join(str(fact).split())[:160]


def short(one: uuid.UUID) -> str:
    """Returns the number that the simulation gave to an id; see `ids`."""
    return f"#{one.int & 0xFFFF_FFFF}"
