from dc1.domain.providers.alerts import Alert, AlertReason, Watched, alerts, is_worth_telling
from dc1.domain.providers.liveness import DEFAULT_THRESHOLDS, Channel, Presence

NOW = 10_000_000


def found(provider: Watched) -> list[Alert]:
    return list(alerts(provider, NOW, DEFAULT_THRESHOLDS))


def heard(seconds_ago: float, **known: object) -> Watched:
    return Watched(Presence(last_heartbeat_ms=NOW - round(seconds_ago * 1000)), **known)  # type: ignore[arg-type]


def test_nothing_is_wrong_with_a_daemon_that_reports_well() -> None:
    assert found(heard(119.999, temp_c=84.9, restarts=2, failed_jobs=2)) == []
    assert found(Watched(Presence())) == []


def test_presence_since_it_changed() -> None:
    assert found(heard(120)) == [Alert(AlertReason.PROVIDER_DEGRADED, NOW)]
    assert found(heard(600)) == [Alert(AlertReason.PROVIDER_DEGRADED, NOW - 480_000)]
    assert found(heard(601)) == [Alert(AlertReason.PROVIDER_OFFLINE, NOW - 1000)]
    lost = Presence(Channel.STREAM, last_heartbeat_ms=NOW - 60_000, stream_lost_ms=NOW - 11_000)
    assert found(Watched(lost)) == [Alert(AlertReason.PROVIDER_OFFLINE, NOW - 1000)]
    left = Presence(last_heartbeat_ms=NOW - 5000, signed_off=True)
    assert found(Watched(left)) == [Alert(AlertReason.PROVIDER_OFFLINE, NOW - 5000)]


def test_what_the_last_report_told() -> None:
    told = {"temp_c": 85, "needs_update": True, "restarts": 3}
    reasons = [AlertReason.GPU_HOT, AlertReason.DAEMON_OUTDATED, AlertReason.CONTAINER_RESTARTING]
    assert found(heard(7, **told)) == [Alert(reason, NOW - 7000) for reason in reasons]
    # Of one that is gone it is old news.
    assert [alert.reason for alert in found(heard(601, **told))] == [AlertReason.PROVIDER_OFFLINE]


def test_failing_jobs_since_the_first_of_them() -> None:
    assert found(heard(0, failed_jobs=3, first_failure_ms=5)) == [Alert(AlertReason.JOBS_FAILING, 5)]


def test_runs_that_are_called_the_renters_fault_also_of_one_that_is_gone() -> None:
    assert Alert(AlertReason.FAULTS_OUTLIER, 7) in found(heard(601, faults_stand_out_since_ms=7))
    assert Alert(AlertReason.FAULTS_OUTLIER, 7) in found(Watched(Presence(), faults_stand_out_since_ms=7))
    assert Alert(AlertReason.INSTANT_RUNS, 7) in found(Watched(Presence(), instant_runs_since_ms=7))


def test_nobody_is_told_of_a_restart_nor_of_yesterday() -> None:
    gone = Alert(AlertReason.PROVIDER_OFFLINE, NOW)
    assert [is_worth_telling(gone, NOW + age_ms) for age_ms in (299_999, 300_000, 86_399_999, 86_400_000)] == [
        False,
        True,
        True,
        False,
    ]
    assert is_worth_telling(Alert(AlertReason.GPU_LOST, NOW), NOW)
