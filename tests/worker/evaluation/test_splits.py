"""Which events a split holds out, and which items become targets."""

from __future__ import annotations

from typing import Any

from llmrec_qdrant import SpaceConfig
from workers.evaluation.splits import Split, hide_last, hide_latest, hide_next

CONFIG = SpaceConfig(model="hash", size=32)


def event(user: str, item: str, day: int, kind: str = "view") -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "tenant": "", "type": kind, "ts": f"2024-01-{day:02d}T00:00:00.000000Z"}


def hidden(found: Split, events: list[dict[str, Any]]) -> list[str]:
    return [f"{one['user_id']}{one['item_id']}" for one in events if found.hides(one)]


def test_the_target_is_the_last_item_taken_for_the_first_time() -> None:
    events = [event("u", "a", 1), event("u", "b", 2), event("u", "a", 3), event("u", "c", 4, "dislike")]
    found = hide_last(events, CONFIG, 10)
    (target,) = found.targets
    assert (target.user, target.items, target.events_before) == ("u", ("b",), 1)
    assert hidden(found, events) == ["ub", "ua", "uc"]
    assert hide_last([event("u", "a", 1), event("u", "a", 2)], CONFIG, 10).targets == ()
    (again,) = hide_last(events, CONFIG, 10, repeats=True).targets  # where lists may hold what a user had
    assert (again.items, again.events_before) == (("a",), 2)


def test_hiding_several_items_leaves_a_past() -> None:
    events = [event("u", item, day) for day, item in enumerate("abcd", start=1)] + [
        event("v", "a", 1),
        event("v", "b", 2),
    ]
    found = hide_last(events, CONFIG, 10, hide=2)
    assert [(one.user, one.items) for one in found.targets] == [("u", ("c", "d"))]
    assert hidden(found, events) == ["uc", "ud"]


def test_among_simultaneous_items_a_random_one_is_the_target() -> None:
    events = [event(f"u{n}", "a", 1) for n in range(40)] + [event(f"u{n}", item, 2) for n in range(40) for item in "bc"]
    found = hide_last(events, CONFIG, 40)
    assert {one.items for one in found.targets} == {("b",), ("c",)}
    assert hide_last(events, CONFIG, 40) == found != hide_last(events, CONFIG, 40, seed=1)


def test_a_split_in_time_hides_all_later_events() -> None:
    events = [event("u", "a", 1), event("v", "b", 2), event("u", "b", 9), event("v", "b", 10), event("w", "c", 10)]
    found = hide_latest(events, CONFIG, 10, share=0.5)
    assert [(one.user, one.items, one.events_before) for one in found.targets] == [
        ("u", ("b",), 1)
    ]  # v had b, w is new
    assert hidden(found, events) == ["ub", "vb", "wc"]
    assert hide_latest([], CONFIG, 10).targets == ()


def test_hide_next_keeps_histories_fresh_and_models_old() -> None:
    """Four of eight events are the latest half: from day 9 on. v took c before it; w has no past; x did nothing lately."""
    events = [
        event("u", "a", 1), event("v", "c", 2), event("x", "a", 2), event("x", "b", 3),
        event("u", "b", 9), event("u", "d", 10), event("v", "c", 10), event("w", "c", 10),
    ]  # fmt: skip

    def asked(**options: Any) -> set[tuple[str, tuple[str, ...], int]]:
        splits = [hide_next(events, CONFIG, 10, seed, share=0.5, **options) for seed in range(20)]
        return {(one.user, one.items, one.events_before) for split in splits for one in split.targets}

    assert asked(repeats=True) == {("u", ("b",), 1), ("u", ("d",), 2), ("v", ("c",), 1)}
    assert asked() == {("u", ("b",), 1), ("u", ("d",), 2)}
    for seed in range(20):
        split = hide_next(events, CONFIG, 10, seed, share=0.5)
        (target,) = split.targets
        assert hidden(split, events) == ["ub", "ud", "vc", "wc"]
        assert [one for one in events if split.recent(one)] == events[4:5] * (target.items == ("d",))
    assert hide_next(events, CONFIG, 10, share=0.5) == hide_next(events, CONFIG, 10, share=0.5)
    assert len(hide_next(events, CONFIG, 1, share=0.5, repeats=True).targets) == 1
    assert hide_next([], CONFIG, 10).targets == ()
