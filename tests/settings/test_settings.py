"""Settings come from the environment, and faults are told in sentences."""

from decimal import Decimal
from pathlib import Path

import pytest

from dc1.domain.errors import ApiError
from dc1.server.process.secret_key import load_secret_key
from dc1.settings.settings import Settings, SettingsError


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"DC1_{name.upper()}", raising=False)


def test_defaults_are_the_contract_s() -> None:
    settings = Settings.load()
    assert (settings.http_port, settings.starter_credit_halala, settings.platform_fee_bps) == (8083, 1000, 2500)
    assert (settings.quota_daily_jobs, settings.quota_monthly_halala) == (100, 10_000)
    assert (settings.online_seconds, settings.offline_seconds, settings.stream_grace_seconds) == (120, 600, 10)
    assert settings.resolved_daemon_min_version == settings.daemon_latest_version == "3.3.0"
    assert settings.admin_token is None
    settings.require_servable()


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_the_environment_wins_and_empty_variables_count_as_unset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DC1_HTTP_PORT", "18083")
    monkeypatch.setenv("DC1_GRPC_PORT", "")
    monkeypatch.setenv("DC1_CORS_ORIGINS", "https://a.example, https://b.example,")
    monkeypatch.setenv("DC1_ADMIN_IP_ALLOWLIST", "10.0.0.0/8,192.0.2.1")
    monkeypatch.setenv("DC1_DATA_DIR", str(tmp_path))
    settings = Settings.load()
    assert (settings.http_port, settings.grpc_port) == (18083, None)
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert [str(network) for network in settings.admin_ip_allowlist] == ["10.0.0.0/8", "192.0.2.1/32"]
    assert settings.resolved_database_url == f"sqlite:///{tmp_path}/dc1.sqlite3"


def test_the_data_directory_is_resolved_when_it_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings.load()
    monkeypatch.chdir(tmp_path)
    assert settings.resolved_data_dir == tmp_path / ".dc1"


def test_bad_values_are_named_without_being_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DC1_HTTP_PORT", "hunter2")
    monkeypatch.setenv("DC1_PLATFORM_FEE_BPS", "10001")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    text = str(caught.value)
    assert "DC1_HTTP_PORT: Input should be a valid integer" in text
    assert "DC1_PLATFORM_FEE_BPS: Input should be less than or equal to 10000." in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("DC1_TOKEN_PRICES", "{", "DC1_TOKEN_PRICES: must be a JSON object"),
        ("DC1_TOKEN_PRICES", "7", "valid dictionary"),
        ("DC1_TOKEN_PRICES", '{"small":"x"}', "DC1_TOKEN_PRICES.small: "),
        ("DC1_CLASS_MULTIPLIERS", "priority=2", "must be a JSON object"),
        ("DC1_CLASS_MULTIPLIERS", '{"priority":2}', "missing: standard, economy"),
        ("DC1_CLASS_MULTIPLIERS", '{"priority":2,"standard":1,"economy":0}', "greater than 0"),
    ],
)
def test_what_is_no_price_list_is_said_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, fault: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert str(caught.value).startswith(name)
    assert fault in str(caught.value)


def test_price_lists_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DC1_CLASS_MULTIPLIERS", '{"priority":1.15,"standard":1,"economy":0.5}')
    monkeypatch.setenv("DC1_TOKEN_PRICES", '{"small":3}')
    settings = Settings.load()
    assert settings.class_multipliers == {"priority": Decimal("1.15"), "standard": 1, "economy": Decimal("0.5")}
    assert settings.token_prices == {"small": 3}


def test_production_needs_an_admin_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DC1_ENVIRONMENT", "production")
    with pytest.raises(SettingsError, match="DC1_ADMIN_TOKEN is not set"):
        Settings.load().require_servable()
    monkeypatch.setenv("DC1_ADMIN_TOKEN", "0123456789abcdef" * 2)
    settings = Settings.load()
    settings.require_servable()
    assert "0123456789abcdef" not in repr(settings)


@pytest.mark.parametrize(
    "exposed",
    [{"ENVIRONMENT": "production"}, {"HTTP_HOST": "0.0.0.0"}, {"HTTP_HOST": "::"}, {"GRPC_HOST": "market.example"}],
)
def test_an_admin_token_that_can_be_guessed_is_refused_where_others_reach_the_server(
    monkeypatch: pytest.MonkeyPatch, exposed: dict[str, str]
) -> None:
    for token in ("a", "x" * 31):
        monkeypatch.setenv("DC1_ADMIN_TOKEN", token)
        Settings.load().require_servable()
        with monkeypatch.context() as patch:
            for name, value in exposed.items():
                patch.setenv(f"DC1_{name}", value)
            with pytest.raises(SettingsError, match=f"DC1_ADMIN_TOKEN has {len(token)} characters") as caught:
                Settings.load().require_servable()
        assert "openssl rand" in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_any_admin_token_will_do_in_development_on_loopback(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DC1_ADMIN_TOKEN", "a")
    monkeypatch.setenv("DC1_HTTP_HOST", host)
    Settings.load().require_servable()


def test_production_gives_no_money_away_unless_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract 1.5."""
    monkeypatch.setenv("DC1_ENVIRONMENT", "production")
    settings = Settings.load()
    assert (settings.starter_credit_halala, settings.topup_enabled) == (0, False)
    monkeypatch.setenv("DC1_STARTER_CREDIT_HALALA", "500")
    monkeypatch.setenv("DC1_TOPUP_ENABLED", "true")
    settings = Settings.load()
    assert (settings.starter_credit_halala, settings.topup_enabled) == (500, True)


def test_production_runs_only_images_with_digests_unless_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Settings.load().image_digests_required
    monkeypatch.setenv("DC1_ENVIRONMENT", "production")
    assert Settings.load().image_digests_required
    monkeypatch.setenv("DC1_IMAGE_DIGESTS_REQUIRED", "false")
    assert not Settings.load().image_digests_required


def test_the_secret_key_is_long_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DC1_SECRET_KEY", "too short to be random")
    with pytest.raises(SettingsError, match="DC1_SECRET_KEY"):
        Settings.load()
    monkeypatch.setenv("DC1_SECRET_KEY", "0123456789abcdef" * 2)
    settings = Settings.load()
    assert load_secret_key(settings) == "0123456789abcdef" * 2
    assert "0123456789abcdef" not in repr(settings)


def test_development_makes_a_secret_key_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DC1_DATA_DIR", str(tmp_path / "new"))
    settings = Settings.load()
    made = load_secret_key(settings)
    assert len(made) == 64
    assert load_secret_key(settings) == made
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["secret.key"]
    monkeypatch.setenv("DC1_ENVIRONMENT", "production")
    with pytest.raises(ApiError, match="Webhooks are not configured"):
        load_secret_key(Settings.load())


@pytest.mark.parametrize("url", ["smtp://u:geheim@mail.example", "smtps://geheim@mail.example", "smtps://u:geheim@m:x"])
def test_mail_goes_encrypted_or_not_at_all(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DC1_SMTP_URL", url)
    monkeypatch.setenv("DC1_SMTP_FROM", "market@example.sa")
    with pytest.raises(SettingsError, match=r"^DC1_SMTP_URL: must ") as refusal:
        Settings.load()
    assert "geheim" not in str(refusal.value)


def test_a_mail_server_and_whom_its_mail_is_from_belong_together(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "smtp"
    file.write_text("smtps://market:p%40ss@mail.example\n")
    file.chmod(0o600)
    monkeypatch.setenv("DC1_SMTP_URL_FILE", str(file))
    with pytest.raises(SettingsError, match="belong together"):
        Settings.load().require_servable()
    monkeypatch.setenv("DC1_SMTP_FROM", "market@example.sa")
    server = Settings.load().mail_server
    assert server is not None
    assert (server.host, server.port, server.user, server.password) == ("mail.example", 465, "market", "p@ss")
    assert "p@ss" not in repr(server)
