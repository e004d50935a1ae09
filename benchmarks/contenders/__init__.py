"""What is compared: one module for each simulator, behind `Contender`."""

from benchmarks.contenders.base import Contender, Step
from benchmarks.contenders.catalogue import find_contenders

__all__ = ["Contender", "Step", "find_contenders"]
