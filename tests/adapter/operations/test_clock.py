"""The clock that all machines share: measured by the answers of Qdrant, and reported where it differs from this machine's."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from llmrec_qdrant import AsyncRecommender, Recommender, SpaceConfig
from llmrec_qdrant.operations import clock, notes
from llmrec_qdrant.operations.clock import Difference
from tests.clocks import moved
from tests.spaces import drop, fresh_name

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATE = "Sun, 01 Mar 2026 12:00:00 GMT"


def measured(*ahead: float) -> Difference:
    """What answers that arrived so many seconds after the time they carry make of it."""
    difference = Difference()
    for seconds in ahead:
        difference.measure(DATE, NOON + timedelta(seconds=seconds))
    return difference


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        ([0.2], 0.0),  # a header has whole seconds
        ([3.4], 0.0),
        ([-2.4], 0.0),
        ([92.5], 92.0),
        ([-89.5], -90.0),
        ([40.5, 0.5], 0.0),  # the first answer was delayed
        ([0.5, 40.5], 0.0),  # the second one was
        ([92.5, 93.0, 91.9], 92.0),  # steady within the resolution of the header
        ([92.5, 10.5], 10.0),  # the clock was set
        ([0.5, 60.5, 60.5, 60.5, 60.5], 0.0),
        ([0.5, 60.5, 60.5, 60.5, 60.5, 60.5], 60.0),  # five delayed answers in a row are a clock
    ],
)
def test_the_difference_is_the_least_of_the_last_answers(ahead: list[float], expected: float) -> None:
    assert measured(*ahead).seconds == pytest.approx(expected)


@pytest.mark.parametrize("date", ["", "yesterday", "Sun, 99 Mar 2026 12:00:00 GMT", "12"])
def test_an_answer_without_a_readable_time_changes_nothing(date: str) -> None:
    difference = measured(92.5)
    difference.measure(date, NOON)
    assert difference.seconds == pytest.approx(92.0)


def test_the_sentence_names_the_machine_and_the_side() -> None:
    assert clock.in_words("host a", 3700.2).startswith("The clock of host a is 3,700 s ahead of Qdrant's: ")


@pytest.mark.qdrant
@pytest.mark.parametrize("seconds", [-5_000.0, -90.0, 90.0, 5_000.0])
def test_a_machine_whose_clock_is_wrong_writes_qdrants_time_and_says_so(qdrant_url: str, seconds: float) -> None:
    side = "ahead of" if seconds > 0 else "behind"
    with moved(seconds):
        rec = Recommender.connect(qdrant_url, space=fresh_name())
        rec.create(SpaceConfig(model="hash", size=8))
        told = rec.status().notes
        wrong = abs((clock.present() - datetime.now(UTC)).total_seconds())  # this file's clock is right
        drop(rec)
    assert wrong < clock.TOLERANCE
    assert len(told) == 1
    assert told[0].startswith("The clock of this machine is ") and f" s {side} Qdrant's" in told[0]


@pytest.mark.qdrant
def test_the_asynchronous_recommender_measures_too(qdrant_url: str) -> None:
    async def told() -> list[str]:
        async with AsyncRecommender.connect(qdrant_url, space=name) as rec:
            return (await rec.status()).notes

    name = fresh_name()
    rec = Recommender.connect(qdrant_url, space=name)
    rec.create(SpaceConfig(model="hash", size=8))
    assert rec.status().notes == []
    with moved(600):
        assert "ahead of Qdrant's" in " ".join(asyncio.run(told()))
    drop(rec)


def test_a_note_counts_while_it_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = (
        notes.entry("b", "Second.") | notes.entry("a", "First.") | {"llmrec": {}, "note_c": "no note", "note_d": {}}
    )
    assert notes.shown(stored) == ["First.", "Second."]
    assert not notes.to_renew(stored, "a", "First.")
    assert notes.to_renew(stored, "a", "Other.") and notes.to_renew(stored, "c", "x") and notes.to_renew({}, "a", "x")
    with moved(notes.RENEWED_AFTER.total_seconds() + 1):
        assert notes.to_renew(stored, "a", "First.") and len(notes.shown(stored)) == 2
    with moved(notes.MAX_AGE.total_seconds() + 1):
        assert notes.shown(stored) == []
