"""Settings may stand in a TOML file, below the environment's variables."""

from decimal import Decimal
from pathlib import Path

import pytest

from dc1.settings.settings import Settings, SettingsError


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"DC1_{name.upper()}", raising=False)
    file = tmp_path / "dc1.toml"
    monkeypatch.setenv("DC1_CONFIG_FILE", str(file))
    return file


def test_a_setting_is_read_from_the_file_as_it_is_from_a_variable(config: Path) -> None:
    (config.parent / "key").write_text("a-secret-of-thirty-two-characters-and-more\n")
    config.write_text(
        f"""
        environment = "production"
        http_port = 443
        cors_origins = ["https://a.example"]
        trusted_edges = ["10.0.0.0/8"]
        sar_per_usd = 3.7501
        secret_key_file = "{config.parent / "key"}"
        [class_multipliers]
        priority = 2
        standard = 1.1
        economy = 0.9
        """
    )
    settings = Settings.load()
    assert (settings.http_port, settings.cors_origins) == (443, ("https://a.example",))
    assert [str(network) for network in settings.trusted_edges] == ["10.0.0.0/8"]
    assert settings.sar_per_usd == Decimal("3.7501")
    assert settings.class_multipliers["standard"] == Decimal("1.1")
    assert settings.secret_key is not None
    assert settings.secret_key.get_secret_value() == "a-secret-of-thirty-two-characters-and-more"
    # As where a variable says so.
    assert settings.topup_enabled is False


def test_a_variable_wins_over_the_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text('http_port = 443\nlog_level = "ERROR"\n[class_multipliers]\npriority = 2\n')
    monkeypatch.setenv("DC1_HTTP_PORT", "8443")
    monkeypatch.setenv("DC1_CLASS_MULTIPLIERS", '{"priority":3,"standard":1,"economy":0.5}')
    monkeypatch.setenv("DC1_LOG_LEVEL", "")
    settings = Settings.load()
    assert (settings.http_port, settings.log_level) == (8443, "ERROR")
    assert settings.class_multipliers["priority"] == Decimal(3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http_prot = 443", "'http_prot' is no setting; 'http_port' is."),
        ("DC1_HTTP_PORT = 443", "'DC1_HTTP_PORT' is no setting"),
        ("[http]\nport = 443", "'http' is no setting"),
        ("http_port = 70000", "DC1_HTTP_PORT: Input should be less than or equal to 65535."),
        (
            'secret_key = "hunter2"',
            "'secret_key' is a secret and does not belong here; `secret_key_file` names its file.",
        ),
        ('database_url = "postgresql://dc1:hunter2@db/dc1"', "`database_url_file` names its file."),
        ('database_direct_url = "postgresql:///dc1?password=hunter2"', "`database_direct_url_file` names its file."),
        (
            'database_url = "postgresql:///dc1"\ndatabase_url_file = "{secret}"',
            "`database_url` and `database_url_file` are both there.",
        ),
        ('admin_token = "hunter2"', "DC1_ADMIN_TOKEN_FILE names its file."),
        ('secret_key_file = "/nowhere/key"', "/nowhere/key cannot be read"),
        ("http_port = ", "cannot be read: Invalid value"),
    ],
)
def test_what_the_file_may_not_say_is_told_in_a_sentence(config: Path, text: str, said: str) -> None:
    (config.parent / "secret").write_text("postgresql://dc1:hunter2@db/dc1")
    config.write_text(text.replace("{secret}", str(config.parent / "secret")))
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_address_without_a_password_is_no_secret(config: Path) -> None:
    config.write_text('database_url = "postgresql://dc1@/dc1?host=/run/postgresql"')
    assert Settings.load().database_url == "postgresql://dc1@/dc1?host=/run/postgresql"


def test_a_file_that_is_not_there_is_an_error(config: Path) -> None:
    with pytest.raises(SettingsError, match=r"DC1_CONFIG_FILE: .* cannot be read: .*No such file"):
        Settings.load()
