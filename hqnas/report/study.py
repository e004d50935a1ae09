"""What a report is about: searches with everything that was evaluated in them.

client ──▶ Study ──▶ analyses (plain numbers) ──▶ sections (a picture, a table, a sentence) ──▶ page
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hqnas.client import Client
from hqnas.client.confirmation import Confirmation
from hqnas.client.errors import HqnasError, NotFound
from hqnas.client.results import Candidate, Generation, Objective, Search, losses
from hqnas.report.conditions import conditions_of

Floats = NDArray[np.float64]


class NothingToReport(HqnasError):
    """There is no evaluated candidate to report on."""


@dataclass(frozen=True, slots=True)
class Row:
    """An evaluated candidate, and the search that it stands in."""

    search: Search
    label: str  #: of the search in the report
    candidate: Candidate

    @property
    def mode(self) -> str:
        """The training mode."""
        return str((self.search.spec or {})["training"]["mode"])

    def value(self, metric: str) -> float:
        """Returns a metric, and not a number where it was not measured."""
        found = self.candidate.metrics.get(metric)
        return math.nan if found is None or found.value is None else found.value

    def error(self, metric: str) -> float:
        """Returns the standard error of a metric, 0 where it is exact or not known."""
        found = self.candidate.metrics.get(metric)
        return 0.0 if found is None else found.error or 0.0


@dataclass(frozen=True, slots=True)
class Member:
    """A search of a study with its label, its evaluated candidates in the order of proposal, and its generations."""

    search: Search
    label: str
    rows: tuple[Row, ...]
    generations: tuple[Generation, ...]
    confirmation: Confirmation | None = None  #: the newest

    @property
    def front(self) -> tuple[Row, ...]:
        """The non-dominated candidates."""
        return tuple(row for row in self.rows if row.candidate.is_on_front)

    @property
    def mode(self) -> str:
        """The training mode."""
        return str((self.search.spec or {})["training"]["mode"])

    def conditions(self, metric: str) -> str:
        """Returns what a metric is of in this search, its version included where it is not the first."""
        measured = (row.candidate.metrics.get(metric) for row in self.rows)
        versions = sorted({one.version for one in measured if one is not None and one.version not in (None, 1)})
        parts = [conditions_of(metric, self.search.spec or {}), *(f"version {version}" for version in versions)]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Study:
    """The searches of a report, at least one, each with at least one evaluated candidate."""

    members: tuple[Member, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every evaluated candidate."""
        return tuple(row for member in self.members for row in member.rows)

    @property
    def modes(self) -> tuple[str, ...]:
        """The training modes, in the order of the searches."""
        return tuple(dict.fromkeys(row.mode for row in self.rows))

    @property
    def shared_objectives(self) -> tuple[Objective, ...]:
        """Objectives that all searches have, in the same direction, in the order of the first."""
        first, *others = (member.search.objectives for member in self.members)
        return tuple(objective for objective in first if all(objective in one for one in others))

    @property
    def comparable_objectives(self) -> tuple[Objective, ...]:
        """Shared objectives that are one quantity in all searches: fronts are held against one another in these."""
        return tuple(one for one in self.shared_objectives if len(set(self.conditions(one.metric).values())) == 1)

    def conditions(self, metric: str) -> dict[str, str]:
        """Returns what a metric is of in each search, by its label."""
        return {member.label: member.conditions(metric) for member in self.members}

    def groups(self, *metrics: str) -> dict[str, tuple[Row, ...]]:
        """Returns the candidates that may stand in one statistic of these metrics, each architecture once.

        Those are all of a training mode, under its name; or the candidates of one search, where the searches of that
        mode have metrics that are not of the same.
        """
        found: dict[str, tuple[Row, ...]] = {}
        for mode in self.modes:
            members = [member for member in self.members if member.mode == mode]
            if len({tuple(map(member.conditions, metrics)) for member in members}) == 1:
                found[mode] = _each_once(row for member in members for row in member.rows)
            else:
                found |= {f"{mode}, {member.label}": member.rows for member in members}
        return found

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all metrics that were measured."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.candidate.metrics))


def gather(client: Client, search_ids: Sequence[str]) -> Study:
    """Returns the searches with their candidates and generations.

    Raises:
        NothingToReport: a search has no evaluated candidate, or stands twice.
    """
    for i, search_id in enumerate(search_ids):
        if search_id in search_ids[:i]:
            raise NothingToReport(f"search {search_id} stands twice; name each search once")
    searches = [client.search(search_id) for search_id in search_ids]
    return Study(
        tuple(_member(client, search, label) for search, label in zip(searches, _labels(searches), strict=True))
    )


def _member(client: Client, search: Search, label: str) -> Member:
    evaluated = [candidate for candidate in client.candidates(search.id) if candidate.state == "evaluated"]
    rows = tuple(Row(search, label, candidate) for candidate in evaluated)
    if not rows:
        raise NothingToReport(
            f"search {search.id} ({search.name}) has no evaluated candidate{'' if search.has_ended else ' yet'}; it is "
            f"{search.state}"
        )
    return Member(search, label, rows, client.generations(search.id), _confirmation(client, search.id))


def _confirmation(client: Client, search_id: str) -> Confirmation | None:
    try:
        return client.confirmation(search_id)
    except NotFound:
        return None


def _labels(searches: Sequence[Search]) -> list[str]:
    """Returns the names, with the beginning of the id where two searches have the same."""
    names = [search.name for search in searches]
    return [
        search.name if names.count(search.name) == 1 else f"{search.name} ({search.id[-8:]})" for search in searches
    ]


def _each_once(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Returns the first row of each architecture: one that several searches evaluated says no more than once."""
    found: dict[str, Row] = {}
    for row in rows:
        found.setdefault(row.candidate.digest, row)
    return tuple(found.values())


def losses_of(rows: Sequence[Row], objectives: tuple[Objective, ...]) -> Floats:
    """Returns the objectives of rows with every goal turned to minimise, (rows, objectives)."""
    return np.array([losses(row.candidate, objectives) for row in rows], dtype=float).reshape(-1, len(objectives))
