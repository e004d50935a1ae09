"""PostgreSQL is killed, cut off around a COMMIT, frozen, silent or full: nothing is lost, and nothing counts twice."""

import contextlib
import itertools
import math
import random
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from faults.conftest import Recovery
from faults.servers import CHEAP, Servers, serving
from processes import PATIENCE_S, wait_until
from sqlalchemy.exc import OperationalError

from models.states import SEARCH_OPEN

pytestmark = pytest.mark.integration

SPEC: dict[str, Any] = {
    **CHEAP,
    "name": "postgres",
    "training": {"epochs": 2, "batch_size": 128},
    "algorithm": {"population": 8, "generations": 3, "seed": 3},
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One controller and two workers over a PostgreSQL that keeps what it committed."""
    with serving(tmp_path_factory.mktemp("postgres"), n_workers=2) as servers:
        yield servers


def progress(servers: Servers) -> tuple[int, int]:
    """Attempts made, and evaluations settled: what grows while work is done."""
    found = servers.cluster.evaluations()
    return sum(one.attempt for one in found), sum(one.finished_at is not None for one in found)


def goes_on(servers: Servers, search: str, before: tuple[int, int]) -> bool:
    """Whether evaluations have begun and ended since, or nothing is left to do."""
    if servers.cluster.search(search).state not in SEARCH_OPEN:
        return True
    return all(now > then for now, then in zip(progress(servers), before, strict=True))


def get(servers: Servers, path: str = "/v1/searches") -> httpx.Response:
    return httpx.get(f"{servers.cluster.client.url}{path}", timeout=60)


def post(servers: Servers, key: str) -> httpx.Response:
    return httpx.post(
        f"{servers.cluster.client.url}/v1/searches", json=SPEC, headers={"Idempotency-Key": key}, timeout=60
    )


def says_when_to_come_back(answer: httpx.Response) -> bool:
    problem = answer.headers["content-type"] == "application/problem+json" and answer.json()["title"] == "Unavailable"
    return answer.status_code == 503 and answer.headers["retry-after"] == "2" and problem


def begin(servers: Servers, rng: random.Random) -> str:
    """Submits the search to an empty database and lets it get somewhere; returns its id."""
    search = servers.cluster.submit(SPEC)
    n_settled = rng.randrange(12)
    wait_until(lambda: servers.cluster.search(search).n_settled >= n_settled, f"{n_settled} candidates")
    return search


def restart(servers: Servers) -> None:
    """Ends PostgreSQL as a crash does, and starts it again."""
    servers.postgres.stop("immediate")
    assert says_when_to_come_back(get(servers))
    assert servers.readiness()["status"] == "unavailable"
    assert get(servers, "/health").status_code == 200
    servers.postgres.start()


def test_a_postgres_that_crashes_mid_run_loses_nothing(servers: Servers, recovery: Recovery, repeats: int) -> None:
    rng = random.Random(1)
    servers.cluster.undisturbed(SPEC)
    search = begin(servers, rng)
    for _ in range(repeats):
        if servers.cluster.search(search).state not in SEARCH_OPEN:
            servers.cluster.conclude(search, SPEC)
            search = begin(servers, rng)
        restart(servers)
        back_at = time.time()
        before = progress(servers)
        wait_until(lambda s=search, b=before: goes_on(servers, s, b), "the search to go on")
        recovery.record(time.time() - back_at)
    servers.cluster.conclude(search, SPEC)
    assert get(servers).status_code == 200
    assert not [member.name for member in servers.cluster.members.values() if not member.is_running]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_submission_cut_around_its_commit_submits_once(servers: Servers, when: str, repeats: int) -> None:
    servers.cluster.empty()
    for _ in range(repeats):
        key = str(uuid.uuid4())
        assert get(servers).status_code == 200
        cut = servers.to_postgres.cut(when, b"COMMIT", application=b"hqnas-api")  # type: ignore[arg-type]
        assert says_when_to_come_back(post(servers, key))
        assert cut.done.wait(PATIENCE_S)
        again = post(servers, key)
        assert again.status_code == 202
        assert [one["id"] for one in get(servers).json()["items"]] == [again.json()["id"]]
        servers.cluster.empty()


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("when", "application"),
    list(itertools.product(("before", "after"), ("controller", "worker"))),
)
def test_a_transaction_cut_around_its_commit_counts_once(
    servers: Servers, recovery: Recovery, when: str, application: str, repeats: int
) -> None:
    rng = random.Random(f"{when} {application}")
    servers.cluster.undisturbed(SPEC)
    search = begin(servers, rng)
    for _ in range(math.ceil(repeats / 4)):
        if servers.cluster.search(search).state not in SEARCH_OPEN:
            servers.cluster.conclude(search, SPEC)
            search = begin(servers, rng)
        name = f"hqnas-{application}".encode()
        cut = servers.to_postgres.cut(when, b"COMMIT", application=name)  # type: ignore[arg-type]  # one of the two
        assert cut.done.wait(PATIENCE_S)
        cut_at = time.time()
        before = progress(servers)
        wait_until(lambda s=search, b=before: goes_on(servers, s, b), "the search to go on")
        recovery.record(time.time() - cut_at)
    servers.cluster.conclude(search, SPEC)


@pytest.mark.chaos
@pytest.mark.parametrize("fault", ["forget", "swallow", "freeze"])
def test_a_silent_postgres_is_given_up_and_found_again(
    servers: Servers, recovery: Recovery, fault: str, repeats: int
) -> None:
    rng = random.Random(fault)
    servers.cluster.undisturbed(SPEC)
    for _ in range(math.ceil(repeats / 3)):
        search = begin(servers, rng)
        if fault == "forget":
            servers.to_postgres.forget()
        else:
            (servers.to_postgres.swallow if fault == "swallow" else servers.postgres.freeze)()
            answer = get(servers)
            assert says_when_to_come_back(answer), answer.text
            assert get(servers, "/health").status_code == 200
            time.sleep(15)
            (servers.to_postgres.restore if fault == "swallow" else servers.postgres.thaw)()
        back_at = time.time()
        before = progress(servers)
        wait_until(lambda s=search, b=before: goes_on(servers, s, b), "the search to go on")
        recovery.record(time.time() - back_at)
        servers.cluster.conclude(search, SPEC)
    assert get(servers).status_code == 200


@pytest.mark.chaos
def test_a_frozen_postgres_takes_no_thread_from_health(servers: Servers) -> None:
    servers.postgres.freeze()
    try:
        with httpx.Client(timeout=0.2) as client:
            for _ in range(60):
                with pytest.raises(httpx.ReadTimeout):
                    client.get(f"{servers.cluster.client.url}/v1/searches")
        assert get(servers, "/health").status_code == 200
    finally:
        servers.postgres.thaw()
    wait_until(lambda: get(servers).status_code == 200, "the API to answer")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 160 MB of the test's own, where the machine allows to make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=160m,mode=0755", "hqnas-test", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine does not let the test mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Puts a file on the disk that leaves no room; returns it."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    return ballast


@pytest.mark.chaos
def test_a_full_disk_stops_writing_and_nothing_is_lost_once_there_is_room(
    tmp_path: Path, small_disk: Path, recovery: Recovery, repeats: int
) -> None:
    rng = random.Random(4)
    with Servers(tmp_path, data=small_disk / "postgres") as servers:
        servers.start(n_controllers=1, n_workers=2)
        servers.cluster.undisturbed(SPEC)
        search = begin(servers, rng)
        for _ in range(repeats):
            if servers.cluster.search(search).state not in SEARCH_OPEN:
                servers.cluster.conclude(search, SPEC)
                search = begin(servers, rng)
            ballast = fill(small_disk)
            wait_until(lambda: is_full(servers), "a write to be refused")
            ballast.unlink()
            if not servers.postgres.is_running():
                servers.postgres.start()
            back_at = time.time()
            before = progress(servers)
            wait_until(lambda s=search, b=before: goes_on(servers, s, b), "the search to go on")
            recovery.record(time.time() - back_at)
        servers.cluster.conclude(search, SPEC)
        wait_until(lambda: get(servers).status_code == 200, "the API to answer")


def is_full(servers: Servers) -> bool:
    """Fills what room is left, until PostgreSQL has none."""
    try:
        with servers.cluster.engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS filler (content text)")
            connection.exec_driver_sql(
                "INSERT INTO filler SELECT repeat(gen_random_uuid()::text, 20) FROM generate_series(1, 2000)"
            )
    except OperationalError:
        # What is left in the tables' last pages may still hold a search or two.
        answer = post(servers, str(uuid.uuid4()))
        if answer.status_code == 202:
            httpx.post(f"{servers.cluster.client.url}{answer.headers['location']}/cancel", timeout=60)
        else:
            assert says_when_to_come_back(answer), answer.text
            assert "disk" in answer.json()["detail"] or not servers.postgres.is_running(), answer.text
        return answer.status_code == 503
    return False
