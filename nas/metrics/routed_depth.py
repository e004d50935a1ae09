"""Depth in moments of a circuit routed on a coupling map, an inserted SWAP as three; see `nas.metrics.routing`."""

from typing import TYPE_CHECKING

from nas.metrics.measurement import Measurement
from nas.metrics.routing import measurement, routings

if TYPE_CHECKING:
    from nas.metrics.registry import Subject


def measure(subject: "Subject") -> Measurement:
    """Returns the count for the best of the placements that the settings ask for."""
    return measurement(subject, "routed_depth", subject.drawn(routings).depth)
