"""The environment becomes a connection; secrets go through unseen."""

from __future__ import annotations

import os

import pytest

from llmrec_qdrant import AsyncRecommender, InvalidInput, Recommender
from llmrec_qdrant.settings import Settings

SECRETS = ("s3cret", "k3y")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith("LLMREC_"):
            monkeypatch.delenv(name)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMREC_QDRANT_URL", "http://qdrant:6333")
    monkeypatch.setenv("LLMREC_BROKER", "redis://:s3cret@redis:6379/0")
    monkeypatch.setenv("LLMREC_API_KEY", "k3y")
    monkeypatch.setenv("LLMREC_SPACE", "movies")
    monkeypatch.setenv("LLMREC_TENANT", "acme")


@pytest.mark.usefixtures("full")
def test_every_variable_becomes_an_argument_of_connect() -> None:
    assert Settings().connection() == {
        "url": "http://qdrant:6333",
        "path": None,
        "space": "movies",
        "broker": "redis://:s3cret@redis:6379/0",
        "api_key": "k3y",
        "tenant": "acme",
    }


def test_a_folder_and_a_space_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMREC_PATH", "./data")
    monkeypatch.setenv("LLMREC_SPACE", "movies")
    assert Settings().connection() == {
        "url": None, "path": "./data", "space": "movies", "broker": None, "api_key": None, "tenant": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["LLMREC_QDRANT_URL", "LLMREC_PATH", "LLMREC_BROKER", "LLMREC_API_KEY", "LLMREC_LLM_RATE"]
)
def test_an_empty_variable_is_an_unset_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files and shells pass `VARIABLE=` for what is not set."""
    monkeypatch.setenv("LLMREC_SPACE", "movies")
    monkeypatch.setenv(name, "")
    assert Settings().connection() == {
        "url": None, "path": None, "space": "movies", "broker": None, "api_key": None, "tenant": None,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["LLMREC_TENANT", "llmrec_tenant"])
def test_an_empty_tenant_does_not_mean_all_tenants(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMREC_SPACE", "movies")
    monkeypatch.setenv("LLMREC_PATH", ":memory:")
    monkeypatch.setenv(name, "")
    for ask in (Settings().connection, Recommender.from_env, AsyncRecommender.from_env):
        with pytest.raises(InvalidInput, match="LLMREC_TENANT is empty: set it to the tenant, or unset it"):
            ask()


@pytest.mark.parametrize("space", [None, ""])
def test_a_missing_space_is_named_with_its_variable(space: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if space is not None:
        monkeypatch.setenv("LLMREC_SPACE", space)
    for ask in (Settings().connection, Recommender.from_env, AsyncRecommender.from_env):
        with pytest.raises(InvalidInput) as caught:
            ask()
        assert str(caught.value) == "no space is set: set LLMREC_SPACE, or pass space="


def test_a_missing_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMREC_SPACE", "movies")
    with pytest.raises(InvalidInput, match=r"^pass either a Qdrant server .* or a folder"):
        Recommender.from_env()


@pytest.mark.usefixtures("full")
def test_secrets_are_masked_wherever_settings_are_shown() -> None:
    settings = Settings()
    shown = [repr(settings), str(settings), f"{settings}", repr(settings.model_dump()), settings.model_dump_json()]
    for text in shown:
        assert "movies" in text
        assert not any(secret in text for secret in SECRETS)


@pytest.mark.usefixtures("full")
def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().space = "other"  # type: ignore[misc]


def test_a_given_value_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMREC_SPACE", "movies")
    assert Settings(space="books").connection()["space"] == "books"


def test_a_bad_value_is_refused_as_input_without_showing_secrets() -> None:
    with pytest.raises(InvalidInput) as caught:
        Settings(space=["movies"], api_key={"k3y": "k3y"}, colour="red")
    assert str(caught.value).startswith("Settings: ")
    assert "'space': input should be a valid string" in str(caught.value)
    assert not any(secret in str(caught.value) for secret in SECRETS)


def test_other_variables_are_nobodys_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE", "elsewhere")
    monkeypatch.setenv("API_KEY", "k3y")
    monkeypatch.setenv("LLMREC_SOMETHING_ELSE", "1")
    assert Settings().space is None
    assert Settings().api_key is None


def test_connecting_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMREC_PATH", ":memory:")
    monkeypatch.setenv("LLMREC_SPACE", "movies")
    monkeypatch.setenv("LLMREC_TENANT", "acme")
    with Recommender.from_env() as rec:
        assert repr(rec).startswith("Recommender(space='movies', tenant='acme', queue=")


def test_current_settings_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMREC_SPACE", "films")
    first = Settings.current()
    assert first.space == "films" and Settings.current() is first
    monkeypatch.setenv("LLMREC_SPACE", "books")
    assert Settings.current().space == "books"
    monkeypatch.delenv("LLMREC_SPACE")
    assert Settings.current().space is None
