"""Where the client finds a marketplace and a key, and what it keeps of them."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dc1.client import ConfigurationError, Target, find_target
from dc1.client.profiles import Profile, forget_profile, keep_profile, profiles_file

URL = "https://market.example.sa"


@pytest.fixture(autouse=True)
def _nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("URL", "PROFILE", "RENTER_KEY", "PROVIDER_KEY", "ADMIN_TOKEN", "RENTER_KEY_FILE"):
        monkeypatch.delenv(f"DC1_{name}", raising=False)


@pytest.mark.parametrize(
    ("key", "header"),
    [
        ("dc1-renter-1", "x-renter-key"),
        ("dc1-sk-1", "x-renter-key"),
        ("dc1-provider-1", "x-provider-key"),
        ("anything else", "x-admin-token"),
    ],
)
def test_a_key_says_whose_it_is(key: str, header: str) -> None:
    assert find_target(URL, key).headers == {header: key}


def test_what_is_said_comes_before_the_environment_and_that_before_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_profile("default", Profile(URL, "renter", "dc1-renter-kept"))
    assert find_target() == Target(URL, "dc1-renter-kept", "renter")

    monkeypatch.setenv("DC1_RENTER_KEY", "dc1-renter-set")
    assert find_target().key == "dc1-renter-set"
    assert find_target(key="dc1-renter-said").key == "dc1-renter-said"
    # Who names a profile means its key.
    assert find_target(profile="default").key == "dc1-renter-kept"


def test_the_key_of_a_profile_is_told_to_its_own_marketplace_only() -> None:
    keep_profile("default", Profile(URL, "renter", "dc1-renter-kept"))

    assert find_target("https://another.example.sa").key is None
    assert find_target(URL + "/").key == "dc1-renter-kept"


def test_a_profile_has_a_key_a_role() -> None:
    keep_profile("work", Profile(URL, "renter", "dc1-renter-1"))
    keep_profile("work", Profile(URL, "admin", "token"))
    keep_profile("work", Profile(URL, "renter", "dc1-renter-2"))

    assert find_target(profile="work", role="renter").key == "dc1-renter-2"
    assert find_target(profile="work", role="admin").headers == {"x-admin-token": "token"}
    with pytest.raises(ConfigurationError, match="dc1 login"):
        find_target(profile="work", role="provider")
    assert forget_profile("work")
    assert not forget_profile("work")


def test_the_file_is_its_owner_s_alone() -> None:
    file = keep_profile("default", Profile(URL, "renter", "dc1-renter-1"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        find_target()


@pytest.mark.parametrize("text", ["[]", "{", '{"default": [{}]}', '{"default": [{"role": "king", "key": "x"}]}'])
def test_a_file_that_cannot_be_used_is_said_to_be(text: str) -> None:
    keep_profile("default", Profile(URL, "renter", "dc1-renter-1"))
    profiles_file().write_text(text)

    with pytest.raises(ConfigurationError, match="cannot be used"):
        find_target()


def test_a_client_is_had_where_files_are_not_locked() -> None:
    """As on Windows."""
    missing = "import sys; sys.modules |= dict.fromkeys(('fcntl', 'pwd', 'grp', 'termios'))"
    subprocess.run([sys.executable, "-c", f"{missing}; import dc1.client"], check=True)


def test_a_key_does_not_show_in_what_is_printed() -> None:
    assert "secret" not in repr(find_target(URL, "secret"))
