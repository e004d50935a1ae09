"""tensorcircuit-ng on JAX: the whole step compiled, vectorised over rows."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import tensorcircuit
from torch import Tensor

from benchmarks.contenders.base import Arrays, Contender, Step
from benchmarks.problems import Problem
from nas.circuits import Circuit


class TensorCircuit(Contender):
    """Expectations are read off the state's probabilities, which is faster here than `expectation_ps` for each."""

    packages = ("tensorcircuit-ng", "jax", "jaxlib")
    is_compiled = True

    def step(self, problem: Problem) -> Step:
        """Returns the compiled step; compilation is done when this returns."""
        self._choose_precision()
        weights, features = self._array(problem.weights), self._array(problem.features)
        signs = self._array(_signs(problem.circuit))
        axes = tuple(0 if values.shape[0] > 1 else None for values in (weights, features))

        def expectations(weight_row: Any, feature_row: Any) -> Any:
            state = _state(problem.circuit, weight_row, feature_row)
            return (state.real**2 + state.imag**2) @ signs

        def loss(weights: Any, features: Any) -> Any:
            rows = (values if axis == 0 else values[0] for values, axis in zip((weights, features), axes, strict=True))
            values = jax.vmap(expectations, in_axes=axes)(*rows)
            return values.sum(1).mean(), values

        arguments = (0, 1) if problem.has_feature_gradient else (0,)
        gradient = jax.jit(jax.value_and_grad(loss, argnums=arguments, has_aux=True))
        compiled = gradient.lower(weights, features).compile()

        def run(weights: Any, features: Any) -> Arrays:
            (_, values), gradients = jax.block_until_ready(compiled(weights, features))
            return (values, *gradients)

        return Step(run, weights, features)

    def sampler(self, circuit: Circuit, n_rows: int) -> Callable[[Tensor], Any]:
        """Returns the compiled function from weights to states."""
        self._choose_precision()
        zeros = self._array(np.zeros(circuit.n_features))
        states = jax.jit(jax.vmap(lambda weights: _state(circuit, weights, zeros)))
        compiled = states.lower(self._array(np.zeros((n_rows, circuit.n_weights)))).compile()
        return lambda weights: jax.block_until_ready(compiled(self._array(weights)))

    def _choose_precision(self) -> None:
        """Sets tensorcircuit's global precision, which holds while it traces."""
        tensorcircuit.set_backend("jax")
        tensorcircuit.set_dtype(self.precision)
        # set_dtype("complex64") turns float64 off for all of JAX, and both precisions take turns in this process.
        jax.config.update("jax_enable_x64", True)

    def _array(self, values: Any) -> Any:
        return jax.numpy.asarray(np.asarray(values), dtype="float32" if self.precision == "complex64" else "float64")


def _state(circuit: Circuit, weights: Any, features: Any) -> Any:
    simulated = tensorcircuit.Circuit(circuit.qubits)
    for operation in circuit.operations:
        angle = operation.angle
        if angle is None:
            simulated.cnot(*operation.wires)
        else:
            theta = features[angle.features[0]] if angle.weight is None else weights[angle.weight]
            getattr(simulated, operation.gate)(*operation.wires, theta=theta)
    return simulated.state()


def _signs(circuit: Circuit) -> Any:
    """Returns ⟨basis state|Z_i|basis state⟩ of the measured qubits, (2^n, n_observables)."""
    index = np.arange(1 << circuit.qubits)
    wires = [word[0][1] for word in circuit.observables]
    return np.stack([1 - 2 * ((index >> (circuit.qubits - 1 - wire)) & 1) for wire in wires], 1)
