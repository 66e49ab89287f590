"""The events that a refresh stores for evidence are read in both forms in which they have been stored."""

import pytest

from llmrec_qdrant import SpaceConfig
from llmrec_qdrant.query.sources import of_user
from llmrec_qdrant.space.ids import point_id

TEXT = "8fe1410c-b677-56c6-ae82-7690958bff6c"
NORMS = {"dense": 2.0, "tfidf": 4.0, "collab": 1.0}
SHORT = [{"ts": 86_400.0, "weight": 1.0, "item": "a"}, {"ts": 86_400.0, "weight": 0.5, "event": TEXT, "text": True}]
LONG = [
    {"event": "e1", "item": "a", "type": "view", "ts": 86_400.0, "weight": 1.0, "text": False},
    {"event": TEXT, "item": None, "type": "search", "ts": 86_400.0, "weight": 0.5, "text": True},
]


@pytest.mark.parametrize("events", [SHORT, LONG])
def test_an_item_and_a_text_weigh_their_decayed_share_of_the_norm(events: list[dict[str, object]]) -> None:
    config = SpaceConfig(position_decay=0.5, collab_decay=0.8)
    item, text = of_user({"events": events, "norms": NORMS}, config, None).all
    assert (item.item, item.point) == ("a", point_id("item", "a", None))
    assert item.weights == pytest.approx({"dense": 1 / 2, "tfidf": 1 / 4, "collab": 1.0})
    assert (text.item, text.point) == (None, TEXT)
    assert text.weights == pytest.approx({"dense": 0.25 / 2, "tfidf": 0.25 / 4})  # one step back: half of 0.5


@pytest.mark.parametrize("events", [SHORT, LONG])
def test_without_an_item_the_text_is_the_newest(events: list[dict[str, object]]) -> None:
    config = SpaceConfig(position_decay=0.5, collab_decay=0.8)
    (text,) = of_user({"events": events, "norms": NORMS}, config, None, without=["a"]).all
    assert text.weights == pytest.approx({"dense": 0.5 / 2, "tfidf": 0.5 / 4})
