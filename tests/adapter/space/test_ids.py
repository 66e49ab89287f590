"""Point ids and sparse indices: stored data depends on every value here, so none may ever change."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec_qdrant.space.ids import Kind, point_id, sparse_index

KINDS: tuple[Kind, ...] = ("item", "user", "event", "query")


@pytest.mark.parametrize(
    ("kind", "external", "tenant", "expected"),
    [
        ("item", "tt1", None, "58956636-b717-5cfc-aff8-8cc8c4d9fe44"),
        ("item", "tt1", "acme", "15876906-a7e5-588e-aabd-7a33014c3a9c"),
        ("user", "tt1", None, "ea73d05c-6fbb-54c1-9447-c1d32a5a28e6"),
        ("event", "tt1", None, "18b3e36a-c260-57c9-a655-6e858dd94c62"),
        ("query", "tt1", None, "bed5aed6-46f6-5ebd-b0f9-324420f8ca51"),
        ("item", "星际", None, "431ba02d-5865-550e-bf6e-335b62d634b2"),
    ],
)
def test_point_ids_never_change(kind: Kind, external: str, tenant: str | None, expected: str) -> None:
    assert point_id(kind, external, tenant) == expected


def test_a_point_id_is_the_uuid5_of_tenant_kind_and_id() -> None:
    """Written out, so that any language can compute it."""
    namespace = uuid.UUID("6f1d7ad5-5f9b-5c0e-9b0e-2f6c0d4c6e11")
    assert point_id("item", "tt1", "acme") == str(uuid.uuid5(namespace, "acme\x1fitem\x1ftt1"))
    assert point_id("item", "tt1") == str(uuid.uuid5(namespace, "\x1fitem\x1ftt1"))


@pytest.mark.parametrize(
    ("name", "tenant", "expected"),
    [
        ("tt1", None, 2_447_473_289), ("tt1", "acme", 2_777_630_898), ("星际", None, 1_271_466_435),
        ("", None, 1_570_991_642),
    ],
)  # fmt: skip
def test_sparse_indices_never_change(name: str, tenant: str | None, expected: int) -> None:
    assert sparse_index(name, tenant) == expected


# Parts as contracts accept them: no control characters, never empty. A query is any text, \x1f included.
part = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6).filter(lambda s: s == s.strip())
free = st.text(st.characters(exclude_categories=["Cs"]) | st.just("\x1f"), min_size=1, max_size=6)
triples = st.one_of(
    st.tuples(st.sampled_from(KINDS[:3]), part, st.none() | part), st.tuples(st.just("query"), free, st.none() | part)
)


@given(triples, triples)
def test_distinct_triples_have_distinct_point_ids(
    one: tuple[Kind, str, str | None], two: tuple[Kind, str, str | None]
) -> None:
    assert (point_id(*one) == point_id(*two)) is (one == two)


@given(st.lists(triples, min_size=2, max_size=30, unique=True))
def test_many_distinct_triples_have_distinct_point_ids(many: list[tuple[Kind, str, str | None]]) -> None:
    assert len({point_id(*one) for one in many}) == len(many)


@given(part, part)
def test_kinds_and_tenants_are_apart(external: str, tenant: str) -> None:
    made = [point_id(kind, external, owner) for kind in KINDS for owner in (None, tenant)]
    assert len(set(made)) == len(KINDS) * 2
    assert all(uuid.UUID(one).version == 5 for one in made)


@given(st.text(), st.none() | part)
def test_a_sparse_index_has_32_bits_whatever_the_name(name: str, tenant: str | None) -> None:
    index = sparse_index(name, tenant)
    assert 0 <= index <= 2**32 - 1
    assert index == sparse_index(name, tenant)


def test_sparse_indices_use_all_32_bits_evenly() -> None:
    """10,000 names: about 1.2 % of a collision anywhere, and each quarter gets its share."""
    found = [sparse_index(str(number)) for number in range(10_000)]
    assert len(set(found)) == 10_000
    quarters = [sum(one >> 30 == quarter for one in found) for quarter in range(4)]
    assert all(2_300 < count < 2_700 for count in quarters)


def test_a_tenant_has_sparse_indices_of_its_own() -> None:
    names = [str(number) for number in range(1_000)]
    assert {sparse_index(name, "acme") for name in names} & {sparse_index(name, "apex") for name in names} == set()
