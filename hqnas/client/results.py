"""What the API answers, as frozen values.

Each value keeps in `document` the JSON object that it was read from: that is what `--json` prints, and it holds keys
that a newer API may have added. Equality ignores it.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, Self

from hqnas.client.measurements import Document, MetricValue, Stage, stop_text

#: States that a search never leaves.
ENDED: Final = frozenset({"finished", "cancelled", "failed"})


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric that a search improves, and in which direction."""

    metric: str
    goal: Literal["minimize", "maximize"]
    unit: str

    @property
    def is_maximized(self) -> bool:
        """Whether larger values are better."""
        return self.goal == "maximize"

    @classmethod
    def from_json(cls, document: Document) -> Self:
        """Reads one entry of `objectives`."""
        return cls(document["metric"], document["goal"], document.get("unit") or "")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search is; `None` where it is not known yet."""

    generation: int | None
    generations: int
    candidates: int  #: proposed so far
    planned: int  #: the most that this search can propose
    evaluated: int
    failed: int
    waiting: int
    cached: int  #: answered by an earlier evaluation
    evaluations_per_second: float | None
    time_left_s: float | None
    hypervolume: float | None
    front_size: int
    stopped: int  #: at an early stage

    @classmethod
    def from_json(cls, document: Document) -> Self:
        """Reads `progress`."""
        return cls(
            **{name: document[name] for name in cls.__slots__ if name != "stopped"}, stopped=document.get("stopped", 0)
        )


@dataclass(frozen=True, slots=True)
class Search:
    """The state of a search at one moment."""

    id: str
    name: str
    state: Literal["queued", "running", "finished", "cancelled", "failed"]
    reason: str | None  #: why it ended
    notice: str | None  #: what keeps it from moving on, and what to do
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    revision: int
    objectives: tuple[Objective, ...]
    progress: Progress
    reference_point: dict[str, float] | None
    engines: dict[str, str]  #: by qubit count; empty before the search begins
    spec: dict[str, Any] | None  #: absent where searches are listed
    document: Document = field(repr=False, compare=False)

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ENDED

    @classmethod
    def from_json(cls, document: Document) -> Self:
        """Reads a Search or a SearchSummary."""
        return cls(
            id=document["id"],
            name=document["name"],
            state=document["state"],
            reason=document.get("reason"),
            notice=document.get("notice"),
            created_at=datetime.fromisoformat(document["created_at"]),
            started_at=_instant(document.get("started_at")),
            finished_at=_instant(document.get("finished_at")),
            revision=document["revision"],
            objectives=tuple(Objective.from_json(item) for item in document["objectives"]),
            progress=Progress.from_json(document["progress"]),
            reference_point=document.get("reference_point"),
            engines=document.get("engines") or {},
            spec=document.get("spec"),
            document=document,
        )


@dataclass(frozen=True, slots=True)
class Generation:
    """One step of the algorithm."""

    number: int
    evaluations: int  #: of the search up to its end
    hypervolume: float | None  #: of the front after it
    finished_at: datetime | None
    document: Document = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, document: Document) -> Self:
        """Reads one entry of a search's generations."""
        return cls(
            number=document["number"],
            evaluations=document["evaluations"],
            hypervolume=document.get("hypervolume"),
            finished_at=_instant(document.get("finished_at")),
            document=document,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An architecture proposed in a search, with what was measured of it."""

    id: str
    search_id: str
    generation: int
    index: int
    state: Literal["waiting", "evaluated", "stopped", "failed", "cancelled"]
    digest: str  #: of the genome: equal architectures have equal digests
    genome: dict[str, Any]
    objectives: dict[str, float] | None
    violation: float | None  #: 0 where every constraint holds
    metrics: dict[str, MetricValue]
    is_on_front: bool
    error: str | None  #: class and message of a failed evaluation
    stopped: str | None  #: at which early stage, and why
    document: Document = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, document: Document) -> Self:
        """Reads a Candidate."""
        return cls(**_candidate_fields(document))


def _candidate_fields(document: Document) -> dict[str, Any]:
    same = ("id", "search_id", "generation", "index", "state", "digest", "genome", "objectives", "violation")
    error = document.get("error")
    return {
        **{name: document[name] for name in same},
        "metrics": {name: MetricValue.from_json(value) for name, value in (document["metrics"] or {}).items()},
        "is_on_front": document["is_on_front"],
        "error": f"{error['class']}: {error['message']}" if error else None,
        "stopped": stop_text(document.get("stopped")),
        "document": document,
    }


@dataclass(frozen=True, slots=True)
class Epoch:
    """One point of a training curve."""

    epoch: int
    train_loss: float | None
    validation_loss: float | None
    validation_accuracy: float | None  #: of a classification
    validation_r2: float | None = None  #: of a regression

    @classmethod
    def from_json(cls, document: Document) -> Self:
        """Reads one entry of a curve."""
        return cls(
            document["epoch"],
            document.get("train_loss"),
            document.get("validation_loss"),
            document.get("validation_accuracy"),
            document.get("validation_r2"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateDetail(Candidate):
    """A candidate with its circuit, its training curves and how it was evaluated."""

    circuit: dict[str, Any]
    drawing: str
    pennylane: str  #: source of the whole model, ready to run
    curves: tuple[tuple[Epoch, ...], ...]  #: one a replicate
    evaluation: dict[str, Any]
    stages: tuple[Stage, ...]  #: empty where there is one evaluation

    @classmethod
    def from_json(cls, document: Document) -> Self:
        """Reads a CandidateDetail."""
        return cls(
            **_candidate_fields(document),
            circuit=document["circuit"],
            drawing=document["drawing"],
            pennylane=document["pennylane"],
            curves=tuple(tuple(Epoch.from_json(point) for point in curve) for curve in document["curves"] or ()),
            evaluation=document["evaluation"],
            stages=tuple(Stage.from_json(stage) for stage in document.get("stages") or ()),
        )


@dataclass(frozen=True, slots=True)
class Front:
    """The non-dominated feasible candidates of a search at one revision."""

    search_id: str
    revision: int
    objectives: tuple[Objective, ...]
    hypervolume: float | None
    reference_point: dict[str, float] | None
    items: tuple[Candidate, ...]
    document: Document = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, document: Document) -> Self:
        """Reads a Front."""
        return cls(
            search_id=document["search_id"],
            revision=document["revision"],
            objectives=tuple(Objective.from_json(item) for item in document["objectives"]),
            hypervolume=document.get("hypervolume"),
            reference_point=document.get("reference_point"),
            items=tuple(Candidate.from_json(item) for item in document["items"]),
            document=document,
        )

    def best(self, metric: str | None = None) -> Candidate | None:
        """Returns the member that is best in one objective, or `None` if the front is empty.

        Ties go to fewer two-qubit gates, then to the other objectives in their order, then to the smaller digest.

        Args:
            metric: name of the objective; by default validation_accuracy, or else the first objective.

        Raises:
            ValueError: the search has no such objective.
        """
        names = [objective.metric for objective in self.objectives]
        wanted = metric or ("validation_accuracy" if "validation_accuracy" in names else names[0])
        if wanted not in names:
            raise ValueError(f"'{wanted}' is no objective of search {self.search_id}; choose from {', '.join(names)}")
        first = next(objective for objective in self.objectives if objective.metric == wanted)

        def rank(member: Candidate) -> tuple[Any, ...]:
            gates = member.metrics.get("two_qubit_gates")
            n_gates = gates.value if gates and gates.value is not None else float("inf")
            return (*losses(member, (first,)), n_gates, *losses(member, self.objectives), member.digest)

        return min(self.items, key=rank, default=None)


def losses(candidate: Candidate, objectives: tuple[Objective, ...]) -> tuple[float, ...]:
    """Returns the candidate's objectives turned so that smaller is better; infinity where one is missing."""
    values = candidate.objectives or {}
    return tuple(
        float("inf") if (value := values.get(o.metric)) is None else (-value if o.is_maximized else value)
        for o in objectives
    )
