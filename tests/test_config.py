"""Settings: where they come from, which win, what is refused, and that no secret is ever told."""

import re

import pytest
from pydantic import ValidationError

from voicebot import app
from voicebot.config import Settings, load, merge, variables
from voicebot.core.actions import Configure
from voicebot.errors import ConfigurationError

SECRET = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch, tmp_path):
    """No setting comes from the machine that runs the tests."""
    import os

    for name in list(os.environ):
        if name.upper().startswith(("VOICEBOT_", "SONIOX_", "TWILIO_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def env(monkeypatch):
    def put(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


@pytest.fixture
def toml(monkeypatch, tmp_path):
    def write(text, *, named=True):
        path = tmp_path / ("other.toml" if named else "voicebot.toml")
        path.write_text(text, encoding="utf-8")
        if named:
            monkeypatch.setenv("VOICEBOT_CONFIG", str(path))

    return write


def faults(**overrides):
    with pytest.raises(ConfigurationError) as raised:
        load(**overrides)
    return str(raised.value)


# --- where they come from -------------------------------------------------------------------------


def test_everything_has_a_default():
    settings = load()
    assert settings.port == 8080
    assert settings.default.turns.no_input_ms == 8_000
    assert settings.soniox.stt_url.startswith("wss://")


def test_the_environment_reaches_every_branch(env):
    env(
        VOICEBOT_PORT="9000",
        VOICEBOT_TWILIO__PING_S="7.5",
        VOICEBOT_WEBHOOK__SECRETS=f'["{SECRET}"]',
        VOICEBOT_DEFAULT__MODE="transcribe",
        VOICEBOT_DEFAULT__STT__LANGUAGE_HINTS='["de", "en"]',
        VOICEBOT_DEFAULT__STT__CONTEXT__TERMS='["Söldner"]',
        VOICEBOT_DEFAULT__STT__TRANSLATION='{"type": "one_way", "target_language": "de"}',
        VOICEBOT_DEFAULT__VOICE__SPEED="1.1",
        VOICEBOT_DEFAULT__TURNS__NO_INPUT_MS="5000",
        VOICEBOT_DEFAULT__TURNS__BARGE_IN__MIN_MS="100",
        VOICEBOT_DEFAULT__TURNS__EXPECT__DIGITS="4",
    )
    settings = load()
    assert settings.port == 9_000
    assert settings.twilio.ping_s == 7.5
    assert settings.webhook.secrets[0].get_secret_value() == SECRET
    default = settings.default
    assert default.mode == "transcribe"
    assert default.stt.language_hints == ("de", "en")
    assert default.stt.context.terms == ("Söldner",)
    assert default.stt.translation.target_language == "de"
    assert default.voice.speed == 1.1
    assert default.turns.no_input_ms == 5_000
    assert default.turns.commit_after_ms == 1_600
    assert (default.turns.barge_in.min_ms, default.turns.barge_in.enabled) == (100, True)
    assert default.turns.expect.digits == 4


def test_a_secret_may_stand_alone(env):
    env(VOICEBOT_WEBHOOK__SECRETS=SECRET)
    assert [secret.get_secret_value() for secret in load().webhook.secrets] == [SECRET]


def test_the_fields_own_names_for_keys(env):
    env(SONIOX_API_KEY="k", TWILIO_AUTH_TOKEN="t", TWILIO_ACCOUNT_SID="AC1")
    settings = load()
    assert settings.soniox.api_key.get_secret_value() == "k"
    assert settings.twilio.auth_token.get_secret_value() == "t"
    assert settings.twilio.account_sid == "AC1"


def test_what_wins(env, toml):
    toml('port = 1\nhost = "file"\n[soniox]\napi_key = "file"\nbatch_ms = 40\nkeepalive_s = 1\n')
    env(SONIOX_API_KEY="usual name")
    assert load().soniox.api_key.get_secret_value() == "usual name"
    assert load().soniox.batch_ms == 40
    env(VOICEBOT_SONIOX__API_KEY="prefixed name", VOICEBOT_SONIOX__BATCH_MS="80", VOICEBOT_PORT="2")
    settings = load(host="argument")
    assert settings.soniox.api_key.get_secret_value() == "prefixed name"
    assert (settings.soniox.batch_ms, settings.soniox.keepalive_s) == (80, 1)
    assert (settings.port, settings.host) == (2, "argument")


def test_the_file_in_the_working_directory(toml):
    toml("port = 1234\n", named=False)
    assert load().port == 1_234


def test_settings_do_not_change():
    settings = load()
    with pytest.raises(ValidationError):
        settings.port = 1
    with pytest.raises(ValidationError):
        settings.soniox.batch_ms = 20


# --- numbers --------------------------------------------------------------------------------------

NUMBERS = """
[default.stt]
language_hints = ["en"]
[default.turns]
no_input_ms = 4000
[numbers."+15550100"]
mode = "transcribe"
webhook_url = "https://other.example.com/"
[numbers."+15550100".stt]
language_hints = ["de", "fr"]
[numbers."+15550100".turns]
commit_after_ms = 900
"""


def test_a_number_differs_where_it_says_so(toml):
    toml(NUMBERS)
    settings = load()
    one, other = settings.number("+15550100"), settings.number("+15550199")
    assert (one.mode, one.webhook_url) == ("transcribe", "https://other.example.com/")
    assert one.stt.language_hints == ("de", "fr")
    assert (one.turns.commit_after_ms, one.turns.no_input_ms) == (900, 4_000)
    assert other == settings.default
    assert other.stt.language_hints == ("en",)


def test_a_fault_of_a_number_says_which(toml):
    toml('[numbers."+15550100".stt]\nlanguage_hints = ["nb"]\n[numbers."+15550101".turns]\nno_imput_ms = 1\n')
    found = faults().splitlines()
    assert found[0].startswith("VOICEBOT_NUMBERS__+15550100__STT__LANGUAGE_HINTS__0: ")
    assert found[1].startswith("VOICEBOT_NUMBERS__+15550101__TURNS__NO_IMPUT_MS: ")


def test_merge_lays_branch_over_branch():
    base = {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    assert merge(base, {"a": {"c": {"d": 4}}, "e": {"f": 5}}) == {"a": {"b": 1, "c": {"d": 4}}, "e": {"f": 5}}
    assert base == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}


def test_a_number_translates_in_another_way_than_the_default(toml):
    toml(
        '[default.stt.translation]\ntype = "one_way"\ntarget_language = "es"\n'
        '[numbers."+15550100".stt.translation]\ntype = "two_way"\nlanguage_a = "en"\nlanguage_b = "de"\n'
        '[numbers."+15550101".stt.translation]\ntarget_language = "fr"\n'
    )
    settings = load()
    assert settings.number("+15550100").stt.translation.language_b == "de"
    assert settings.number("+15550101").stt.translation.target_language == "fr"


def test_configure_changes_what_it_names():
    default = load().default
    changed = default.changed_by(Configure(language_hints=("de",), voice="Maya", speed=1.2))
    assert changed.stt.language_hints == ("de",)
    assert (changed.voice.voice, changed.voice.speed, changed.voice.language) == ("Maya", 1.2, "en")
    assert changed.turns == default.turns
    assert default.changed_by(Configure()) == default


@pytest.mark.parametrize(
    ("change", "where"),
    [
        pytest.param(Configure(language_hints=("nb",)), "language_hints.0", id="a language Soniox does not know"),
        pytest.param(Configure(language_hints=("de", "de")), "language_hints", id="twice"),
        pytest.param(Configure(language_hints_strict=True), "together", id="strict without hints"),
        pytest.param(Configure(context={"terms": "x"}), "context.terms", id="context of a wrong type"),
        pytest.param(Configure(context={"words": []}), "context.words", id="unknown part of the context"),
        pytest.param(Configure(language="german"), "language", id="no language code"),
    ],
)
def test_configure_that_cannot_be_says_why(change, where):
    with pytest.raises(ConfigurationError, match=re.escape(f"configure is not carried out: {where}: ")):
        load().default.changed_by(change)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        pytest.param("VOICEBOT_PORT", "many", "valid integer", id="no number"),
        pytest.param("VOICEBOT_PORT", "70000", "less than or equal to 65535", id="port"),
        pytest.param("VOICEBOT_PUBLIC_URL", "voice.example.com", "must look like https://", id="no scheme"),
        pytest.param("VOICEBOT_PUBLIC_URL", "ftp://voice.example.com", "must look like https://", id="other scheme"),
        pytest.param("VOICEBOT_PUBLIC_URL", "https://me:pw@voice.example.com", "without query or user", id="user"),
        pytest.param("VOICEBOT_PUBLIC_URL", "https://voice.example.com?x=1", "without query or user", id="query"),
        pytest.param("VOICEBOT_WEBHOOK__URL", "app.example.com/calls", "begins with https:// or http://", id="webhook"),
        pytest.param(
            "VOICEBOT_DEFAULT__WEBHOOK_URL", "ws://app.example.com", "begins with https://", id="number's webhook"
        ),
        pytest.param(
            "VOICEBOT_SONIOX__STT_URL", "https://stt-rt.soniox.com", "begins with wss:// or ws://", id="Soniox"
        ),
        pytest.param("VOICEBOT_SONIOX__TTS_URL", "wss://", "begins with wss:// or ws://", id="no host"),
        pytest.param("VOICEBOT_PUBLIC_URL", "https://voice..example.com", "a part that is empty", id="no host of ours"),
        pytest.param("VOICEBOT_WEBHOOK__URL", "https://app..example/", "a part that is empty", id="no host name"),
        pytest.param("VOICEBOT_WEBHOOK__COPY_URL", f"http://{'a' * 64}.example", "longer than 63", id="too long"),
        pytest.param("VOICEBOT_SONIOX__STT_URL", "wss://stt.example:99999/", "port out of range", id="no port"),
        pytest.param("VOICEBOT_SONIOX__STT_URL", "wss://[::1/", "is no URL", id="no IPv6"),
        pytest.param("VOICEBOT_SONIOX__BATCH_MS", "10", "greater than or equal to 20", id="batch"),
        pytest.param("VOICEBOT_TWILIO__PING_S", "0", "greater than 0", id="no time at all"),
        pytest.param("VOICEBOT_WEBHOOK__RETRY_WAITS_S", "[0]", "greater than 0", id="wait"),
        pytest.param("VOICEBOT_LIMITS__MAX_CALLS", "0", "greater than or equal to 1", id="no calls"),
        pytest.param("VOICEBOT_LOG__LEVEL", "loud", "'debug', 'info', 'warning' or 'error'", id="level"),
        pytest.param("VOICEBOT_DEFAULT__MODE", "sing", "'bot' or 'transcribe'", id="mode"),
        pytest.param("VOICEBOT_DEFAULT__THEN", "<Dial>+1555", "not well-formed XML", id="TwiML"),
        pytest.param("VOICEBOT_DEFAULT__STT__LANGUAGE_HINTS", '["nn"]', "use 'no'", id="language"),
        pytest.param("VOICEBOT_DEFAULT__TURNS__FINALIZE_AFTER_MS", "100", "greater than or equal to 200", id="turns"),
        pytest.param("VOICEBOT_DEFAULT__VOICE__SPEED", "2", "less than or equal to 1.3", id="speed"),
        pytest.param("VOICEBOT_SONIOX", "x", "valid dictionary", id="a whole branch as a word"),
    ],
)
def test_a_wrong_value_names_its_variable(env, name, value, text):
    env(**{name: value})
    found = faults()
    assert found.startswith(name)
    assert text in found
    assert "\n" not in found


def test_what_does_not_go_together_names_its_branch(env):
    env(VOICEBOT_DEFAULT__STT__LANGUAGE_HINTS_STRICT="true")
    assert faults() == "VOICEBOT_DEFAULT__STT: Value error, language_hints_strict needs language_hints"


@pytest.mark.parametrize(
    "name",
    [
        "VOICEBOT_PROT",
        "VOICEBOT_SONIOX__KEY",
        "VOICEBOT_DEFAULT__TURNS__NO_IMPUT_MS",
        "VOICEBOT_DEFAULT__TURNS__BARGE_IN__MINMS",
        "VOICEBOT_DEFAULT__STT__CONTEXT__WORDS",
        "VOICEBOT_DEFAULT__THEM",
    ],
)
def test_an_unknown_name_is_an_error(env, name):
    env(**{name: "5"})
    assert faults().startswith(f"{name}: ")


def test_all_faults_are_told_at_once(env):
    env(VOICEBOT_PORT="x", VOICEBOT_LOG__LEVEL="loud", VOICEBOT_LIMITS__MAX_CALLS="0")
    assert {line.split(":")[0] for line in faults().splitlines()} == {
        "VOICEBOT_PORT",
        "VOICEBOT_LOG__LEVEL",
        "VOICEBOT_LIMITS__MAX_CALLS",
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("port = [\n", "settings: ", id="no TOML"),
        pytest.param("prot = 1\n", "VOICEBOT_PROT: ", id="unknown key"),
        pytest.param("[soniox]\nkey = 1\n", "VOICEBOT_SONIOX__KEY: ", id="unknown key in a branch"),
        pytest.param('[default.turns.barge_in]\nmin = "x"\n', "VOICEBOT_DEFAULT__TURNS__BARGE_IN__MIN: ", id="deep"),
    ],
)
def test_faults_of_the_file(toml, text, told):
    toml(text)
    assert faults().startswith(told)


def test_a_file_that_is_not_there(env, tmp_path):
    env(VOICEBOT_CONFIG=str(tmp_path / "none.toml"))
    assert faults() == f"VOICEBOT_CONFIG={tmp_path}/none.toml: no such file"


def test_a_file_that_is_no_text(env, tmp_path):
    (tmp_path / "x.toml").write_bytes(b"port = \xff")
    env(VOICEBOT_CONFIG=str(tmp_path / "x.toml"))
    assert faults().startswith("settings: ")


# --- secrets --------------------------------------------------------------------------------------

HIDDEN = "TopSecretValue"


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({"VOICEBOT_WEBHOOK__SECRETS": HIDDEN}, id="no prefix"),
        pytest.param({"VOICEBOT_WEBHOOK__SECRETS": f'["whsec_{HIDDEN}"]'}, id="too short"),
        pytest.param({"VOICEBOT_WEBHOOK__SECRETS": f"whsec_{HIDDEN}!"}, id="no base64"),
        pytest.param({"VOICEBOT_WEBHOOK__SECRETS": f'["whsec_{HIDDEN}'}, id="cut JSON"),
        pytest.param({"VOICEBOT_SONIOX": f'{{"api_key": ["{HIDDEN}"]}}'}, id="key of a wrong type"),
        pytest.param({"VOICEBOT_TWILIO__AUTH_TOKENS": HIDDEN}, id="misspelt"),
        pytest.param({"VOICEBOT_TWILIO": f'{{"auth_token": "{HIDDEN}'}, id="cut JSON of a branch"),
    ],
)
def test_a_secret_is_never_told(env, variables):
    env(**variables)
    assert HIDDEN not in faults()


def test_a_secret_in_the_file_is_never_told(toml):
    toml(f'[soniox]\napi_key = "{HIDDEN}"\n[twilio]\nauth_token = ["{HIDDEN}"]\n[webhook]\nsecrets = ["{HIDDEN}"]\n')
    found = faults()
    assert HIDDEN not in found
    assert "VOICEBOT_TWILIO__AUTH_TOKEN" in found


def test_secrets_do_not_show_when_settings_are_printed(env):
    env(SONIOX_API_KEY=HIDDEN, TWILIO_AUTH_TOKEN=HIDDEN, VOICEBOT_WEBHOOK__SECRETS=SECRET)
    shown = repr(load()) + str(load()) + load().model_dump_json()
    assert HIDDEN not in shown
    assert SECRET not in shown


# --- what must be there ---------------------------------------------------------------------------

COMPLETE = {
    "public_url": "https://voice.example.com",
    "soniox": {"api_key": "k"},
    "twilio": {"auth_token": "t"},
    "webhook": {"url": "https://app.example.com/", "secrets": [SECRET]},
}


def test_complete_settings():
    app.check(Settings.model_validate(COMPLETE))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        pytest.param({"public_url": ""}, "VOICEBOT_PUBLIC_URL", id="public URL"),
        pytest.param({"soniox": {"api_key": ""}}, "SONIOX_API_KEY", id="Soniox"),
        pytest.param({"twilio": {"auth_token": ""}}, "TWILIO_AUTH_TOKEN", id="Twilio"),
        pytest.param({"webhook": {"url": ""}}, "VOICEBOT_WEBHOOK__URL", id="webhook"),
        pytest.param({"webhook": {"secrets": []}}, "VOICEBOT_WEBHOOK__SECRETS", id="secrets"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(change, name):
    with pytest.raises(ConfigurationError) as raised:
        app.check(Settings.model_validate(merge(COMPLETE, change)))
    assert str(raised.value).startswith(f"{name}: ")
    assert "\n" not in str(raised.value)


def test_everything_that_is_missing_is_named_at_once():
    with pytest.raises(ConfigurationError) as raised:
        app.check(Settings.model_validate({}))
    assert len(str(raised.value).splitlines()) == 5


def test_no_token_is_needed_where_nothing_is_checked():
    app.check(Settings.model_validate(merge(COMPLETE, {"twilio": {"auth_token": "", "check_signatures": False}})))


def test_every_variable_is_known_once_and_told_what_for():
    names = [name for name, _, _ in variables()]
    assert len(names) == len(set(names))
    assert {"VOICEBOT_PORT", "VOICEBOT_SONIOX__API_KEY", "VOICEBOT_DEFAULT__TURNS"} <= set(names)


def test_settings_made_from_values_read_nothing_else(toml, monkeypatch):
    """So the demo is the same on every machine, whatever is set up there for real calls."""
    toml('[numbers."+15550100"]\nmode = "transcribe"\n')
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC1")
    monkeypatch.setenv("VOICEBOT_DEFAULT__TURNS__NO_INPUT_MS", "1")
    assert Settings.model_validate({"port": 0}) == Settings(port=0)
    assert (Settings().twilio.account_sid, Settings().numbers) == ("", {})
    assert Settings().default.turns.no_input_ms != 1
    assert load().twilio.account_sid == "AC1"
