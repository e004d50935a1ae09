"""Measured values, and the stages of a candidate that was measured more than once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MetricValue:
    """A measured metric; `std_error` is `"exact"` where nothing was sampled, `None` where it is not known."""

    value: float | None
    std_error: float | Literal["exact"] | None
    unit: str
    version: int | None
    per_replicate: tuple[float, ...] = ()  #: of a metric measured more than once; the value is their mean

    @property
    def error(self) -> float | None:
        """The standard error as a number; `None` where the value is exact or the error is not known."""
        return None if isinstance(self.std_error, str) else self.std_error

    @classmethod
    def from_json(cls, document: Document) -> Self:
        """Reads one entry of `metrics`."""
        return cls(
            value=document["value"],
            std_error=document.get("std_error"),
            unit=document.get("unit") or "",
            version=document.get("version"),
            per_replicate=tuple(document.get("per_replicate") or ()),
        )


@dataclass(frozen=True, slots=True)
class Stage:
    """One of several evaluations of a candidate."""

    number: int
    kind: Literal["early", "full", "again"]  #: before the full evaluation, that itself, or with more samples after it
    epochs: int  #: that each replicate was trained for
    state: Literal["waiting", "passed", "stopped", "failed", "cancelled"]
    metrics: dict[str, MetricValue]  #: as measured at this stage
    error: str | None

    @classmethod
    def from_json(cls, document: Document) -> Self:
        """Reads one entry of a candidate's stages."""
        error = document.get("error")
        return cls(
            document["number"],
            document["kind"],
            document["epochs"],
            document["state"],
            {name: MetricValue.from_json(value) for name, value in (document["metrics"] or {}).items()},
            f"{error['class']}: {error['message']}" if error else None,
        )


def stop_text(document: Document | None) -> str | None:
    """Returns at which stage a candidate was stopped and why, or None."""
    if document is None:
        return None
    trained = f"after {document['epochs']} epochs" if document["epochs"] else "before training"
    return f"stopped at stage {document['stage']}, {trained}: {document['reason']}"
