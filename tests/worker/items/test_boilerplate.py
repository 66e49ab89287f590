"""Boilerplate of a space: detected before items are encoded, kept as the catalogue grows, shown in the status."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llmrec_qdrant import Item, Recommender, SpaceConfig
from llmrec_qdrant.space.layout import BOILERPLATE, Key
from llmrec_qdrant.testing import HashEncoder
from tests.spaces import EITHER, space_on, store_of
from tests.worker.text.test_boilerplate import SMALL_PRINT, with_print
from workers.items import boilerplate
from workers.items.embed import source_text

CONFIG = SpaceConfig(model="hash", size=32)


@pytest.fixture(params=EITHER)
def rec(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    with space_on(request, CONFIG) as made:
        yield made


def items() -> list[Item]:
    titles, _, texts = with_print(SMALL_PRINT)
    return [Item(id=f"i{n}", title=title, text=text) for n, (title, text) in enumerate(zip(titles, texts, strict=True))]


def is_encoded_without_small_print(rec: Recommender) -> bool:
    titles, plain, _ = with_print(SMALL_PRINT)
    batch = [point for page in store_of(rec).items.pages(None, True, ["dense"]) for point in page]
    wanted = {f"i{n}": f"{title} {text}" for n, (title, text) in enumerate(zip(titles, plain, strict=True))}
    rows = HashEncoder(32).encode([wanted[point.payload[Key.ITEM_ID]] for point in batch])
    return len(batch) == len(wanted) and all(
        point.dense("dense") == pytest.approx(row.tolist(), abs=1e-4) for point, row in zip(batch, rows, strict=True)
    )


def test_small_print_is_in_no_vector_word_or_topic(rec: Recommender) -> None:
    rec.upsert_items(items(), notify=False)
    rec.reconcile()
    assert len(rec.status().boilerplate) == 5 and "Free worldwide shipping." in rec.status().boilerplate
    assert rec.status().items_stale == 0
    assert is_encoded_without_small_print(rec)
    assert not any(
        {"shipping", "monitor"} & set(point.payload[Key.TERMS])
        for page in store_of(rec).items.pages()
        for point in page
    )
    rec.fit_topics(4).wait(60)
    assert not any({"shipping", "monitor", "customer"} & set(topic.keywords) for topic in rec.topics())
    assert rec.get_items(["i0"])[0].text == items()[0].text  # what is stored stays whole


def test_writes_alone_have_it_detected(rec: Recommender) -> None:
    rec.upsert_items(items())
    assert len(rec.status().boilerplate) == 5 and rec.status().items_stale == 0
    assert is_encoded_without_small_print(rec)


def test_what_was_encoded_before_is_encoded_again(rec: Recommender) -> None:
    rec.upsert_items(items()[:30])
    assert rec.status().boilerplate == []
    rec.upsert_items(items())
    rec.reconcile()
    assert len(rec.status().boilerplate) == 5 and rec.status().items_stale == 0
    assert is_encoded_without_small_print(rec)


def test_a_crash_between_detecting_and_marking_is_mended(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(boilerplate, "MIN_ITEMS", 10_000)
        rec.upsert_items(items())
    with monkeypatch.context() as patched:
        patched.setattr(boilerplate, "_mark", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            boilerplate.keep([store_of(rec)])
    assert not is_encoded_without_small_print(rec)
    rec.reconcile()
    assert is_encoded_without_small_print(rec) and "before" not in store_of(rec).items.metadata()[BOILERPLATE]


def test_a_new_version_leaves_out_the_same(rec: Recommender) -> None:
    rec.upsert_items(items(), notify=False)
    rec.reconcile()
    before = rec.status().boilerplate
    rec.reembed(size=16).wait(60)
    assert rec.status().boilerplate == before
    page = [point for each in store_of(rec).items.pages(None, True, ["dense"]) for point in each]
    left_out = boilerplate.load(store_of(rec))
    rows = HashEncoder(16).encode([source_text(point.payload, left_out) for point in page])
    assert all(
        point.dense("dense") == pytest.approx(row.tolist(), abs=1e-4) for point, row in zip(page, rows, strict=True)
    )


def test_a_tenant_does_not_see_the_texts_of_others(rec: Recommender) -> None:
    rec.upsert_items(items(), notify=False)
    rec.reconcile()
    assert rec.status().boilerplate
    assert Recommender(rec.client, rec._queue, rec.space, "acme").status().boilerplate == []
