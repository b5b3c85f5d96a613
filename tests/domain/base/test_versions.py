"""Daemon versions."""

import pytest

from dc1.domain.base.versions import VersionCheck, check_version, is_older, plain_version


@pytest.mark.parametrize(
    ("version", "latest", "minimum", "needs", "available"),
    [
        (None, "3.3.0", "3.3.0", True, True),
        ("garbage", "3.3.0", "3.3.0", True, True),
        ("3.2.9", "3.3.0", "3.3.0", True, True),
        ("3.3.0", "3.3.0", "3.3.0", False, False),
        ("3.3", "3.3.0", "3.3.0", False, False),
        ("3.10.0", "3.3.0", "3.3.0", False, False),
        ("3.3.5", "3.4.0", "3.3.0", False, True),
        ("3.2.9", "3.4.0", "3.3.0", True, True),
        ("v3.3.0-rc1+build.5", "3.3.0", "3.3.0", False, False),
    ],
)
def test_what_a_daemon_is_told(version: str | None, latest: str, minimum: str, needs: bool, available: bool) -> None:
    expected = VersionCheck(needs_update=needs, update_available=available)
    assert check_version(version, latest=latest, minimum=minimum) == expected


@pytest.mark.parametrize("unreadable", ["", " ", "3.", ".3", "3..1", "3.x", "-1", "٣.٣", "9" * 5000])
def test_an_unreadable_version_is_older_than_all(unreadable: str) -> None:
    assert is_older(unreadable, "0")


@pytest.mark.parametrize(
    ("text", "expected"), [("3.3.0", "3.3.0"), ("v3.4.0-rc.1", "3.4.0"), (" 3.4+build ", "3.4"), ("", "")]
)
def test_plain_versions(text: str, expected: str) -> None:
    assert plain_version(text) == expected
