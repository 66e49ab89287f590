"""Which items a user does not want, worked out by hand."""

from __future__ import annotations

import pytest

from llmrec_qdrant import SpaceConfig
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point
from workers.items.interactions import unwanted_items

CONFIG = SpaceConfig(rating_scale=(1, 5), event_weights={"skip": -0.5})


@pytest.mark.parametrize(
    ("told", "unwanted"),
    [
        (["dislike"], True),
        (["rating 1"], True),
        (["rating 3"], False),
        (["rating 5", "rating 2"], True),
        (["dislike", "like"], False),
        (["dislike", "undislike"], False),
        (["like", "unlike"], False),
        (["like", "view", "dislike", "view"], True),
        (["view", "skip"], False),
        (["view", "skip", "skip", "skip"], True),
        (["view", "purchase", "return"], True),
        (["purchase", "refund", "purchase"], False),
        (["like", "purchase", "return"], False),
        (["view"], False),
    ],
)
def test_what_a_user_does_not_want(told: list[str], unwanted: bool) -> None:
    events = [
        Point(
            str(place),
            {
                Key.ITEM_ID: "a",
                Key.TYPE: words.split()[0],
                Key.VALUE: float(words.split()[1]) if " " in words else None,
                Key.TS: f"2024-01-01T00:00:{place:02}Z",
            },
        )
        for place, words in enumerate(told)
    ]
    search = Point("s", {Key.TYPE: "search", Key.TEXT: "a", Key.TS: "2024-01-01T00:00:00Z"})
    assert unwanted_items([*events[::-1], search], CONFIG) == (["a"] if unwanted else [])
