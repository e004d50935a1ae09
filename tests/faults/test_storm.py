"""Ten searches under a random kill every second for a minute, beside the same ten undisturbed."""

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, Member
from faults.conftest import Recovery, private_cluster
from faults.scene import spec_of
from processes import PATIENCE_S

from models.states import SEARCH_OPEN

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

N_SEARCHES = 10
N_WORKERS = 8
N_CONTROLLERS = 2
KILL_EVERY_S = 1.0
SEED = 11
#: On two cores the undisturbed run takes some two and a half minutes; with more cores there is more to do.
EPOCHS = 8 * (os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there is to do, and for how long it is disturbed."""

    generations: int
    kills_for_s: float


WHOLE = Extent(generations=12, kills_for_s=60)
#: A look whether it works at all; only the whole storm is held to the ratio.
SHORT = Extent(generations=2, kills_for_s=15)


def specs(generations: int) -> list[dict[str, Any]]:
    found = []
    for i in range(N_SEARCHES):
        spec = spec_of(8, generations=generations)
        spec["training"] = {"epochs": EPOCHS, "batch_size": 16, "seed": i}
        found.append({**spec, "name": f"storm-{i}", "algorithm": {**spec["algorithm"], "seed": i}})
    return found


@dataclass
class Supervisor:
    """Starts again what has ended, as the restart policy of a container does; and kills at random, while it storms."""

    workers: list[Member]
    controllers: list[Member]
    rng: random.Random
    n_kills: dict[str, int] = field(default_factory=lambda: {"child": 0, "worker": 0, "controller": 0})

    def restart(self) -> None:
        for member in (*self.workers, *self.controllers):
            member.start()

    def strike(self) -> None:
        kind = self.rng.choice(list(self.n_kills))
        members = self.controllers if kind == "controller" else self.workers
        chosen = self.rng.choice([one for one in members if one.is_running] or members)
        self.n_kills[kind] += 1
        if kind != "child":
            chosen.kill()
        elif children := chosen.children():
            self.rng.choice(children).kill()


def run_all(
    cluster: Cluster, supervisor: Supervisor, generations: int, *, kills_for_s: float
) -> tuple[float, list[str]]:
    """Submits all searches and returns seconds until the last has ended, and their fronts."""
    cluster.empty()
    started = time.monotonic()
    ids = [cluster.client.submit(spec).id for spec in specs(generations)]
    struck_at = started
    while any(cluster.search(one).state in SEARCH_OPEN for one in ids):
        now = time.monotonic()
        assert now - started < 5 * PATIENCE_S, "the searches do not end"
        if now - started < kills_for_s and now - struck_at >= KILL_EVERY_S:
            struck_at += KILL_EVERY_S
            supervisor.strike()
        supervisor.restart()
        time.sleep(0.1)
    seconds = time.monotonic() - started
    cluster.check()
    return seconds, [cluster.front_of(one) for one in ids]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    # Who is killed at random three times is innocent; with the limit of production it would be quarantined all the
    # same, as nobody can tell, and rightly so.
    with private_cluster(tmp_path, HQNAS_CRASH_LIMIT="10") as cluster:
        yield cluster


def test_ten_searches_survive_a_random_kill_every_second_for_a_minute(
    cluster: Cluster, recovery: Recovery, repeats: int
) -> None:
    extent = WHOLE if repeats > 1 else SHORT
    workers = [cluster.worker(f"s{i}") for i in range(N_WORKERS)]
    controllers = [cluster.controller(f"c{i}") for i in range(N_CONTROLLERS)]
    for member in (*workers, *controllers):
        member.wait_until_up()
    supervisor = Supervisor(workers, controllers, random.Random(SEED))
    undisturbed_s, undisturbed = run_all(cluster, supervisor, extent.generations, kills_for_s=0)
    disturbed_s, disturbed = run_all(cluster, supervisor, extent.generations, kills_for_s=extent.kills_for_s)
    print(f"undisturbed {undisturbed_s:.1f} s, disturbed {disturbed_s:.1f} s, kills {supervisor.n_kills}")
    assert disturbed == undisturbed
    if extent == WHOLE:
        recovery.record(disturbed_s / undisturbed_s)
