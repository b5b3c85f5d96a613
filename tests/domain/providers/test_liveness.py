"""Liveness, status and bookability over time."""

import pytest

from dc1.domain.providers.liveness import (
    Approval,
    Channel,
    Liveness,
    Presence,
    ProviderStatus,
    bookable,
    degraded_since_ms,
    liveness,
    status,
    status_in_error,
)

SEEN = 1_774_206_005_000
POST = Presence(last_heartbeat_ms=SEEN)
OPEN_STREAM = Presence(channel=Channel.STREAM, last_heartbeat_ms=SEEN, stream_open=True)
CUT_STREAM = Presence(channel=Channel.STREAM, last_heartbeat_ms=SEEN - 5000, stream_lost_ms=SEEN)


@pytest.mark.parametrize(
    ("age", "expected"),
    [(0, "online"), (119, "online"), (120, "degraded"), (600, "degraded"), (601, "offline")],
)
def test_liveness_of_a_posting_daemon(age: int, expected: str) -> None:
    assert liveness(POST, SEEN + age * 1000) == expected


@pytest.mark.parametrize(("age", "expected"), [(9, "online"), (10, "online"), (11, "offline")])
def test_liveness_after_the_stream_was_cut(age: int, expected: str) -> None:
    assert liveness(CUT_STREAM, SEEN + age * 1000) == expected


def test_an_open_stream_is_online_however_old_the_last_beat() -> None:
    assert liveness(OPEN_STREAM, SEEN + 10_000_000) is Liveness.ONLINE


def test_a_provider_never_seen() -> None:
    assert liveness(Presence(), SEEN) is Liveness.OFFLINE
    assert status(Presence(), SEEN, suspended=False, paused=False) is ProviderStatus.REGISTERED
    assert Presence().age_seconds(SEEN) is None


def test_signing_off_is_immediate() -> None:
    assert liveness(Presence(last_heartbeat_ms=SEEN, signed_off=True), SEEN) is Liveness.OFFLINE


def test_the_first_status_that_applies() -> None:
    assert status(POST, SEEN, suspended=True, paused=True) is ProviderStatus.SUSPENDED
    assert status(POST, SEEN, suspended=False, paused=True) is ProviderStatus.PAUSED
    assert status(POST, SEEN, suspended=False, paused=False) is ProviderStatus.ONLINE
    assert POST.age_seconds(SEEN + 1999) == 1


def test_bookable_and_the_status_of_errors() -> None:
    assert bookable(Approval.APPROVED, ProviderStatus.DEGRADED)
    assert not bookable(Approval.APPROVED, ProviderStatus.PAUSED)
    assert not bookable(Approval.PENDING, ProviderStatus.ONLINE)
    assert status_in_error(Approval.APPROVED, ProviderStatus.PAUSED) == "paused"
    assert status_in_error(Approval.REJECTED, ProviderStatus.ONLINE) == "rejected"


@pytest.mark.parametrize(
    ("presence", "age", "since"),
    [(POST, 119, None), (POST, 120, 120), (POST, 600, 120), (POST, 601, None), (CUT_STREAM, 5, None)],
)
def test_since_when_a_daemon_is_degraded(presence: Presence, age: int, since: int | None) -> None:
    expected = None if since is None else SEEN + since * 1000
    assert degraded_since_ms(presence, SEEN + age * 1000) == expected
