"""The filter of a request acts in every prefetch, at any depth, as if it were written there: on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import models

from llmrec_qdrant import Recommender, SpaceConfig
from llmrec_qdrant.query import requests
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.query.steering import steered
from llmrec_qdrant.space.conditions import all_of, equals, none_of, one_of, where
from llmrec_qdrant.space.layout import COLLAB, DENSE, TFIDF, Key
from llmrec_qdrant.space.points import new_point
from tests.spaces import EITHER, space_on

SIZE, ITEMS, TOPICS, TENANTS = 6, 60, 4, 2
WEIGHTS = {DENSE: 1.0, TFIDF: 1.0, COLLAB: 2.0}
IDS = [f"00000000-0000-4000-8000-{number:012d}" for number in range(ITEMS)]


@pytest.fixture(params=EITHER, scope="module")
def filled(request: pytest.FixtureRequest) -> Iterator[Recommender]:
    rng = np.random.default_rng(3)

    def sparse(width: int) -> models.SparseVector:
        indices = np.sort(rng.choice(20, width, replace=False))
        return models.SparseVector(indices=indices.tolist(), values=rng.uniform(0.1, 1, width).tolist())

    with space_on(request, SpaceConfig(model="hash", size=SIZE)) as rec:
        points = [
            new_point(
                point,
                {Key.TENANT: f"t{number % TENANTS}", Key.TOPIC_IDS: [str(number // TENANTS % TOPICS)]},
                {DENSE: rng.normal(size=SIZE).tolist(), TFIDF: sparse(8), COLLAB: sparse(6)},
            )
            for number, point in enumerate(IDS)
        ]
        rec.client.upsert(rec._space.items, points, wait=True)
        yield rec


def written_everywhere(part: Any, filter: models.Filter) -> Any:
    """The same request with the filter in every prefetch that reads the collection, and nowhere else."""
    if not part.prefetch:
        return part.model_copy(update={"filter": all_of(part.filter, filter)})
    inner = [written_everywhere(prefetch, filter) for prefetch in part.prefetch]
    own = None if isinstance(part, models.QueryRequest) else part.filter
    return part.model_copy(update={"prefetch": inner, "filter": own})


filters = st.builds(
    lambda tenant, seen, muted: all_of(
        where(equals(Key.TENANT, f"t{tenant}")),
        none_of(models.HasIdCondition(has_id=list(seen))) if seen else None,
        none_of(one_of(Key.TOPIC_IDS, [muted])),
    ),
    st.integers(0, TENANTS - 1),
    st.sets(st.sampled_from(IDS), max_size=25),
    st.sampled_from("0123"),
)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    filter=filters,
    steering=st.dictionaries(st.sampled_from("0123"), st.sampled_from([0.25, 0.5, 2.0, 3.0]), max_size=3),
    nested=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_a_filter_at_the_root_acts_in_every_prefetch(
    filled: Recommender, filter: models.Filter, steering: dict[str, float], nested: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    words = models.SparseVector(indices=[1, 4, 9, 16], values=rng.uniform(0.1, 1, 4).tolist())
    legs = [
        LegQuery(DENSE, models.NearestQuery(nearest=rng.normal(size=SIZE).tolist())),
        LegQuery(TFIDF, models.NearestQuery(nearest=words)),
        LegQuery(COLLAB, models.NearestQuery(nearest=words)),
    ]
    inner = [legs[1].prefetch(30)] if nested else []
    request = requests.fused(legs, weights=WEIGHTS, filter=filter, limit=8, depth=12, inner=inner)
    if steering:
        request = steered(request, legs, steering, 12)
    pair = [request, written_everywhere(request, filter)]
    root, everywhere = filled.client.query_batch_points(filled._space.items, pair)
    assert {point.id: point.score for point in root.points} == pytest.approx(
        {point.id: point.score for point in everywhere.points}, abs=1e-6
    )
    tenants = {IDS.index(str(point.id)) % TENANTS for point in root.points}
    assert len(tenants) <= 1
