"""Settings: which source wins, and that every mistake is one sentence without a secret in it."""

import os
from pathlib import Path

import pytest

from infra.platform import settings
from infra.platform.errors import SettingsError
from infra.platform.kafka import client_config
from infra.platform.settings import Kafka, Settings, StoreUser

SECRET = "correct-horse-battery"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine that runs the tests."""
    for name in list(os.environ):
        if name.upper().startswith("LIUCUN_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(settings, "DEFAULT_FILE", tmp_path / "no-such-default.toml")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a test writes its settings."""
    return tmp_path / "liucun.toml"


def loaded(file: Path, text: str) -> Settings:
    """The settings of a file with this text."""
    file.write_text(text, encoding="utf-8")
    return settings.load(file)


def sentence(file: Path, text: str) -> str:
    """What a file with this text is refused with: one line, exit code 2, never a secret."""
    with pytest.raises(SettingsError) as caught:
        loaded(file, text)
    return checked(caught.value)


def checked(error: SettingsError) -> str:
    """The sentence of an error, held to the house rules."""
    text = str(error)
    assert error.exit_code == 2
    assert error.message.endswith(".")
    assert error.advice.endswith(".")
    assert "\n" not in text
    assert SECRET not in text
    assert error.__suppress_context__ or error.__context__ is None
    return text


def test_environment_wins_over_file_and_file_over_default(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUCUN_KAFKA__BOOTSTRAP_SERVERS", "192.0.2.1:9092")
    found = loaded(file, '[kafka]\nbootstrap_servers = "192.0.2.2:9092"\nreplication_factor = 1\n').kafka
    assert found.bootstrap_servers == "192.0.2.1:9092"
    assert found.replication_factor == 1
    assert found.security_protocol == "PLAINTEXT"


def test_one_value_from_the_environment_leaves_its_neighbours_in_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIUCUN_CLICKHOUSE__LOADER__PASSWORD", SECRET)
    found = loaded(file, '[clickhouse.loader]\nuser = "other"\n[clickhouse]\nport = 9000\n').clickhouse
    assert (found.loader.user, found.loader.secret(), found.port) == ("other", SECRET, 9000)
    assert found.reader.user == "liucun_reader"


def test_a_role_keeps_its_default_user_when_only_its_password_file_is_given(file: Path) -> None:
    found = loaded(file, '[clickhouse.loader]\npassword_file = "/run/secret"\n').clickhouse.loader
    assert (found.user, found.password_file) == ("liucun_loader", Path("/run/secret"))


def test_no_file_and_no_environment_give_the_defaults() -> None:
    assert settings.load() == Settings()
    assert settings.load().legal.retention_days == 60


def test_the_file_is_found_by_argument_then_environment_then_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, port in (("argument", 1001), ("environment", 1002), ("default", 1003)):
        (tmp_path / name).write_text(f"[clickhouse]\nport = {port}\n")
    monkeypatch.setattr(settings, "DEFAULT_FILE", tmp_path / "default")
    assert settings.load().clickhouse.port == 1003
    monkeypatch.setenv("LIUCUN_SETTINGS", str(tmp_path / "environment"))
    assert settings.load().clickhouse.port == 1002
    assert settings.load(tmp_path / "argument").clickhouse.port == 1001


def test_streams_may_come_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUCUN_AGENT__SOURCES", '[{"name": "mail", "path": "/var/log/mail.log"}]')
    (source,) = settings.load().agent.sources
    assert (source.name, source.path, source.mta) == ("mail", Path("/var/log/mail.log"), "auto")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("[kafak]\nx = 1\n", "kafak"),
        ("[kafka]\nbootstrap = 1\n", "kafka.bootstrap"),
        ("[clickhouse.loader]\npasswort = 'correct-horse-battery'\n", "clickhouse.loader.passwort"),
        ("[clickhouse.loader]\npassword = ['correct-horse-battery']\n", "clickhouse.loader.password"),
        ("[clickhouse]\nloader = 'correct-horse-battery'\n", "clickhouse.loader"),
        ("kafka = 5\n", "kafka"),
        ("[clickhouse]\nport = 0\n", "clickhouse.port"),
        ("[clickhouse]\nport = 'http'\n", "clickhouse.port"),
        ("[clickhouse]\ndatabase = 'Liucun; DROP'\n", "clickhouse.database"),
        ("[legal]\nretention_days = 59\n", "legal.retention_days"),
        ("[legal]\nttl_margin_days = 1\n", "legal.ttl_margin_days"),
        ("[legal]\nzone = 'Mars/Olympus'\n", "legal.zone"),
        ("[legal]\nzone = ''\n", "legal.zone"),
        ("[legal]\nzone = '../../etc/passwd'\n", "legal.zone"),
        ('[legal]\nzone = "a\\u0000b"\n', "legal.zone"),
        ("[kafka]\nsecurity_protocol = 'TLS'\n", "kafka.security_protocol"),
        ("[kafka]\nrequest_timeout_seconds = 0\n", "kafka.request_timeout_seconds"),
        ("[kafka]\nrequest_timeout_seconds = nan\n", "kafka.request_timeout_seconds"),
        ("[agent]\nagent_id = 'a b'\n", "agent.agent_id"),
        ("[[agent.sources]]\nname = '/var/log'\npath = 'x'\n", "agent.sources.0.name"),
        ("[[agent.sources]]\npath = 'x'\n", "agent.sources.0.name"),
        ("[[agent.sources]]\nname = 'a'\npath = 'x'\nmta = 'qmail'\n", "agent.sources.0.mta"),
        ("[[agent.sources]]\nname = 'a'\npath = 'x'\ntime_zone = 'CEST+1'\n", "agent.sources.0.time_zone"),
        ("[loader]\nbatch_records_max = 1000001\n", "loader.batch_records_max"),
        ("[metrics]\nport = 65536\n", "metrics.port"),
        ("[log]\nlevel = 'loud'\n", "log.level"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_it(file: Path, text: str, name: str) -> None:
    assert sentence(file, text).startswith(f"Setting {name} is wrong: ")


def test_an_unknown_name_in_a_section_of_the_environment_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUCUN_KAFKA__BOOTSTRAP", SECRET)
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert checked(caught.value).startswith("Setting kafka.bootstrap is wrong: ")
    assert "the environment" in caught.value.advice


def test_an_empty_file_is_no_mistake(file: Path) -> None:
    assert loaded(file, "") == Settings()


@pytest.mark.parametrize(
    "text",
    [
        "[clickhouse.loader]\npassword = correct-horse-battery\n",
        "[clickhouse.loader]\npassword = 'correct-horse-battery\n",
        "[clickhouse.loader]\npassword = 'a'\npassword = 'correct-horse-battery'\n",
        "kafka = [\n",
        "\x00",
    ],
)
def test_bad_toml_is_one_sentence_with_the_file_and_no_secret(file: Path, text: str) -> None:
    assert sentence(file, text).startswith(f"The settings file {file} is not valid TOML: ")


def test_a_file_that_is_not_utf8_is_one_sentence(file: Path) -> None:
    file.write_bytes(b"[legal]\nzone = '\xff\xfe'\n")
    with pytest.raises(SettingsError, match="is not valid TOML") as caught:
        settings.load(file)
    checked(caught.value)


def test_a_missing_file_and_a_folder_are_one_sentence(tmp_path: Path) -> None:
    for path, word in ((tmp_path / "none.toml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(SettingsError, match=word) as caught:
            settings.load(path)
        assert str(path) in checked(caught.value)


def test_a_file_that_may_not_be_read_is_one_sentence(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    file.write_text("")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SettingsError, match=r"cannot be read \(Permission denied\)") as caught:
        settings.load(file)
    checked(caught.value)


def test_a_secret_is_read_from_its_file_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(SECRET + "\n")
    assert StoreUser(user="u", password_file=tmp_path / "password").secret() == SECRET
    kafka = Kafka(security_protocol="SASL_SSL", sasl_password_file=tmp_path / "password", sasl_username="u")
    assert client_config(kafka, "test")["sasl.password"] == SECRET


def test_the_environment_s_password_wins_over_the_file_and_none_is_empty(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("other")
    given = StoreUser.model_validate({"user": "u", "password": SECRET, "password_file": tmp_path / "password"})
    assert given.secret() == SECRET
    assert StoreUser(user="u").secret() == ""


def test_a_secret_file_that_cannot_be_read_is_one_sentence_naming_the_role(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="store user liucun_loader") as caught:
        StoreUser(user="liucun_loader", password_file=tmp_path / "none").secret()
    assert "password_file" in checked(caught.value)
    kafka = Kafka(security_protocol="SASL_SSL", sasl_password_file=tmp_path / "none")
    with pytest.raises(SettingsError, match="sasl_password_file") as caught:
        client_config(kafka, "test")
    checked(caught.value)


def test_sasl_without_a_password_is_one_sentence() -> None:
    with pytest.raises(SettingsError, match="without a password") as caught:
        client_config(Kafka(security_protocol="SASL_SSL"), "test")
    checked(caught.value)


def test_a_secret_is_not_in_the_settings_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUCUN_CLICKHOUSE__LOADER__PASSWORD", SECRET)
    found = settings.load()
    assert found.clickhouse.loader.secret() == SECRET
    assert SECRET not in repr(found) + str(found) + found.model_dump_json()


@pytest.mark.parametrize("name", ["LIUCUN_AGENT__SOURCES", "LIUCUN_CLICKHOUSE__LOADER", "LIUCUN_KAFKA"])
def test_broken_json_in_the_environment_is_one_sentence(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, f'{{"password": "{SECRET}"')
    with pytest.raises(SettingsError) as caught:
        settings.load()
    checked(caught.value)


def test_an_unknown_section_in_the_environment_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUCUN_KAFAK__BOOTSTRAP_SERVERS", "192.0.2.1:9092")
    with pytest.raises(SettingsError, match=r"(?i)kafak"):
        settings.load()


def test_an_unknown_name_that_begins_with_an_underscore_is_an_error(file: Path) -> None:
    assert "_env_prefix" in sentence(file, '_env_prefix = "OTHER_"\n')


def test_a_secret_file_that_is_not_text_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError):
        StoreUser(user="u", password_file=tmp_path / "password").secret()
