"""Items for a text."""

from __future__ import annotations

from random import Random

import pytest

from llmrec_qdrant import Event, InvalidInput, Item, Recommender, SpaceConfig, WorkPending
from llmrec_qdrant.query.requests import TASTE
from llmrec_qdrant.testing import MemoryQueue
from tests.films import history
from tests.spaces import EITHER, space_on

KINDS = ("green", "blue", "large", "small", "light")
NOW = 1_700_000_000.0


def test_search(rec: Recommender) -> None:
    assert rec.search("French recipes", limit=1)[0].id in {"m5", "m6"}
    assert rec.search("美食", limit=1)[0].id == "m8"
    rec.track(history("ann", "m1", "m2"))
    assert {one.id for one in rec.search("astronauts", user="ann", limit=3)} == {"m1", "m2", "m3"}
    for text in ("", "  ", "x" * 2001, 5, None):
        with pytest.raises(InvalidInput, match="2,000 characters"):
            rec.search(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("weights", [{"collab": 1.0}, {"collab": 1.0, "dense": 0.0}])
def test_a_search_by_what_a_text_does_not_have_is_refused(rec: Recommender, weights: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="by the legs dense and tfidf: give one of them a weight"):
        rec.search("French recipes", weights=weights)


def test_search_without_a_worker_says_so(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmrec_qdrant.operations.search.MAX_WAIT_FOR_TEXT", 0.1)
    idle = Recommender(rec._client, MemoryQueue(), rec._space.name)
    with pytest.raises(WorkPending, match="start one with"):
        idle.search("a text nobody has asked for")
    assert rec.search("a text nobody has asked for") is not None


def test_a_search_for_a_user_lists_what_matches_first() -> None:
    """Taste orders among matches; it lifts nothing that has no word of the text above something that has one."""
    with Recommender.connect(path=":memory:", space="shop") as rec:
        rec.create({"model": "hash", "size": 64})
        rec.upsert_items(
            Item(id=f"boot{n}", title=f"boots {kind}", text="red leather") for n, kind in enumerate(KINDS * 6)
        )
        rec.upsert_items(
            Item(id=f"tent{n}", title=f"{kind} house for camping under the stars", text=f"a tent with poles number {n}")
            for n, kind in enumerate(KINDS)
        )
        rec.upsert_items([Item(id="tents", title="tent tent"), Item(id="twin", title="tent tent")])
        for user in ("ann", "eve", "joe"):
            rec.track([Event(user=user, type="purchase", item=f"boot{n}", ts=NOW + n) for n in range(20)])
        found = [one.id for one in rec.search("tent", user="ann", limit=10)]
        assert set(found[:7]) == {"twin", "tents", *(f"tent{n}" for n in range(5))}

        plain = {one.id: one.score for one in rec.search("tent", limit=37)}
        gained = {one.id: one.score - plain[one.id] for one in rec.search("tent", user="ann", limit=37)}
        taste = {item: gain - TASTE * ("tent" in item or item == "twin") for item, gain in gained.items()}
        assert max(taste, key=taste.__getitem__).startswith("boot")
        assert rec.search("tent", user="nobody") == rec.search("tent")


@pytest.mark.parametrize("back_end", EITHER)
@pytest.mark.parametrize("seed", range(4))
def test_taste_lifts_nothing_without_a_word_above_a_better_match(
    request: pytest.FixtureRequest, back_end: str, seed: int
) -> None:
    """Over random spaces where a few users like a few items very much, which gives one leg of taste an outlier."""
    random = Random(seed)
    words = ["".join(random.choices("abcdefgh", k=5)) for _ in range(30)]
    texts = {f"i{n}": " ".join(random.choices(words, k=random.randint(2, 9))) for n in range(90)}
    request.param = back_end
    with space_on(request, SpaceConfig(model="hash", size=32, prefetch=100)) as rec:
        rec.upsert_items(Item(id=item, title=text) for item, text in texts.items())
        liked = random.sample(sorted(texts), 6)
        for user in range(5):
            rec.track([Event(user=f"u{user}", type="like", item=item, ts=NOW + n) for n, item in enumerate(liked)])
        rec.track([Event(user="me", type="purchase", item=item, ts=NOW + n) for n, item in enumerate(liked[:3])])
        rec.reconcile()
        for text in [*random.sample(words, 5), " ".join(words[:2])]:
            plain = {one.id: one.score for one in rec.search(text, limit=90)}
            personal = {one.id: one.score for one in rec.search(text, user="me", limit=90)}
            has_word = {item: bool(set(text.split()) & set(texts[item].split())) for item in plain}
            assert personal.keys() == plain.keys()
            for item in plain:
                taste = personal[item] - plain[item] - TASTE * has_word[item]
                assert -1e-5 <= taste <= TASTE + 1e-5
            for better in filter(has_word.get, plain):
                for other in plain:
                    if not has_word[other] and plain[better] >= plain[other]:
                        assert personal[better] >= personal[other] - 1e-5


def test_the_reason_of_a_search_names_the_words_of_the_text(rec: Recommender) -> None:
    listed = rec.search("French wormhole", explain=True)
    reasons = {item.id: [reason.words for reason in item.evidence.because if reason.code == "words"] for item in listed}
    assert {item: words for item, words in reasons.items() if words} == {
        "m1": [["wormhole"]], "m5": [["french"]], "m6": [["french"]],
    }  # fmt: skip
    assert all("with your search" in item.reason for item in listed if reasons[item.id])
