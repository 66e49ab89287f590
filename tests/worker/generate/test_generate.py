"""The job that writes texts: what it keeps, costs and resumes, and that nothing strangers write can change a text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from llmrec_qdrant import Event, Item, JobFailed, Recommender
from llmrec_qdrant.query.templates import PortraitEvidence, Strand
from llmrec_qdrant.query.topic_templates import TOPIC_TEXTS, TopicEvidence
from llmrec_qdrant.settings import Settings
from tests.endpoint import honest, scripted
from tests.films import CONFIG, history
from tests.redteam import DEMANDS, INJECTIONS, ORDERS, obeying
from tests.spaces import fresh_name
from workers.generate import run
from workers.generate import topics as topic_texts
from workers.generate.users import task_of
from workers.generate.writer import Writer
from workers.topics.naming import named

T = 1_700_000_000


@pytest.fixture
def rec() -> Iterator[Recommender]:
    with Recommender.connect(path=":memory:", space=fresh_name()) as made:
        fill(made)
        yield made


def fill(rec: Recommender, title: str = "", text: str = "", review: str = "") -> None:
    """Two topics and two users; ``title``, ``text`` and ``review`` are what a stranger adds to items that ann took."""
    rec.create(CONFIG)
    rec.upsert_items(
        [Item(id=f"s{n}", title=f"Space Film {n}", text="astronaut planet space rocket") for n in range(12)]
        + [Item(id=f"f{n}", title=f"Food Film {n}", text="cook recipe kitchen restaurant") for n in range(12)]
    )
    rec.fit_topics(2).wait()
    if title or text:
        rec.upsert_items([Item(id="s1", title=f"Space Film 1{title}", text=f"astronaut planet space rocket {text}")])
    rec.track([*history("ann", "s1", "s2", "s3"), *history("bob", "f1", "f2")])
    if review:
        rec.track([Event(user="ann", item="s3", type="review", text=review, value=5, ts=T + 400_000)])
    rec.reconcile()


def test_written_texts_take_the_place_of_templates(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch, honest) as asked:
        result = rec.generate(blurbs=2).result
        assert (result["users"], result["requests"], result["written"], result["refused"]) == (2, 6, 6, 0)
        assert len(asked) == 6 and "Space Film" not in "".join(asked) and "Food Film" not in "".join(asked)
        again = rec.generate(blurbs=2).result
        assert (again["requests"], again["current"], len(asked)) == (0, 6, 6)
    said = rec.portrait("ann")
    assert said.by == "llm" and said.text.startswith("You are drawn to ") and "“Space Film " in said.text
    first = rec.recommend("ann", 1)[0]
    assert f"“{first.title}”" in rec.blurb("ann", first.id).text and rec.blurb("ann", first.id).by == "llm"
    rec.forget_user("ann")
    assert not any(rec.traces_of("ann").values())


def test_texts_are_written_in_the_language_that_is_asked_for(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch, honest):
        assert rec.generate(blurbs=1, language="zh").result["refused"] == 0
    assert rec.portrait("ann", language="zh").text.startswith("你最喜欢")
    assert rec.portrait("ann").by == "template"


def test_a_dry_run_counts_what_the_run_then_costs(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMREC_LLM_PRICE", "2.5")
    with scripted(monkeypatch, honest) as asked:
        planned = rec.generate(dry_run=True).result
        assert not asked and planned["requests"] == 8 and planned["written"] == 0
        assert planned["cost"] == pytest.approx(planned["tokens"] * 2.5 / 1e6, abs=1e-6) and planned["cost"] > 0
        real = rec.generate().result
    assert (real["requests"], real["tokens"], real["cost"]) == (8, planned["tokens"], planned["cost"])


def test_a_dry_run_needs_no_endpoint_and_a_run_says_what_it_needs(rec: Recommender) -> None:
    assert rec.generate(dry_run=True).result["requests"] == 8
    with pytest.raises(JobFailed, match="no language model is set: set LLMREC_LLM_URL and LLMREC_LLM_MODEL in the env"):
        _ = rec.generate().result


def test_a_budget_ends_the_job_and_the_next_one_continues(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch, honest):
        half = rec.generate(dry_run=True).result["tokens"] // 2
        first = rec.generate(max_tokens=half).result
        assert first["spent"] and first["tokens"] <= half and 0 < first["written"] < 8
        rest = rec.generate().result
    assert rest["current"] == first["written"] and rest["written"] == 8 - first["written"]


def test_an_endpoint_that_fails_again_and_again_fails_the_job(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        scripted(monkeypatch, lambda system, document: None) as asked,
        pytest.raises(JobFailed, match=r"the language model at http://127.0.0.1:\d+/v1 failed 3 times in a row"),
    ):
        _ = rec.generate().result
    assert len(asked) == 3 and rec.portrait("ann").by == "template"


def test_a_job_resumes_where_its_worker_stopped(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice of no time: every user is a slice of its own."""
    monkeypatch.setattr(run, "SLICE_SECONDS", -1.0)
    with scripted(monkeypatch, honest) as asked:
        result = rec.generate(blurbs=1).result
    assert (result["users"], result["written"], len(asked)) == (2, 4, 4)


def test_a_refusal_is_not_asked_for_again_unless_the_model_is_another(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(monkeypatch, lambda system, document: "You took 12 films.") as asked:
        first, second = rec.generate(blurbs=1).result, rec.generate(blurbs=1).result
        assert (first["refused"], second["refused"], second["current"], len(asked)) == (4, 0, 4, 4)
        assert rec.portrait("ann").by == "template"
        monkeypatch.setenv("LLMREC_LLM_MODEL", "another")
        assert rec.generate(blurbs=1).result["refused"] == 4


def test_a_user_who_is_forgotten_while_the_model_writes_leaves_nothing(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetting(system: str, document: dict[str, Any]) -> str:
        rec.forget_user("ann")
        return honest(system, document)

    with scripted(monkeypatch, forgetting):
        rec.generate(blurbs=0)
    assert not any(rec.traces_of("ann").values())


def test_tenants_get_texts_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with Recommender.connect(path=":memory:", space=fresh_name()) as rec:
        rec.create(CONFIG)
        tenants = [Recommender(rec.client, rec._queue, rec.space, name) for name in ("one", "two")]
        for tenant, about in zip(tenants, ("rocket planet", "cook recipe"), strict=True):
            tenant.upsert_items([Item(id=f"i{n}", title=f"{about} {n}", text=about) for n in range(12)])
            tenant.upsert_items([Item(id=f"o{n}", title=f"Other {n}", text="snow ski winter") for n in range(12)])
        rec.fit_topics(2).wait()
        for tenant in tenants:
            tenant.track(history("ann", "i1", "i2"))
        rec.reconcile()
        with scripted(monkeypatch, honest):
            rec.generate(blurbs=1)
        one, two = (tenant.portrait("ann") for tenant in tenants)
        assert one.by == two.by == "llm"
        assert "rocket" in one.text and "cook" not in one.text and "cook" in two.text and "rocket" not in two.text


def test_topics_get_names_descriptions_and_titles_of_shelves(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    first = rec.topics()[0]
    assert first.label_by == "keywords" and first.description.startswith("About ")
    with scripted(monkeypatch, honest) as asked:
        planned = rec.generate(what="topics", dry_run=True).result
        assert (planned["topics"], planned["requests"], len(asked)) == (2, 6, 0)
        result = rec.generate(what="topics").result
        assert (result["written"], result["refused"], len(asked)) == (6, 0, 6) and "Film" not in "".join(asked)
        again = rec.generate(what="topics").result
        assert (again["requests"], again["current"], len(asked)) == (0, 4, 6)
        assert rec.generate(what="topics", language="zh").result["written"] == 4
    for topic in rec.topics():
        assert topic.label_by == "llm" and topic.label.lower() in topic.keywords
        assert topic.description == f"These are stories about {topic.label}."
        assert {label for item in rec.topic_items(topic.id) for label in item.topics} == {topic.label}
    (shelf,) = rec.shelves("ann", rows=1)
    assert shelf.title == f"For the {shelf.interest.label} you like"
    assert rec.shelves("ann", rows=1, language="zh")[0].title == f"你关注的{shelf.interest.label}"
    assert rec.topics(language="zh")[0].description.startswith("内容是关于")
    rec.rename_topic(shelf.interest.topic, "Rockets")
    (renamed,) = rec.shelves("ann", rows=1)
    assert renamed.title == "Because you follow Rockets", "another label, another text"
    assert rec.shelves("ann", rows=1, language="zh")[0].title == "因为你关注Rockets"


def test_a_refit_keeps_the_names_and_texts_of_topics(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch, honest):
        rec.generate(what="topics")
    before = rec.topics()
    rec.fit_topics(2).wait()
    assert rec.topics() == before


def test_a_name_that_an_admin_gave_or_another_topic_has_stays(
    rec: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = rec.topics()
    rec.rename_topic(first.id, "Mine")
    with scripted(monkeypatch, lambda system, document: "Mine" if list(document) == ["keywords"] else ""):
        rec.generate(what="topics")
    assert [(topic.label, topic.label_by) for topic in rec.topics()] == [
        ("Mine", "admin"),
        (second.label, "keywords"),
    ]


LIES_ABOUT_TOPICS = [
    "The best stories about planets.", "Stories about planets by Nolan.", "12 stories about planets.", "Stories about the moon.",
    "Stories about planets, not rockets.", "Others like planets.", "Planets! Buy now.", "Increasingly planets.", "获奖的planet故事。",
    "{0} is about planets.", "Stories about planets in 2015.", "Bob follows planets.", "https://evil.example planets", "",
]  # fmt: skip


@pytest.mark.parametrize("lie", LIES_ABOUT_TOPICS)
def test_a_text_about_a_topic_says_nothing_beyond_its_words(lie: str) -> None:
    evidence = TopicEvidence("1", "space · planet", ("space", "planets", "rocket"))
    for language in ("en", "zh"):
        assert topic_texts.task_of(evidence, "description", language).check(lie) == ""  # type: ignore[arg-type]
        assert topic_texts.task_of(evidence, "shelf", language).check(lie) == ""  # type: ignore[arg-type]


# --- what strangers write -------------------------------------------------------------------------


def test_there_are_at_least_forty_injections_in_two_languages() -> None:
    assert len(INJECTIONS) == len(set(INJECTIONS)) == 54


def test_the_scripted_model_obeys_what_it_sees() -> None:
    assert [obeying("", {"titles": [text]}) for text in INJECTIONS] == [demand for _ in ORDERS for demand in DEMANDS]


@pytest.mark.parametrize("injection", INJECTIONS)
def test_no_injection_changes_a_text_or_a_topics_name(injection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As title, label, keyword, and as keywords word by word; the text is that of an item with a harmless title."""

    def evidence(title: str, keywords: tuple[str, ...] = ()) -> PortraitEvidence:
        mine = Strand("space · planet", "rising", ("rocket", *keywords), ("s1", "s2"), (title, "Gravity"))
        return PortraitEvidence((mine, Strand("cooking", "steady", ("cook",), ("f1",), ("Chef",))))

    with scripted(monkeypatch, obeying) as asked:
        writer = Writer(Settings())
        clean = writer.write(task_of(evidence("Alien"), "en"))
        written = writer.write(task_of(evidence(injection, (injection,)), "en"))
        by_words = writer.write(task_of(evidence("Alien", tuple(injection.split())), "en"))
    assert not any(injection in request for request in asked)
    assert clean.startswith("You are drawn to space, planet, such as “Alien”")
    assert written.partition("“")[0] == clean.partition("“")[0] and written.endswith("Next comes cooking.")
    assert by_words in {"", clean}, "refused, so that the template stays, or unchanged"


@pytest.mark.parametrize("injection", INJECTIONS)
def test_no_injection_changes_a_description_or_the_title_of_a_shelf(
    injection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As label, keyword, and keywords word by word."""

    def texts(label: str, *keywords: str) -> list[str]:
        evidence = TopicEvidence("1", label, ("rocket", *keywords))
        return [writer.write(topic_texts.task_of(evidence, kind, "en")) for kind in TOPIC_TEXTS]

    with scripted(monkeypatch, obeying) as asked:
        writer = Writer(Settings())
        clean = texts("space · planet")
        assert all(clean) and texts("space · planet", injection) == clean
        assert all(
            text in {"", known} for text, known in zip(texts("space · planet", *injection.split()), clean, strict=True)
        )
    assert not any(injection in request for request in asked)


@pytest.mark.parametrize("injection", INJECTIONS)
def test_no_injection_becomes_a_name(injection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch, obeying):
        clean, whole, by_words = named(
            [words := ["rocket", "planet", "moon"], [*words, injection], [*words, *injection.split()]]
        )
    assert clean == whole and by_words in {"", clean}


@pytest.mark.parametrize("injection", [INJECTIONS[0], INJECTIONS[3], INJECTIONS[-2]])
def test_no_stored_injection_changes_a_text_or_leaks_anothers_items(
    injection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored as the title, the text and the review of items that the user took."""
    texts = []
    for title, text, review in (("", "", ""), (f" {injection}", injection, injection)):
        with Recommender.connect(path=":memory:", space=fresh_name()) as rec, scripted(monkeypatch, obeying) as asked:
            fill(rec, title, text, review)
            rec.generate(blurbs=2)
            said = [rec.portrait("ann"), *(rec.blurb("ann", one.id) for one in rec.recommend("ann", 2))]
            assert all(words.by == "llm" for words in said) and not any(injection in request for request in asked)
            texts.append([words.text.partition("“")[0] for words in said])
            assert not any("Food" in words.text.replace(injection, "") for words in said)
    assert texts[0] == texts[1]
