"""Every command on a connection that is bound to a tenant: refused, or about that tenant's data alone.

The commands are those of the application. A new one fails the first test until it stands in one of the tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmrec_qdrant import Recommender
from tests import tenants
from tests.commandline import Llmrec, Ran, commands, lines, one_sentence
from tests.tenants import SECRETS

REFUSED: dict[str, tuple[str, ...]] = {
    "clean-up": ("--yes",),
    "generate": ("--dry-run",),
    "jobs": (),
    "models": (),
    "pull": ("http://localhost:1",),
    "push": ("http://localhost:1",),
    "reembed": ("--size", "32"),
    "rollback": (),
    "topics fit": (),
    "topics merge": ("1", "2"),
    "topics split": ("1",),
    "train": (),
    "tune": (),
    "worker": (),
}
"""Command → arguments of a call that concerns the whole space."""

TOPIC = "the first topic"
"""Stands for the id of red's first topic."""

OWN: dict[str, tuple[str, ...]] = {
    "blurb": ("ann", "m7"),
    "delete": ("hidden-item1", "m9", "--yes"),
    "evaluate": ("--users", "40"),
    "events delete": ("hidden-item-event1", "m-event1", "--yes"),
    "events list": ("ann",),
    "explain": ("ann", "m7"),
    "failures": (),
    "forget": ("hidden-user1", "--yes", "--verify"),
    "init": (),
    "interests": ("ann",),
    "items show": ("m1", "hidden-item1"),
    "items update": ("m1", "price=3"),
    "load events": ("events.jsonl",),
    "load items": ("items.jsonl",),
    "portrait": ("ann",),
    "recommend": ("ann", "-n", "50", "--explain"),
    "reconcile": (),
    "report": ("--out", "report.html"),
    "request": ("ann",),
    "search": ("plutonium zirconium", "--user", "hidden-user1"),
    "shelves": ("ann",),
    "similar": ("m1", "-n", "50"),
    "similar-users": ("ann", "-n", "50"),
    "status": (),
    "steer": ("ann", TOPIC, "--weight", "2"),
    "top": ("-n", "50"),
    "topics": (),
    "topics items": (TOPIC, "-n", "50"),
    "topics rename": (TOPIC, "my rockets"),
    "users": (),
    "why-not": ("ann", "hidden-item2"),
}
"""Command → arguments of a call about the tenant's data, some with an id that only another tenant has."""

OUTSIDE = {"demo"}
"""Commands that open no space of the user's."""

SAYS_WHOLE_SPACE = {
    "failures": ("--retry",),
    "init": ("--field", "x:keyword"),
    "models": ("--all",),
    "jobs": ("train-1", "--cancel"),
}
"""Calls of the same commands, with options, that concern the whole space."""


@pytest.fixture
def bound(run: Llmrec, tmp_path: Path) -> Llmrec:
    """``llmrec`` on a folder with two tenants."""
    with Recommender.connect(path=str(tmp_path / "data"), space="main") as operator:
        tenants.fill_both(operator)
        topic = tenants.bound_to(operator, "red").topics()[0].id
    lines(tmp_path / "items.jsonl", [{"id": "own1", "title": "space rocket of red"}])
    lines(tmp_path / "events.jsonl", [{"user": "cho", "item": "own1", "type": "view", "ts": tenants.T}])
    return lambda *args, **more: run(*(topic if word == TOPIC else word for word in args), "--path", "data", **more)


def of(tenant: str) -> dict[object, object]:
    with Recommender.connect(path="data", space="main") as operator:
        return {"points": tenants.stored_for(operator, tenant), "config": operator.config, "jobs": operator.jobs()}


@pytest.fixture(params=["option", "environment"])
def as_red(request: pytest.FixtureRequest, bound: Llmrec, monkeypatch: pytest.MonkeyPatch) -> Iterator[Llmrec]:
    """``llmrec`` bound to red in either way."""
    if request.param == "environment":
        monkeypatch.setenv("LLMREC_TENANT", "red")
        yield bound
    else:
        yield lambda *args, **more: bound(*args, "--tenant", "red", **more)


def told(ran: Ran, arguments: tuple[str, ...]) -> str:
    """What a command said and wrote, without the ids and words that it was given."""
    report = Path("report.html")
    text = ran.out + ran.err + (report.read_text() if "report.html" in arguments else "")
    for given in sorted(
        (word for argument in arguments for word in (argument, *argument.split())), key=len, reverse=True
    ):
        text = text.replace(given, "…")
    return text


def test_every_command_of_the_application_is_in_a_table() -> None:
    assert sorted(" ".join(words) for words, _ in commands()) == sorted([*REFUSED, *OWN, *OUTSIDE])


def test_what_concerns_the_whole_space_is_refused_in_a_sentence(as_red: Llmrec) -> None:
    before = of("red"), of("blue")
    for name, arguments in [*REFUSED.items(), *SAYS_WHOLE_SPACE.items()]:
        sentence = one_sentence(as_red(*name.split(), *arguments))
        assert "bound to tenant 'red'" in sentence and "leave out --tenant" in sentence, name
    assert before == (of("red"), of("blue"))


def test_the_rest_is_about_the_data_of_the_tenant_alone(as_red: Llmrec) -> None:
    before = of("blue")
    for name, arguments in OWN.items():
        ran = as_red(*name.split(), *arguments)
        assert ran.code in {0, 1}, (name, ran.err)
        assert not [word for word in SECRETS if word in told(ran, arguments)], (name, told(ran, arguments))
        assert of("blue") == before, name


def test_the_calls_do_what_they_are_for(bound: Llmrec) -> None:
    """The test above proves nothing with commands that fail."""
    failed = {name for name, arguments in OWN.items() if bound(*name.split(), *arguments, "--tenant", "red").code}
    assert failed == {"items show"}  # one of the two items is another tenant's


@pytest.mark.parametrize("name", ["option", "environment"])
def test_an_empty_tenant_is_an_error_and_not_the_operator(
    bound: Llmrec, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of("red"), of("blue")
    if name == "environment":
        monkeypatch.setenv("LLMREC_TENANT", "")
    options = ["--tenant", ""] if name == "option" else []
    expected = "error: --tenant is empty" if name == "option" else "error: LLMREC_TENANT is empty"
    for command, arguments in {**REFUSED, **OWN}.items():
        assert expected in one_sentence(bound(*command.split(), *arguments, *options)), command
    monkeypatch.delenv("LLMREC_TENANT", raising=False)
    assert before == (of("red"), of("blue"))
