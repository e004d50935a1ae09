"""Simulators of circuits behind one interface, `Engine`.

    circuit, weights, features ──bind──▶ one angle a gate and row ──engine──▶ states, expectations

Binding is ordinary torch arithmetic outside the engines, so shared weights, scales and products of features are
differentiated alike for all of them; an engine differentiates with respect to angles and amplitudes alone.
"""

from nas.engines.base import Engine, EngineInfo
from nas.engines.catalogue import ENGINES, make_engine

__all__ = ["ENGINES", "Engine", "EngineInfo", "make_engine"]
