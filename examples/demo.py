"""A whole search from Python: submit it, follow it, look at its front and keep the result.

Runs against a service that is up, the one of HQNAS_URL. `hqnas up -- python examples/demo.py` starts one around it.
Leaves out/front.csv, out/front.png and out/best.py, and ends with 0 if the search finished.
"""

import sys
from pathlib import Path

from rich.console import Console

from hqnas import Client, HqnasError
from hqnas.cli.architecture_tables import front_view
from hqnas.cli.screen import follow
from hqnas.client import Candidate, Front, Search
from hqnas.export import architecture, picture, to_csv, write_file

SPEC = Path(__file__).parent / "wine.yaml"
OUT = Path("out")
FEWEST_ARCHITECTURES = 100


def main() -> int:
    """Runs the demo and returns its exit code."""
    console = Console()
    with Client() as client:
        search = client.submit(SPEC)
        console.print(f"Submitted {SPEC.name} as search {search.id} to {client.url}")
        search = follow(client, search.id, console)
        if search.state != "finished":
            return 1
        candidates = [c for c in client.candidates(search.id) if c.state == "evaluated"]
        front = client.front(search.id)
        best = front.best()
        if best is None:
            console.print("The front is empty: no candidate holds the constraints.")
            return 1
        n_different = len({candidate.digest for candidate in candidates})
        show(console, front, best, n_different=n_different, n_evaluated=len(candidates))
        save(client, console, search, front, candidates, best)
    say_what_next(console, search, best)
    if n_different < FEWEST_ARCHITECTURES:
        console.print(f"[red]Only {n_different} different architectures were evaluated.")
        return 1
    return 0


def show(console: Console, front: Front, best: Candidate, *, n_different: int, n_evaluated: int) -> None:
    """Prints the front and its best member."""
    console.print()
    console.print(front_view(front, width=console.width), highlight=False)
    console.print()
    console.print(f"{n_evaluated} candidates evaluated, {n_different} different architectures.")
    console.print(f"Best member: {best.generation}.{best.index}, {architecture(best.genome)}")


def save(
    client: Client,
    console: Console,
    search: Search,
    front: Front,
    candidates: list[Candidate],
    best: Candidate,
) -> None:
    """Writes the front as a table and a picture, and the best member as a program."""
    write_file(OUT / "front.csv", to_csv(front.items, front.objectives))
    write_file(OUT / "front.png", picture(search, candidates, client.generations(search.id), best=best))
    write_file(OUT / "best.py", client.candidate(best.id).pennylane)
    console.print(f"Wrote {OUT / 'front.csv'}, {OUT / 'front.png'} and {OUT / 'best.py'} (PennyLane).")


def say_what_next(console: Console, search: Search, best: Candidate) -> None:
    """Prints how to look at more of the search."""
    console.print("\nTo look at more, start the service again on the same data:")
    console.print("  .venv/bin/hqnas up --home out/demo", highlight=False)
    console.print("  .venv/bin/hqnas list", highlight=False)
    console.print(f"  .venv/bin/hqnas show latest/{best.generation}.{best.index}", highlight=False)
    url = f"http://127.0.0.1:8000/v1/searches/{search.id}/front"
    console.print(f"  curl {url}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except HqnasError as error:
        Console(stderr=True).print(f"demo: {error}", markup=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
