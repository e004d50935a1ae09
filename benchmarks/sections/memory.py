"""Peak memory of a training step and of 5,000 pairs at 12 qubits, each in a fresh process."""

import json
import subprocess
import sys
from pathlib import Path

import benchmarks.single_thread  # noqa: F401  # before torch
from benchmarks import problems
from benchmarks.bench import Bench
from benchmarks.contenders import Contender, find_contenders
from benchmarks.contenders.catalogue import BATCHED, DEFAULT_ENGINE, LIGHTNING_ENGINE
from benchmarks.problems import PAIRS, SAMPLES
from benchmarks.results import PAIRS as PAIRS_WORK
from benchmarks.results import TRAINING_STEP, Memory, Point

SIZE = (12, 6)


def measure(bench: Bench) -> None:
    """Measures hqnas's engines."""
    names = [c.name for c in bench.contenders]
    for work, rows, measured in (
        (TRAINING_STEP, SAMPLES, (*BATCHED, DEFAULT_ENGINE, LIGHTNING_ENGINE)),
        (PAIRS_WORK, PAIRS, BATCHED),
    ):
        for name in measured:
            if name not in names:
                continue
            before, peak = _in_fresh_process(work, name)
            bench.results.memory.append(Memory(work, Point(*SIZE, rows), name, before, peak))
            bench.say(f"memory, {work}, {name}: {peak / 2**20:.0f} MiB, of which {before / 2**20:.0f} MiB before")


def _in_fresh_process(work: str, name: str) -> tuple[int, int]:
    command = [sys.executable, "-m", "benchmarks.sections.memory", work, name]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    before, peak = json.loads(done.stdout.splitlines()[-1])
    return before, peak


def _peak_bytes() -> int:
    """Returns the process's own peak; `getrusage` on Linux starts from that of the parent."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system has no VmHWM in /proc/self/status")


def _run(work: str, contender: Contender) -> tuple[int, int]:
    if work == TRAINING_STEP:
        problem = problems.training_step(*SIZE)
        before = _peak_bytes()
        contender.step(problem)()
    else:
        circuit = problems.circuit_of(*SIZE)
        before = _peak_bytes()
        contender.pairs(circuit, PAIRS)()
    return before, _peak_bytes()


if __name__ == "__main__":
    found, _ = find_contenders(with_peers=False)
    print(json.dumps(_run(sys.argv[1], next(c for c in found if c.name == sys.argv[2]))))
