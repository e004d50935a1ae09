"""What the API answers about confirmations, as frozen values like those of `results`."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

from hqnas.client.measurements import Document
from hqnas.client.results import ENDED

#: The networks of a member, in the order in which they are shown.
ARMS: Final = ("candidate", "frozen_circuit", "no_entanglement", "classical_net")


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over seeds with its 95 % interval."""

    mean: float
    low: float | None
    high: float | None
    n: int

    @classmethod
    def from_json(cls, document: Document) -> Self:
        """Reads `score` or `difference`."""
        return cls(document["mean"], document["low"], document["high"], document["n"])


@dataclass(frozen=True, slots=True)
class Arm:
    """A candidate or one of its controls."""

    name: str
    parameters: int
    trained_parameters: int
    quantum_parameters: int
    two_qubit_gates: int
    hidden: int | None
    is_void: bool  #: the control would be the candidate itself
    score: Interval | None  #: on the test split
    trials: tuple[dict[str, Any], ...]  #: one a seed

    @classmethod
    def from_json(cls, name: str, document: Document) -> Self:
        """Reads one entry of `arms`."""
        same = ("parameters", "trained_parameters", "quantum_parameters", "two_qubit_gates", "hidden", "is_void")
        score = document.get("score")
        return cls(
            name=name,
            **{key: document[key] for key in same},
            score=None if score is None else Interval.from_json(score),
            trials=tuple(document["trials"]),
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """A candidate against one control, paired over seeds."""

    control: str
    difference: Interval  #: candidate minus control
    test: str
    p_value: float
    p_exact: float
    p_adjusted: float
    verdict: Literal["better", "no better", "worse"]

    @classmethod
    def from_json(cls, document: Document) -> Self:
        """Reads one entry of `comparisons`."""
        return cls(
            control=document["control"],
            difference=Interval.from_json(document["difference"]),
            test=document["test"],
            p_value=document["p_value"],
            p_exact=document["p_exact"],
            p_adjusted=document["p_adjusted"],
            verdict=document["verdict"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedMember:
    """A candidate of a confirmation with its controls."""

    candidate_id: str
    generation: int
    index: int
    digest: str
    genome: dict[str, Any]
    state: Literal["waiting", "evaluated", "failed", "cancelled"]
    error: str | None  #: why it could not be measured
    arms: tuple[Arm, ...]  #: the candidate first; empty before they are measured
    comparisons: dict[str, Comparison]  #: by control; empty before the confirmation has finished
    sentence: str | None

    @property
    def place(self) -> str:
        """Its place in the search, GENERATION.INDEX."""
        return f"{self.generation}.{self.index}"

    @classmethod
    def from_json(cls, document: Document) -> Self:
        """Reads one entry of `members`."""
        same = ("candidate_id", "generation", "index", "digest", "genome", "state", "sentence")
        error, arms = document.get("error"), document["arms"]
        comparisons = (Comparison.from_json(item) for item in document["comparisons"])
        return cls(
            **{name: document[name] for name in same},
            error=f"{error['class']}: {error['message']}" if error else None,
            arms=tuple(Arm.from_json(name, arms[name]) for name in ARMS if name in arms),
            comparisons={one.control: one for one in comparisons},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """A confirmation of a search at one moment."""

    id: str
    search_id: str
    number: int  #: of the search's confirmations, from 1
    state: Literal["queued", "running", "finished", "cancelled", "failed"]
    reason: str | None
    notice: str | None  #: what keeps it from moving on, and what to do
    revision: int
    seeds: tuple[int, ...]
    epochs: int
    n_members: int
    n_measured: int
    n_failed: int
    metric: dict[str, Any] | None  #: name, goal, unit, bounds
    rows: dict[str, int] | None
    controls: dict[str, str]
    notes: tuple[str, ...]
    tests: dict[str, Any] | None
    members: tuple[ConfirmedMember, ...]
    document: Document = field(repr=False, compare=False)

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ENDED

    @classmethod
    def from_json(cls, document: Document) -> Self:
        """Reads a Confirmation."""
        same = ("id", "search_id", "number", "state", "reason", "notice", "revision", "epochs", "metric", "rows")
        progress = document["progress"]
        return cls(
            **{name: document[name] for name in same},
            seeds=tuple(document["seeds"]),
            n_members=progress["members"],
            n_measured=progress["measured"],
            n_failed=progress["failed"],
            controls=document["controls"],
            notes=tuple(document["notes"]),
            tests=document["tests"],
            members=tuple(ConfirmedMember.from_json(item) for item in document["members"]),
            document=document,
        )
