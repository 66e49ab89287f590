"""A space whose words an earlier release read by other rules: what differs is encoded again, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from qdrant_client import models

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.ids import point_id, sparse_index
from llmrec_qdrant.space.layout import WORDS, Key
from tests.spaces import EITHER, space_on, store_of
from workers.items import wording
from workers.text.words import WORDS_REVISION

CONFIG = SpaceConfig(model="hash", size=32)
LATER = {WORDS: {"revision": WORDS_REVISION + 1}}


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, CONFIG) as made:
        yield made


def of_an_earlier_release(rec: Recommender) -> None:
    """An English and an Arabic film; the words of the latter, and of a search for it, were read with their vowel marks."""
    rec.upsert_items([Item(id="dune", title="Dune"), Item(id="book", title="كِتَاب")])
    rec.track([Event(user="amal", item="book", type="like"), Event(user="amal", text="كِتَاب", type="search")])
    store = store_of(rec)
    for kind in (store.items, store.texts):
        page = next(kind.pages())
        old = [point.id for point in page if "كِتَاب" in (point.get(Key.TITLE) or "") + (point.get(Key.TEXT) or "")]
        earlier = models.SparseVector(indices=[sparse_index("كِتَاب")], values=[1.0])
        kind.write_existing({point: {"tfidf": earlier} for point in old})
    store.items.update_metadata({WORDS: None})


def words(rec: Recommender, item: str) -> list[int]:
    (point,) = store_of(rec).items.retrieve([point_id("item", item)], True, ["tfidf"])
    return list(point.sparse("tfidf").indices)


def test_what_is_read_differently_is_encoded_again(rec: Recommender) -> None:
    of_an_earlier_release(rec)
    assert words(rec, "book") == [sparse_index("كِتَاب")]
    embedded = {point.payload[Key.ITEM_ID]: point.get(Key.EMBEDDED_AT) for point in next(store_of(rec).items.pages())}
    wording.keep([store_of(rec)])
    assert (rec.status().items_stale, rec.status().texts_stale, rec.status().users_stale) == (1, 1, 1)
    assert len(rec.get_items(["book", "dune"])) == 2 and words(
        rec, "book"
    )  # the old vector serves until the new one is there
    rec.reconcile()
    assert rec.status().items_stale == rec.status().texts_stale == rec.status().users_stale == 0
    assert words(rec, "book") == [sparse_index("كتاب")]
    after = {point.payload[Key.ITEM_ID]: point.get(Key.EMBEDDED_AT) for point in next(store_of(rec).items.pages())}
    assert after["dune"] == embedded["dune"] and after["book"] > embedded["book"]
    assert [item.id for item in rec.search("كتاب", weights={"tfidf": 1})] == ["book"]


def test_it_is_done_once_and_never_backwards(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    of_an_earlier_release(rec)
    rec.reconcile()
    assert store_of(rec).items.metadata()[WORDS] == {"revision": WORDS_REVISION}
    monkeypatch.setattr(wording, "_mark", lambda *_: pytest.fail("the texts were read again"))
    rec.reconcile()
    store_of(rec).items.update_metadata(LATER)  # a worker of a later release was here
    wording.keep([store_of(rec)])
    assert store_of(rec).items.metadata()[WORDS] == LATER[WORDS]


def test_a_malformed_text_stops_nothing(rec: Recommender) -> None:
    of_an_earlier_release(rec)
    store = store_of(rec)
    store.items.set_payload({Key.TITLE: 5}, conditions.only(point_id("item", "dune")))
    wording.keep([store])
    assert rec.status().items_stale == 1
