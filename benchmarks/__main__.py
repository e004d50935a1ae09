"""`python -m benchmarks`: runs everything and writes docs/performance.md and docs/performance.png."""

import argparse
import warnings
from pathlib import Path

import torch

import benchmarks.single_thread  # noqa: F401  # before torch and JAX
from benchmarks import machine, plot, report
from benchmarks.bench import Bench
from benchmarks.contenders import find_contenders
from benchmarks.results import Results
from benchmarks.sections import bundles, candidate, gpu, growth, memory, metrics, profiles, training
from benchmarks.timing import QUICK, Pace

SECTIONS = {
    "training": training.measure_steps,
    "epochs": training.measure_epochs,
    "metrics": metrics.measure,
    "candidate": candidate.measure,
    "bundles": bundles.measure,
    "growth": growth.measure,
    "memory": memory.measure,
    "profiles": profiles.measure,
    "gpu": gpu.measure,
}
QUICK_OUTPUT = Path("out/bench-engine")


def main() -> None:
    """Runs the sections asked for, keeps their rows, and writes the report."""
    arguments = _arguments()
    output = arguments.output or (QUICK_OUTPUT if arguments.quick else Path("docs"))
    rows = QUICK_OUTPUT / "rows.json"
    if arguments.render:
        results = Results.load(rows)
    else:
        results = _measured(arguments)
        results.save(rows)
    output.mkdir(parents=True, exist_ok=True)
    plot.draw(results, output / "performance.png")
    report.write(results, output / "performance.md")
    print(f"Wrote {output}/performance.md and {output}/performance.png.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"about two minutes, written to {QUICK_OUTPUT}")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="these parts alone")
    parser.add_argument("--output", type=Path, help="folder of performance.md and performance.png")
    parser.add_argument("--render", action="store_true", help="measure nothing; write what the last run measured")
    return parser.parse_args()


def _measured(arguments: argparse.Namespace) -> Results:
    torch.set_num_threads(1)
    # PennyLane and the peers warn about their own insides, over and over.
    warnings.simplefilter("ignore")
    contenders, absences = find_contenders()
    bench = Bench(contenders, QUICK if arguments.quick else Pace(), is_quick=arguments.quick)
    bench.results.machine = machine.describe()
    for contender in contenders:
        bench.results.versions |= contender.versions
    for sentence in absences:
        bench.note(sentence)
    for name in arguments.only:
        SECTIONS[name](bench)
    bench.say("done")
    return bench.results


if __name__ == "__main__":
    main()
