"""Portraits and blurbs of stored users, kept texts, forgetting and tenants."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from llmrec_qdrant import AsyncRecommender, InvalidInput, Item, NotFound, Recommender
from llmrec_qdrant.operations import kept_texts, words
from llmrec_qdrant.query.templates import BlurbEvidence, PortraitEvidence
from tests.films import CONFIG, history, items
from tests.spaces import fresh_name

SPACE_TEXT = "astronaut planet space rocket"
FOOD_TEXT = "cook recipe kitchen restaurant"


def fill(rec: Recommender) -> None:
    """Two groups of films that share no word, so that each is a topic."""
    rec.create(CONFIG)
    rec.upsert_items(
        [Item(id=f"s{n}", title=f"Space Film {n}", text=f"{SPACE_TEXT} {n}") for n in range(12)]
        + [Item(id=f"f{n}", title=f"Food Film {n}", text=f"{FOOD_TEXT} {n}") for n in range(12)]
    )
    rec.fit_topics(2).wait()
    rec.track([*history("ann", "s1", "s2", "s3"), *history("bob", "f1", "f2")])
    rec.reconcile()


@pytest.fixture(scope="module")
def rec() -> Iterator[Recommender]:
    with Recommender.connect(path=":memory:", space=fresh_name()) as made:
        fill(made)
        yield made


def evidence_of(rec: Recommender, user: str, item: str = "") -> Any:
    bound = rec._bound()
    return rec._drive(words.blurb_evidence(bound, user, item) if item else words.portrait_evidence(bound, user))


def kept(rec: Recommender, evidence: Any, text: str) -> bool:
    bound = rec._bound()
    return bool(rec._drive(kept_texts.keep(bound, words.place_of(bound, "ann", evidence, "en"), text)))


def test_a_portrait_names_the_users_own_items_and_their_topic(rec: Recommender) -> None:
    said = rec.portrait("ann")
    assert (said.by, said.language) == ("template", "en")
    assert said.items and set(said.items) <= {"s1", "s2", "s3"}
    (interest,) = rec.interests("ann")
    assert all(part in said.text for part in interest.label.split(" · "))
    assert "Food" not in said.text


def test_a_blurb_names_the_interest_that_the_item_belongs_to(rec: Recommender) -> None:
    said = rec.blurb("ann", "s7")
    assert said.text.startswith("Because you took “Space Film ") and " belongs to " in said.text
    assert rec.blurb("ann", "s7", language="zh").text.startswith("因为你选过“Space Film ")
    assert rec.blurb("ann", "f7").text == "Nothing that is known about you speaks for “Food Film 7” in particular."
    assert rec.blurb("nobody", "s7").text == "Nothing that is known about you speaks for “Space Film 7” in particular."
    assert "“Space Film 1”, " not in rec.blurb("ann", "s1").text.partition(":")[0], "an item is no evidence of itself"


def test_a_blurb_names_exactly_what_carries_the_score(rec: Recommender) -> None:
    """Independent of how the blurb is made: the public evidence of the same item."""
    told = rec.explain("ann", "s7")
    total: dict[str, float] = {}
    positive = sum(leg.contribution for leg in told.legs if leg.contribution > 0)
    for leg in told.legs:
        for event in leg.events:
            if leg.contribution >= 0.2 * positive and event.item:
                total[event.item] = total.get(event.item, 0.0) + event.contribution
    strongest = sorted(total, key=lambda item: -total[item])[:2]
    said = rec.blurb("ann", "s7")
    assert said.items[:2] == strongest and len(strongest) == 2
    assert f"“Space Film {strongest[0][1:]}” and “Space Film {strongest[1][1:]}”" in said.text
    words = {word.word for leg in told.legs for word in leg.words}
    assert "others took" not in said.text, "no leg of followers carries it"
    shared = said.text.partition("shares the words ")[2].partition(" with")[0].replace(" and ", ", ").split(", ")
    assert shared and set(shared) <= words


def test_a_blurb_names_the_followed_item_only_where_it_was_followed() -> None:
    """m1 → m9 was taken by others; their texts share nothing, so that only the collab leg speaks for m9."""
    with Recommender.connect(path=":memory:", space=fresh_name()) as rec:
        rec.create(CONFIG)
        rec.upsert_items([*items(), Item(id="m9", title="Ski Jump", text="winter snow slope")])
        rec.track([event for user in "abc" for event in history(user, "m1", "m9")])
        rec.track(history("ann", "m4", "m1"))
        rec.reconcile()
        said = rec.blurb("ann", "m9")
        assert said.text == "Because you took “Interstellar”: others took “Ski Jump” next." and said.items == ["m1"]
        assert (
            rec.blurb("ann", "m9", language="zh").text == "因为你选过“Interstellar”：选过它的人接着也选了“Ski Jump”。"
        )
        assert "others took" not in rec.blurb("ann", "m5").text


def test_what_cannot_be_said_is_an_error(rec: Recommender) -> None:
    assert rec.portrait("nobody").text == "Your interests are not known yet."
    with pytest.raises(NotFound, match="no item 'x'"):
        rec.blurb("ann", "x")
    for language in ("fr", "", 1, ["en"]):
        with pytest.raises(InvalidInput, match="language must be 'en' or 'zh'"):
            rec.portrait("ann", language=language)  # type: ignore[arg-type]


def test_a_muted_topic_is_in_no_text() -> None:
    with Recommender.connect(path=":memory:", space=fresh_name()) as rec:
        fill(rec)
        (interest,) = rec.interests("ann")
        rec.steer("ann", interest.topic, 0.0)
        assert rec.portrait("ann").text == "Your interests are not known yet."
        assert "belongs to" not in rec.blurb("ann", "s7").text


def test_a_kept_text_holds_as_long_as_its_evidence_and_goes_with_the_user() -> None:
    with Recommender.connect(path=":memory:", space=fresh_name()) as rec:
        fill(rec)
        for evidence in (evidence_of(rec, "ann"), evidence_of(rec, "ann", "s7")):
            assert kept(rec, evidence, "Written.")
        assert (rec.portrait("ann").text, rec.portrait("ann").by) == ("Written.", "llm")
        assert rec.blurb("ann", "s7").text == "Written."
        assert rec.portrait("ann", language="zh").by == "template", "every language has a text of its own"
        assert rec.blurb("ann", "s8").by == rec.portrait("bob").by == "template"
        rec.track(history("ann", "f1", "f2", "f3", start=1_700_900_000))
        rec.reconcile()
        assert rec.portrait("ann").by == "template", "other evidence, other text"
        assert sum(count for name, count in rec.traces_of("ann").items() if "texts" in name) == 2
        rec.forget_user("ann")
        assert not any(rec.traces_of("ann").values())


def test_a_text_about_a_user_who_was_forgotten_meanwhile_is_not_kept() -> None:
    with Recommender.connect(path=":memory:", space=fresh_name()) as rec:
        fill(rec)
        evidence = evidence_of(rec, "ann")
        rec.forget_user("ann")
        assert not kept(rec, evidence, "Late.")
        assert not any(rec.traces_of("ann").values())


def test_a_kept_text_does_not_wait_for_a_worker_and_counts_in_no_history() -> None:
    with Recommender.connect(path=":memory:", space=fresh_name()) as rec:
        fill(rec)
        before = rec.recommend("ann", 5)
        assert kept(rec, evidence_of(rec, "ann"), "cook recipe kitchen")
        rec.reconcile()
        assert rec.status().texts_stale == 0
        assert rec.recommend("ann", 5) == before


def test_a_tenant_sees_only_its_own_texts() -> None:
    with Recommender.connect(path=":memory:", space=fresh_name()) as rec:
        rec.create(CONFIG)
        one, two = (Recommender(rec.client, rec._queue, rec.space, tenant) for tenant in ("one", "two"))
        for tenant in (one, two):
            tenant.upsert_items(items())
            tenant.track(history("ann", "m1", "m2"))
        rec.reconcile()
        nothing = PortraitEvidence()
        assert kept(one, nothing, "Of tenant one.")
        assert (one.portrait("ann").text, two.portrait("ann").by) == ("Of tenant one.", "template")
        blurb = two._drive(words.blurb_evidence(two._bound(), "ann", "m3"))
        assert kept(two, blurb, "Of tenant two.")
        assert isinstance(blurb, BlurbEvidence)
        assert one.blurb("ann", "m3").by == "template" and two.blurb("ann", "m3").text == "Of tenant two."
        with pytest.raises(NotFound):
            rec.blurb("ann", "m3")


def test_the_asynchronous_recommender_says_the_same(rec: Recommender) -> None:
    async def said() -> list[Any]:
        other = AsyncRecommender(rec.client, rec._queue, rec.space)
        return [await other.portrait("ann"), await other.blurb("ann", "s7", language="zh")]

    assert asyncio.run(said()) == [rec.portrait("ann"), rec.blurb("ann", "s7", language="zh")]
