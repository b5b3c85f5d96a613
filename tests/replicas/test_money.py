"""Money is spent once, whichever replicas are asked, and however often."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest
from sqlalchemy import text

from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.jobs.jobs import JobFilter
from dc1.testing.people import Renter, answered
from dc1.testing.rest import Json
from dc1.testing.waiting import at_once, eventually
from tests.replicas.pair import Pair, waiting_for_locks

RENTERS = 200
PRICE = 45


@pytest.mark.settings(starter_credit_halala=PRICE)
def test_of_two_submissions_with_money_for_one_one_is_accepted_200_times_over(pair: Pair) -> None:
    with ThreadPoolExecutor(4) as pool:
        here = list(pool.map(lambda _: pair.add_renter(), range(RENTERS)))

        def race(renter: Renter) -> list[int]:
            answers = at_once([renter.try_submit, pair.b.renter(renter).try_submit])
            return sorted(answer.status_code for answer in answers)

        outcomes = list(pool.map(race, here))

    assert outcomes == [[201, 402]] * RENTERS
    assert pair.a.stored(lambda conn: jobs.page(conn, JobFilter(), limit=1)).total == RENTERS
    assert {(renter.balance(), renter.wallet()["held_halala"]) for renter in here[::20]} == {(0, PRICE)}


def test_an_answer_is_replayed_byte_for_byte_by_the_other_replica(pair: Pair, renter: Renter) -> None:
    there = pair.b.renter(renter)
    key = {"idempotency-key": "first"}
    first = renter.try_submit(params={"prompt": "x", "z": 1, "a": {"y": 2, "b": 3}}, headers=key)
    again = there.try_submit(params={"prompt": "x", "z": 1, "a": {"y": 2, "b": 3}}, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (None, "true")

    other = there.try_submit(params={"prompt": "x", "z": 2}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "IDEMPOTENCY_MISMATCH")
    assert renter.wallet()["held_halala"] == PRICE


def test_parallel_replays_of_one_answer_are_all_answered(pair: Pair, renter: Renter) -> None:
    key = {"idempotency-key": "first"}
    first = renter.try_submit(headers=key)
    replicas = [renter, pair.b.renter(renter)] * 8
    answers = at_once([partial(at.try_submit, headers=key) for at in replicas])
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, first.content)}


def test_parallel_first_calls_under_one_key_have_one_effect(pair: Pair, renter: Renter) -> None:
    """Each is answered like the one that won, or told to come back."""
    for number in range(20):
        key = {"idempotency-key": f"key-{number}"}
        calls = [partial(at.try_submit, headers=key, duration_minutes=0.1) for at in (renter, pair.b.renter(renter))]
        answers = at_once(calls * 2)
        accepted = {answer.content for answer in answers if answer.status_code == 201}
        assert len(accepted) == 1
        for answer in answers:
            if answer.status_code != 201:
                assert_in_progress(answer)
        assert calls[1]().content in accepted
    assert pair.a.stored(lambda conn: jobs.page(conn, JobFilter(), limit=1)).total == 20


def test_a_call_whose_first_one_is_under_way_elsewhere_is_told_when_to_come_back(pair: Pair, renter: Renter) -> None:
    key = {"idempotency-key": "slow"}
    started, go_on = threading.Event(), threading.Event()

    def hold_the_renters_row(conn: Connection) -> None:
        conn.execute(text("SELECT id FROM renters WHERE id = :id FOR UPDATE"), {"id": renter.id})
        started.set()
        go_on.wait(20)

    with ThreadPoolExecutor(2) as pool:
        pool.submit(pair.a.store, hold_the_renters_row)
        assert started.wait(10)
        first = pool.submit(renter.try_submit, headers=key)
        try:
            eventually(lambda: pair.b.stored(waiting_for_locks) == 1, "the first call waiting")
            second = pair.b.renter(renter).try_submit(headers=key)
        finally:
            go_on.set()
        assert first.result().status_code == 201
    assert_in_progress(second)
    assert pair.b.renter(renter).try_submit(headers=key).content == first.result().content


def assert_in_progress(answer: httpx.Response) -> None:
    body: Json = answer.json()
    assert (answer.status_code, body["code"]) == (409, "IDEMPOTENCY_IN_PROGRESS"), answer.text
    assert int(answer.headers["retry-after"]) >= 1


def test_an_ask_is_that_of_the_next_job_whichever_replica_it_was_told(pair: Pair, renter: Renter) -> None:
    """Contract 5.1: for jobs given out from then on, though the news of it is on its way to the other one."""
    provider = pair.add_provider(pair.a)
    pair.connect(provider, pair.a)
    pair.await_online(provider)
    for ask in (0.5, 0.9, 0.6):
        answered(pair.b.provider(provider).post("/providers/preferences", {"ask": ask}))
        job = renter.submit()["job_id"]
        rate = eventually(partial(rate_of, renter, job), "the machine taking the job", 10)
        assert rate == 15 * ask
        answered(renter.cancel(job))


def rate_of(renter: Renter, job_id: str) -> float | None:
    """What a minute of a job costs where it was given to, None while it waits."""
    rate: float | None = renter.job(job_id)["rate_halala_per_minute"]
    return rate
