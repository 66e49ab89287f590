"""What a refresh stores of an event for evidence."""

from llmrec_qdrant import SpaceConfig
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point
from workers.behaviour.fold import Past, Profile
from workers.users.evidence import evidence_of


def test_rows_hold_what_evidence_needs_and_no_more() -> None:
    events = [
        Point("e1", {Key.ITEM_ID: "a", Key.TYPE: "view"}),
        Point("e2", {Key.TEXT: "time travel", Key.TYPE: "search"}),
        Point("e3", {Key.ITEM_ID: "b", Key.TEXT: "dull", Key.TYPE: "review"}),
    ]
    past = [Past(3.0, 1.0), Past(2.0, 0.5), Past(1.0, -1.0)]
    stored = evidence_of(events, past, Profile(dense=[1.0]), SpaceConfig())
    assert stored["events"] == [
        {"ts": 3.0, "weight": 1.0, "item": "a"},
        {"ts": 2.0, "weight": 0.5, "event": "e2", "text": True},
        {"ts": 1.0, "weight": -1.0, "item": "b", "event": "e3", "text": True},
    ]
