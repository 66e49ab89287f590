"""Pages by hand: which requests they take, and how equal scores are put in order."""

from __future__ import annotations

import math

import pytest
from qdrant_client import models

from llmrec_qdrant.query import pages, requests
from llmrec_qdrant.query.requests import LegQuery
from llmrec_qdrant.query.steering import steered
from llmrec_qdrant.space.points import Point

LEGS = [LegQuery("dense", "p", "users"), LegQuery("collab", "p", "users")]


def at(depth: int) -> models.QueryRequest:
    return requests.fused(LEGS, weights={"dense": 1, "collab": 2}, filter=None, limit=10, depth=depth)


def lowered(depth: int) -> models.QueryRequest:
    return steered(at(depth), LEGS, {"7": 0.5}, depth)


def page_of(offset: int, limit: int) -> pages.Page:
    return pages.Page(pages.page(at, 50, offset, limit))


def points(*scored: tuple[str, float]) -> list[Point]:
    return [Point(name, score=score) for name, score in scored]


@pytest.mark.parametrize(("offset", "limit"), [(0, 1), (0, 50), (40, 10), (49, 1)])
def test_within_the_candidates_a_page_is_the_plain_request(offset: int, limit: int) -> None:
    body = requests.as_json(pages.page(at, 50, offset, limit))
    assert body == {**requests.as_json(at(50)), "limit": limit} | ({"offset": offset} if offset else {})


def test_beyond_the_candidates_a_second_fusion_continues_the_first() -> None:
    body = requests.as_json(pages.page(at, 50, 40, 11))
    assert (body["offset"], body["limit"]) == (40, 11)
    first, second = body["prefetch"]
    assert first["prefetch"] == requests.as_json(at(50))["prefetch"] and first["limit"] == 3 * 50
    assert second["prefetch"] == requests.as_json(at(1000))["prefetch"] and second["limit"] == 3 * 1000
    below = -(math.ceil(3 * (3 + math.sqrt(50)) / 6 + 3 * (3 + math.sqrt(1000)) / 6) + 1)
    assert body["query"]["defaults"] == {"$score[0]": below, "$score[1]": 0.0}
    assert body["query"]["formula"]["sum"][1]["mult"][0]["gauss_decay"]["target"] == below


def test_the_bound_counts_the_lists_under_a_lowered_topic() -> None:
    plain, steered = (pages.page(build, 50, 0, 60).query for build in (at, lowered))
    assert isinstance(plain, models.FormulaQuery) and isinstance(steered, models.FormulaQuery)
    assert steered.defaults == plain.defaults


def test_a_list_in_order_of_a_field_has_no_candidates() -> None:
    body = requests.as_json(pages.page(lambda depth: requests.top(None, depth), 50, 500, 100))
    assert body == {**requests.as_json(requests.top(None, 100)), "offset": 500}


def test_how_deep_a_list_reaches() -> None:
    assert [pages.reach(200, end) for end in (1, 200, 201, 1000)] == [200, 200, 1000, 1000]
    assert pages.reach(5000, 1000) == 5000


def test_a_page_is_read_with_its_neighbours() -> None:
    first, second, third = (page_of(offset, 3).with_neighbours for offset in (0, 3, 30))
    assert (first.offset or 0, first.limit) == (0, 13)
    assert (second.offset or 0, second.limit) == (0, 16)
    assert (third.offset, third.limit) == (20, 23)
    whole = page_of(30, 3).whole
    assert (whole.offset or 0, whole.limit) == (0, 150)


def test_equal_scores_are_sorted_by_id_across_the_edges() -> None:
    page, answer = page_of(1, 3), points(("c", 9), ("a", 9), ("e", 5), ("d", 4), ("b", 4), ("y", 3))
    assert not page.is_torn(answer)
    assert [point.id for point in page.cut(answer)] == ["c", "e", "b"]


FALLING = [float(-n) for n in range(23)]


@pytest.mark.parametrize(
    ("offset", "scores", "torn"),
    [
        (0, FALLING[:13], False), (0, [1.0] * 12 + [0.0], False), (0, [1.0] * 13, True), (0, [1.0] * 12, False),
        (0, [2.0, 2.0] + [1.0] * 11, True), (0, [], False),
        (10, [9.0] * 11 + FALLING[:12], False), (11, [9.0] * 11 + FALLING[:12], True), (30, FALLING, False),
        (30, [9.0] * 10 + FALLING[:13], False), (30, FALLING[:12] + [-50.0] * 11, True), (30, FALLING[:12] + [-50.0] * 10, False),
        (30, [9.0] * 10, False), (30, [9.0] * 11, True),
    ],
)  # fmt: skip
def test_a_page_is_torn_where_its_neighbours_do_not_show_all_of_a_score(
    offset: int, scores: list[float], torn: bool
) -> None:
    assert page_of(offset, 3).is_torn(points(*((str(n), score) for n, score in enumerate(scores)))) == torn


def test_a_torn_page_is_cut_out_of_the_whole_list() -> None:
    whole = points(("z", 9), ("d", 5), ("a", 5), ("c", 5), ("b", 5), ("y", 3))
    assert [point.id for point in page_of(0, 3).cut(whole, whole=True)] == ["z", "a", "b"]
    assert [point.id for point in page_of(3, 3).cut(whole, whole=True)] == ["c", "d", "y"]
