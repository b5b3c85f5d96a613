"""Each version of a job is followed once."""

from dataclasses import fields
from typing import Any

from dc1.control.scheduling import job_versions
from dc1.control.scheduling.job_versions import JobVersions
from dc1.storage.jobs.job_records import JobRow


def job(row_id: int, sequence: int, status: str = "queued") -> JobRow:
    blank: dict[str, Any] = dict.fromkeys(field.name for field in fields(JobRow))
    return JobRow(**blank | {"id": row_id, "event_sequence": sequence, "status": status})


def test_a_version_is_news_once_and_an_older_one_never() -> None:
    versions = JobVersions()
    assert versions.learn(job(1, 1))
    assert not versions.learn(job(1, 1))
    assert versions.learn(job(1, 3, "running"))
    assert not versions.learn(job(1, 2, "pending"))
    assert versions.learn(job(2, 2))


def test_what_is_told_of_a_job_after_its_end_is_old() -> None:
    versions = JobVersions()
    assert versions.learn(job(1, 4, "completed"))
    assert not versions.learn(job(1, 2))
    assert not versions.learn(job(1, 4, "completed"))


def test_only_so_many_ended_jobs_are_remembered() -> None:
    versions = JobVersions()
    versions.learn(job(0, 2))
    for row_id in range(1, job_versions.ENDED_REMEMBERED + 2):
        versions.learn(job(row_id, 2, "failed"))
    assert not versions.learn(job(job_versions.ENDED_REMEMBERED, 1))
    assert versions.learn(job(1, 1)), "the first that ended is forgotten"
    assert not versions.learn(job(0, 2)), "an open one never is"
