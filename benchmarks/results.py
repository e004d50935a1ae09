"""What was measured, as plain rows that are kept beside the report."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

TRAINING_STEP = "training step"
PAIRS = "expressibility, 5,000 pairs"
GRADIENT_DRAWS = "gradient variance, M = 200"
CANDIDATE = "whole candidate"
EPOCHS = "10 epochs of training"
BUNDLE = "bundle step"
BUNDLE_CANDIDATES = "bundle of whole candidates"
GPU_BUNDLE = "bundle step on a GPU"
GPU_STEP = "wide step on a GPU"

#: Behind the name of a contender that takes the members of a bundle one at a time.
ONE_BY_ONE = ", one by one"


@dataclass(frozen=True, slots=True)
class Point:
    """How much work it is: rows are samples, draws, pairs or candidates."""

    qubits: int
    layers: int
    rows: int


@dataclass(frozen=True, slots=True)
class Row:
    """The median of one contender's turns at one piece of work."""

    work: str
    point: Point
    contender: str
    seconds: float
    turns: int
    preparation_s: float
    first_s: float
    deviation: float  #: largest difference of a result from the reference's, 0 for the reference


@dataclass(frozen=True, slots=True)
class Memory:
    """Peak resident memory of a fresh process, bytes."""

    work: str
    point: Point
    contender: str
    before: int  #: after imports and building of the problem
    peak: int


@dataclass(frozen=True, slots=True)
class Profile:
    """Where a training step's time goes, seconds and calls a step; all but the first under the profiler."""

    point: Point
    plain_s: float  #: without the profiler
    profiled_s: float
    calls: float  #: into torch
    torch_s: float  #: in these calls, autograd's own time left out
    products_s: float  #: of it, in products of matrices
    autograd_s: float  #: in autograd's engine, between the calls that it makes


@dataclass(slots=True)
class Results:
    """Everything that a report is written from."""

    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def find(self, work: str, point: Point, contender: str) -> Row | None:
        """Returns the row of a contender, if it was measured."""
        for row in self.rows:
            if (row.work, row.point, row.contender) == (work, point, contender):
                return row
        return None

    def of(self, work: str) -> list[Row]:
        """Returns all rows of a kind of work."""
        return [row for row in self.rows if row.work == work]

    def save(self, path: Path) -> None:
        """Writes everything as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Returns what `save` wrote."""
        document = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            machine=document["machine"],
            versions=document["versions"],
            rows=[Row(**_with_point(row)) for row in document["rows"]],
            memory=[Memory(**_with_point(row)) for row in document["memory"]],
            profiles=[Profile(**_with_point(row)) for row in document["profiles"]],
            notes=document["notes"],
        )


def counted(count: int, noun: str) -> str:
    """Returns "1 sample", "32 samples"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _with_point(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "point": Point(**row["point"])}
