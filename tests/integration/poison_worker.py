"""A worker whose evaluations do what their genomes say: `poison_worker.py NAME SLOTS`.

qubits 2, layers 2    SIGSEGV     qubits 3, layers 1    blocked in C, with the interpreter's lock
qubits 2, layers 4    os._exit    qubits 3, layers 2    takes ever more memory

All others are measured at once. A child that is forked does what its parent was made to do.
"""

import ctypes
import os
import sys
import time
from collections.abc import Sequence

import nas.evaluation
from config.logging import configure_logging
from config.settings import Settings
from nas.evaluation import Evaluation
from nas.metrics.measurement import Measurement
from nas.space import Genome
from nas.spec import Protocol

MEBIBYTE = 2**20


def evaluate_bundle(genomes: Sequence[Genome], _: Protocol) -> list[Evaluation | Exception]:
    return [measure(genome) for genome in genomes]


def measure(genome: Genome) -> Evaluation:
    match genome.qubits, genome.layers:
        case 2, 2:
            ctypes.string_at(0)
        case 2, 4:
            os._exit(7)
        case 3, 1:
            block()
        case 3, 2:
            grow()
    return Evaluation({"gates": Measurement("gates", genome.qubits * genome.layers, None)}, (), {"name": "poison"})


def block() -> None:
    """Waits for a mutex that this thread has, and no signal ends that."""
    mutex = ctypes.create_string_buffer(256)
    with_lock = ctypes.PyDLL(None)
    with_lock.pthread_mutex_lock(mutex)
    with_lock.pthread_mutex_lock(mutex)


def grow() -> None:
    """Takes most of a gibibyte beside what torch has, and no more, for the machine's sake."""
    taken = b"1" * (900 * MEBIBYTE)
    while taken:
        time.sleep(1)


if __name__ == "__main__":
    # Before the worker imports it.
    nas.evaluation.evaluate_bundle = evaluate_bundle
    from worker.process import run_worker

    settings = Settings.load()
    configure_logging(settings, process="worker")
    run_worker(settings, slots=int(sys.argv[2]), device="cpu", name=sys.argv[1])
