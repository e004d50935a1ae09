"""What may break, and which test shows what then holds: the rows of docs/reliability.md.

PYTHONPATH=tests python -m faults.scenarios    prints the tests that are not in this folder, for `make chaos`
"""

from dataclasses import dataclass
from pathlib import Path

#: Where a run with --chaos leaves what it measured, by test.
RECOVERIES = Path("out/recoveries.json")


@dataclass(frozen=True, slots=True)
class Shown:
    """A claim about a fault, and the test of it as `path::name`."""

    by: str
    holds: str
    limit: float | None = None  #: of the recovery, if the test measures one
    unit: str = "s"  #: of the limit; `x` is a ratio


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault with what shows that it does no harm; or why there is nothing to show."""

    fault: str
    shown: tuple[Shown, ...] = ()
    absent: str | None = None


WORKERS = "tests/faults/test_workers.py::"
DELIVERIES = "tests/faults/test_deliveries.py::"
CONTROLLERS = "tests/faults/test_controllers.py::"
STORM = "tests/faults/test_storm.py::"
CANCELS = "tests/faults/test_cancels.py::"
BROKER = "tests/faults/test_broker.py::"
POSTGRES = "tests/faults/test_postgres.py::"

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "SIGKILL of the evaluating child",
        (
            Shown(
                WORKERS + "test_a_killed_evaluating_process_is_blamed_and_its_evaluation_runs_again",
                "it runs again; crash_count 1",
                5,
            ),
        ),
    ),
    Scenario(
        "SIGKILL of the whole worker",
        (Shown(WORKERS + "test_what_a_killed_worker_held_runs_again", "it runs again; lost_count 1", 60),),
    ),
    Scenario(
        "SIGSTOP past the lease, then SIGCONT",
        (
            Shown(
                WORKERS + "test_the_late_result_of_a_frozen_worker_changes_nothing",
                "it runs again elsewhere; the late result touches no row",
                60,
            ),
        ),
    ),
    Scenario(
        "SIGTERM of a worker",
        (
            Shown(
                WORKERS + "test_a_stopped_worker_gives_back_what_it_holds",
                "leases released, run again at once, no counter raised",
                5,
            ),
        ),
    ),
    Scenario(
        "killed after the result's commit, before the ack; the same doorbell 5 times",
        (
            Shown(
                DELIVERIES
                + "test_a_process_killed_between_its_results_commit_and_the_answer_to_the_broker_counts_once",
                "one attempt, and no blame",
            ),
            Shown(DELIVERIES + "test_the_same_doorbell_five_times_counts_once", "one attempt counts"),
        ),
    ),
    Scenario(
        "doorbell lost; FLUSHALL with 100 waiting; Redis killed and back empty",
        (
            Shown(BROKER + "test_a_lost_doorbell_is_rung_again", "it runs; same front", 60),
            Shown(
                BROKER + "test_an_emptied_broker_with_a_hundred_waiting_loses_nothing",
                "all run; what was being computed counts at its first attempt; same front",
                60,
            ),
            Shown(
                BROKER + "test_a_broker_that_was_killed_and_comes_back_empty_loses_nothing",
                "all run; what was being computed counts at its first attempt; same front",
                60,
            ),
        ),
    ),
    Scenario(
        "Redis frozen 120 s, or down at start",
        (
            Shown(
                BROKER + "test_dispatch_catches_up_after_two_minutes_without_a_broker",
                "100 submissions answer 202, p99 within 100 ms; readiness is degraded; all finish. Measured: from the "
                "broker's return to the next claim",
                60,
            ),
            Shown(
                BROKER + "test_a_broker_that_is_down_when_all_starts_is_waited_for",
                "submissions answer 202; readiness is degraded; all finish. Measured: as above",
                60,
            ),
            Shown(
                BROKER + "test_a_frozen_broker_holds_up_no_submission_and_is_told",
                "six submissions answer 202 in some seconds; readiness is degraded",
            ),
            Shown(BROKER + "test_workers_outlive_a_broker_that_refuses_commands", "the same workers; same front"),
        ),
    ),
    Scenario(
        "connections to the broker silently dropped",
        (
            Shown(
                BROKER + "test_connections_to_the_broker_that_die_silently_are_replaced",
                "each worker takes something again; same front",
                60,
            ),
        ),
    ),
    Scenario(
        "messages that are none, or of a newer version",
        (
            Shown(BROKER + "test_workers_go_on_after_all_that_is_no_doorbell", "the same workers; same front"),
            Shown(
                BROKER + "test_a_doorbell_that_only_a_newer_worker_understands_is_rung_again",
                "it runs; same front",
                60,
            ),
        ),
    ),
    Scenario(
        "Postgres restarted `-m immediate` mid-run; connection cut around a COMMIT",
        (
            Shown(
                POSTGRES + "test_a_postgres_that_crashes_mid_run_loses_nothing",
                "503 with Retry-After meanwhile; no process ends; same front. Measured: from its return to evaluations "
                "that begin and end again",
                60,
            ),
            Shown(
                POSTGRES + "test_a_submission_cut_around_its_commit_submits_once",
                "503 with Retry-After; the same request again answers with the one search",
            ),
            Shown(
                POSTGRES + "test_a_transaction_cut_around_its_commit_counts_once",
                "whichever it is of a controller's or a worker's, nothing is told twice; same front",
                60,
            ),
            Shown(
                POSTGRES + "test_a_silent_postgres_is_given_up_and_found_again",
                "connections forgotten, all bytes swallowed, or the server frozen for 15 s: 503 meanwhile; same front",
                60,
            ),
            Shown(
                POSTGRES + "test_a_frozen_postgres_takes_no_thread_from_health",
                "the process says that it lives while sixty requests wait",
            ),
        ),
    ),
    Scenario(
        "pool exhausted; disk full",
        (
            Shown(
                "tests/integration/test_api.py::test_a_request_that_gets_no_connection_answers_503",
                "503 with Retry-After; the next request is served",
            ),
            Shown(
                "tests/integration/test_api.py"
                "::test_a_submission_that_the_database_cannot_take_now_answers_503_and_comes_through_later",
                "503 with Retry-After and the reason, from the SQLSTATE",
            ),
            Shown(
                POSTGRES + "test_a_full_disk_stops_writing_and_nothing_is_lost_once_there_is_room",
                "503 meanwhile; same front. On a file system of its own, which only root can make",
                60,
            ),
            Shown(
                "tests/integration/test_attempts.py"
                "::test_claims_and_outcomes_wait_for_a_database_that_is_full_restarting_or_busy",
                "workers keep their results: the first attempt counts",
            ),
        ),
    ),
    Scenario(
        "controller SIGKILLed at each named step of a generation; two controllers at once",
        (
            Shown(
                CONTROLLERS + "test_another_controller_goes_on_where_one_was_killed",
                "another one takes the search further, and all that waited is claimed; same front",
                30,
            ),
            Shown(
                CONTROLLERS + "test_two_controllers_at_once_tell_what_one_tells",
                "every candidate, stage and front as one controller has them, though both are killed on the way",
            ),
        ),
    ),
    Scenario(
        "resume with another pymoo/numpy major version or changed operators",
        (
            Shown(
                "tests/integration/test_advance.py"
                "::test_a_search_under_way_is_refused_by_other_operators_and_says_what_to_do",
                "the search fails with both versions and what to do",
            ),
            Shown(
                "tests/integration/test_advance.py::test_a_search_under_way_goes_on_after_a_smaller_upgrade",
                "patch and minor releases change nothing",
            ),
        ),
    ),
    Scenario(
        "poison: SIGSEGV, os._exit, out of memory, endless loop",
        (
            Shown(
                "tests/integration/test_poison.py"
                "::test_poison_is_quarantined_with_its_reason_and_its_neighbours_are_unharmed",
                "failed after 3 with the reason, and what was in a bundle with it blamed once; the search goes on. Out "
                "of memory is beyond our own limit, and the loop never gives Python its turn",
            ),
        ),
    ),
    Scenario(
        "every candidate crashes",
        (
            Shown(
                "tests/integration/test_circuit_breaker.py"
                "::test_a_search_of_which_every_candidate_crashes_fails_within_24_attempts",
                "the search fails with the reason",
            ),
        ),
    ),
    Scenario(
        "an innocent evaluation loses its worker five times",
        (
            Shown(
                WORKERS + "test_an_evaluation_that_loses_its_worker_five_times_still_finishes",
                "it runs again each time, and finishes; lost_count 5",
                60,
            ),
        ),
    ),
    Scenario(
        "NaN, inf, wrong shape from a metric",
        (
            Shown(
                "tests/integration/test_attempts.py"
                "::test_a_metric_that_comes_out_as_no_number_is_a_failed_evaluation_and_the_front_is_clean",
                "a failed evaluation; the front is clean",
            ),
            Shown(
                "tests/integration/test_attempts.py::test_a_member_that_fails_fails_alone",
                "it says why; the others of its bundle succeed",
            ),
        ),
    ),
    Scenario(
        "cancel while queued, running, finishing",
        (
            Shown(
                CANCELS + "test_nothing_is_evaluated_for_a_search_cancelled_while_queued", "no claim after the answer"
            ),
            Shown(
                CANCELS + "test_what_is_computed_for_a_cancelled_search_is_given_up_and_nothing_more_is_claimed",
                "the computation is gone, no claim after the answer",
                15,
            ),
            Shown(CANCELS + "test_a_search_cancelled_while_it_finishes_has_one_final_state", "one final state"),
        ),
    ),
    Scenario(
        "key revoked mid-run",
        absent="hqnas has no keys yet",
    ),
    Scenario(
        "a worker's clock off by 10 min",
        (
            Shown(
                "tests/integration/test_leases.py"
                "::test_a_worker_whose_clock_is_wrong_holds_its_leases_for_no_longer_and_no_shorter",
                "no effect: leases are of the database's clock",
            ),
        ),
    ),
    Scenario(
        "an old worker with the new schema",
        (
            Shown(
                "tests/integration/test_upgrade.py"
                "::test_workers_of_the_first_release_and_of_today_serve_one_search_to_the_same_front",
                "the statements of the first release and those of today, on one search, lead to the same front",
            ),
            Shown(
                "tests/integration/test_upgrade.py::test_both_releases_fence_each_other",
                "a late result of either touches no row of the other",
            ),
        ),
    ),
    Scenario(
        "launcher SIGKILLed on one machine, started again",
        (
            Shown(
                "tests/integration/test_launcher_kills.py::test_nothing_survives_a_killed_launcher", "no orphan process"
            ),
            Shown(
                "tests/integration/test_launcher_kills.py::test_a_launch_after_a_kill_resumes_with_the_data",
                "the data are there, and it goes on",
            ),
            Shown(
                "tests/integration/test_launcher_moments.py"
                "::test_a_launcher_killed_at_any_moment_starts_again_and_goes_on",
                "killed at each named moment of starting, running and stopping: no traceback, nothing left behind",
            ),
            Shown(
                "tests/faults/test_launcher.py::test_a_search_goes_on_to_the_same_result_after_kills_of_everything",
                "a search under way ends as undisturbed. Measured: from the next start until all that was under way is "
                "claimed again",
                60,
            ),
        ),
    ),
    Scenario(
        "10 searches, 8 workers, a random kill every second for a minute",
        (
            Shown(
                STORM + "test_ten_searches_survive_a_random_kill_every_second_for_a_minute",
                "I1-I7; the wall time beside that of the same searches undisturbed, in the same run",
                1.5,
                "x",
            ),
        ),
    ),
    Scenario(
        "webhook receiver down, slow",
        absent="hqnas has no webhooks yet",
    ),
)


def limit_of(test: str) -> float:
    """Returns the limit of a test that measures recoveries; KeyError if the table does not have it."""
    limits = {shown.by: shown.limit for scenario in SCENARIOS for shown in scenario.shown}
    limit = limits[test]
    assert limit is not None, f"{test} has no limit"
    return limit


if __name__ == "__main__":
    shown = [shown.by for scenario in SCENARIOS for shown in scenario.shown]
    print(" ".join(by for by in shown if not by.startswith("tests/faults/")))
