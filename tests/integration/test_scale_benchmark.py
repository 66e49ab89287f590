"""The synthetic space of `benchmarks.scale` is what the product writes, and the benchmark runs."""

from __future__ import annotations

import json
from collections import ChainMap, Counter
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import scale
from benchmarks.synthetic import CONFIG, EVENTS, SEEN, TYPES, Catalogue
from benchmarks.synthetic_fill import fill
from llmrec_qdrant import Event, Item, Recommender
from llmrec_qdrant.space.layout import INTERESTS, Key
from llmrec_qdrant.space.points import Point
from tests.spaces import fresh_name, store_of
from workers.items.embed import source_text, sparse
from workers.reconcile import reconcile
from workers.text.words import terms

ITEMS, USERS = 200, 20


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue(ITEMS, USERS)


@pytest.fixture(scope="module")
def synthetic(catalogue: Catalogue) -> Iterator[Recommender]:
    with Recommender.connect(path=":memory:", space=fresh_name()) as rec:
        fill(store_of(rec), catalogue)
        yield rec


@pytest.fixture(scope="module")
def written() -> Iterator[Recommender]:
    """A space that the product itself has filled: three items, a user and topics."""
    with Recommender.connect(path=":memory:", space=fresh_name()) as rec:
        rec.create(CONFIG)
        rec.upsert_items(
            [
                Item(
                    id=f"i{k}",
                    title=f"bofak {k}",
                    text=("lamup kidok", "tofiz wareb", "gusil pomek")[k % 3],
                    payload={"year": 2000, "price": 1.5, "genre": "a"},
                )
                for k in range(40)
            ]
        )
        ratings = [Event(user="u", item=f"i{k}", type="rating", value=4, ts=1_600_000_000 + k) for k in range(3)]
        rec.track([*ratings, Event(user="u", item="i9", type="rating", value=1, ts=1_600_000_009)])
        rec.fit_topics(2).wait()
        rec.reconcile()
        yield rec


def user_of(catalogue: Catalogue, tenant: str = "") -> str:
    return f"u{catalogue.user_owners.index(tenant):06d}"


MAPS = {"words"}
"""Keys whose values are maps with the user's own words as keys."""


def kinds(value: Any) -> Any:
    """A payload with the type of each value; a list of objects as one object with all their keys, a map as its kinds of values."""
    if isinstance(value, dict):
        return {
            key: sorted({str(kinds(one)) for one in inner.values()}) if key in MAPS else kinds(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        objects = [inner for inner in value if isinstance(inner, dict)]
        return [kinds(dict(ChainMap(*objects)))] if objects else sorted({type(inner).__name__ for inner in value})
    return type(value).__name__


def stored(rec: Recommender, kind: str, key: str, name: str) -> tuple[dict[str, Any], list[str]]:
    """Kinds of the payload values, and names of the vectors, of one point."""
    for page in store_of(rec).of(kind).pages(vectors=True):  # type: ignore[arg-type]
        for point in page:
            if point.payload[key] == name:
                return kinds(point.payload), sorted(point.vectors)
    raise AssertionError(name)


def test_workers_find_nothing_to_do(synthetic: Recommender) -> None:
    assert list(reconcile(store_of(synthetic))) == []
    status = synthetic.status()
    assert (status.items, status.users, status.events) == (ITEMS, USERS, USERS * EVENTS)
    assert (status.items_stale, status.users_stale, status.texts_stale, status.events_unfolded) == (0, 0, 0, 0)
    assert (status.items_unreadable, status.set_aside) == (0, 0)


def test_every_list_answers(synthetic: Recommender, catalogue: Catalogue) -> None:
    user = user_of(catalogue)
    explained = synthetic.recommend(user, explain=True)
    assert len(explained) == 10 and not any(item.reason.startswith("popular") for item in explained)
    assert {leg for item in explained for leg in item.legs} == {"dense", "tfidf", "collab"}
    assert synthetic.interests(user) and synthetic.shelves(user)
    assert synthetic.search(next(iter(catalogue.queries)), user)


@pytest.mark.parametrize("kind", ["items", "users", "events", "topics"])
def test_points_look_as_the_product_writes_them(
    synthetic: Recommender, written: Recommender, catalogue: Catalogue, kind: str
) -> None:
    number = next(
        user for user, owner in enumerate(catalogue.user_owners)
        if owner == "" and any(TYPES[kind] == "rating" for kind in catalogue.kinds[user, -10:])
    )  # fmt: skip
    popular = Counter(catalogue.taken[number].tolist()).most_common()[0][0]
    rated = next(event for event in catalogue.events_of(number) if event.payload[Key.TYPE] == "rating")
    key, theirs, ours = {
        "items": (Key.ITEM_ID, "i1", f"i{popular:07d}"),
        "users": (Key.USER_ID, "u", f"u{number:06d}"),
        "events": (Key.SRC_HASH, next(iter(store_of(written).events.pages()))[0].payload[Key.SRC_HASH], rated.payload[Key.SRC_HASH]),
        "topics": (Key.TOPIC_ID, "1", "1"),
    }[kind]  # fmt: skip
    wanted, wanted_vectors = stored(written, kind, key, theirs)
    values, vectors = stored(synthetic, kind, key, ours)
    assert vectors == wanted_vectors
    assert values == wanted
    readable = [[name for name in payload if not name.startswith("bookkeeping")] for payload in (values, wanted)]
    assert readable[0] == readable[1]


def test_words_are_what_the_tokenizer_reads(synthetic: Recommender) -> None:
    points: list[Point] = next(iter(store_of(synthetic).items.pages(vectors=True)))
    for point in points[:20]:
        wanted = sparse(terms(source_text(point.payload)))
        vector = point.sparse("tfidf")
        assert vector is not None
        assert dict(zip(vector.indices, vector.values, strict=True)) == pytest.approx(
            dict(zip(wanted.indices, wanted.values, strict=True))
        )


def test_figures_resemble_a_catalogue(synthetic: Recommender, catalogue: Catalogue) -> None:
    lengths = [len(words) for words in catalogue.documents]
    assert min(lengths) >= 10 and max(lengths) <= 60
    users = [point for page in store_of(synthetic).users.pages(vectors=[INTERESTS]) for point in page]
    main = [point for point in users if point.payload[Key.TENANT] == ""]
    assert {len(point.payload[Key.SEEN]) for point in main} == {SEEN}
    assert {point.payload[Key.N_EVENTS] for point in users} == {EVENTS}
    popular = sorted(catalogue.interactions.popularity.tolist(), reverse=True)
    assert sum(popular[:20]) > 2 * sum(popular[-20:])


def test_equal_arguments_give_equal_figures(catalogue: Catalogue) -> None:
    again = Catalogue(ITEMS, USERS)
    assert (again.taken == catalogue.taken).all() and (again.dense == catalogue.dense).all()
    assert again.item(7) == catalogue.item(7)


def test_the_benchmark_runs(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--items", "200", "--users", "20", "--on", "embedded", "--calls", "2", "--seconds", "0.2"]
    figures = scale.main(arguments)
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == json.loads(json.dumps(figures))
    measured = figures["sizes"]["200"]["embedded"]
    assert {"recommend", "raw", "hybrid", "search, filter", "shelves, tenant"} <= measured["ms"].keys()
    assert set(figures["growth"]["embedded"]["recommend"].values()) == {1.0}
    assert measured["requests_per_s"]["recommend"][16] > 0 and measured["disk_mb"] > 0
