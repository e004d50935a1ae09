"""What evaluations are meant to do, in plain Python: the model that the state machine holds the SQL against."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

Key = tuple[int, str]  #: team and genome


@dataclass(slots=True)
class Row:
    """One evaluation."""

    state: str = "pending"
    attempt: int = 0
    crash_count: int = 0
    lost_count: int = 0
    worker: str | None = None
    lease_until: float | None = None
    dispatched_at: float | None = None
    settled_attempt: int | None = None
    result: Any = None
    error: str | None = None

    @property
    def is_open(self) -> bool:
        return self.state in ("pending", "dispatched", "running")

    def back(self) -> None:
        """To be dispatched anew."""
        self.state, self.lease_until, self.dispatched_at = "pending", None, None

    def blame(self, counter: str, kind: str, limit: int) -> None:
        """Counts against it; at the limit it has failed."""
        self.back()
        setattr(self, counter, getattr(self, counter) + 1)
        self.error = None
        if getattr(self, counter) >= limit:
            self.state, self.error = "failed", kind


@dataclass(frozen=True, slots=True)
class Held:
    """A claim, as the model knows it."""

    key: Key
    attempt: int


@dataclass(slots=True)
class Evaluations:
    """All evaluations and the candidates that wait for them; time in seconds."""

    now: float = 0.0
    rows: dict[Key, Row] = field(default_factory=dict)
    candidates: dict[tuple[int, Key], str] = field(default_factory=dict)  #: by (search, key): their states

    def want(self, search: int, key: Key) -> bool:
        """Lets a candidate of the search wait; returns whether the result is there."""
        row = self.rows.setdefault(key, Row())
        if row.state in ("failed", "cancelled"):
            row.back()
            row.crash_count = row.lost_count = 0
            row.error = row.settled_attempt = None
        self.candidates[search, key] = "waiting"
        return row.state == "succeeded"

    def dispatch(self, keys: Iterable[Key]) -> list[Key]:
        marked = [key for key in keys if self.rows[key].state == "pending"]
        for key in marked:
            self.rows[key].state, self.rows[key].dispatched_at = "dispatched", self.now
        return marked

    def undispatch(self, keys: Iterable[Key]) -> None:
        for key in keys:
            if self.rows[key].state == "dispatched":
                self.rows[key].back()

    def claim(self, keys: Iterable[Key], worker: str, lease_s: float) -> list[Held]:
        claims = []
        for key in keys:
            row = self.rows[key]
            if row.state in ("pending", "dispatched"):
                row.state, row.worker, row.lease_until = "running", worker, self.now + lease_s
                row.attempt += 1
                claims.append(Held(key, row.attempt))
        return claims

    def holds(self, held: Held) -> bool:
        row = self.rows[held.key]
        return row.state == "running" and row.attempt == held.attempt

    def renew(self, claims: Sequence[Held], lease_s: float) -> set[Key]:
        still = {held.key for held in claims if self.holds(held)}
        for key in still:
            self.rows[key].lease_until = self.now + lease_s
        return still

    def settle(self, held: Held, *, result: Any = None, error: str | None = None) -> bool:
        if not self.holds(held):
            return False
        row = self.rows[held.key]
        row.state = "succeeded" if error is None else "failed"
        row.lease_until, row.settled_attempt = None, held.attempt
        row.result, row.error = (result, row.error) if error is None else (row.result, error)
        return True

    def release(self, worker: str) -> int:
        mine = [row for row in self.rows.values() if row.state == "running" and row.worker == worker]
        for row in mine:
            row.back()
        return len(mine)

    def crash(self, claims: Iterable[Held], limit: int) -> int:
        still = {held.key for held in claims if self.holds(held)}
        for key in still:
            self.rows[key].blame("crash_count", "crashed", limit)
        return len(still)

    def sweep_lost(self, limit: int) -> int:
        lost = [row for row in self.rows.values() if row.lease_until is not None and row.lease_until < self.now]
        for row in lost:
            row.blame("lost_count", "lost", limit)
        return len(lost)

    def sweep_unclaimed(self, after_s: float) -> int:
        found = [
            row
            for row in self.rows.values()
            if row.state == "dispatched" and row.dispatched_at is not None and row.dispatched_at < self.now - after_s
        ]
        for row in found:
            row.back()
        return len(found)

    def tell(self, search: int) -> int:
        """Settles the candidates of a search that have an outcome, each once."""
        n = 0
        for (of, key), state in self.candidates.items():
            if of == search and state == "waiting" and self.rows[key].state in ("succeeded", "failed"):
                is_result = self.rows[key].state == "succeeded"
                self.candidates[of, key] = "evaluated" if is_result else "failed"
                n += 1
        return n

    def cancel(self, search: int) -> int:
        """Ends a search: what nobody else waits for is cancelled."""
        mine = [key for (of, key), state in self.candidates.items() if of == search and state == "waiting"]
        for key in mine:
            self.candidates[search, key] = "cancelled"
        given_up = [key for key in mine if self.rows[key].is_open and key not in self.waited_for]
        for key in given_up:
            self.rows[key].state, self.rows[key].lease_until = "cancelled", None
        return len(given_up)

    def revive(self) -> int:
        found = [key for key in self.waited_for if self.rows[key].state == "cancelled"]
        for key in found:
            self.rows[key].state = "pending"
        return len(found)

    @property
    def waited_for(self) -> set[Key]:
        return {key for (_, key), state in self.candidates.items() if state == "waiting"}
