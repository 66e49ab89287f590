"""Events: times, derived ids, and what is refused."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from llmrec_qdrant import Event, InvalidInput

MOMENT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)  # Unix second 1,700,000,000


def event(**fields: Any) -> Event:
    return Event(**{"user": "alice", "type": "view", "item": "tt1", "ts": 1_700_000_000, **fields})


def refusal(model: Any, /, **fields: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        model(**fields)
    assert type(caught.value) is InvalidInput
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (1_700_000_000, MOMENT),
        (1_700_000_000.25, MOMENT + timedelta(microseconds=250_000)),
        ("1700000000", MOMENT),
        (" 1700000000.5 ", MOMENT + timedelta(microseconds=500_000)),
        (1_700_000_000_000, MOMENT),
        (20231114, datetime(2023, 11, 14, tzinfo=UTC)),
        ("2023-11-14T22:13:20Z", MOMENT),
        ("2023-11-14T22:13:20+00:00", MOMENT),
        ("2023-11-15T06:13:20+08:00", MOMENT),
        ("2023-11-14T22:13:20", MOMENT),
        ("2023-11-14 22:13:20", MOMENT),
        ("2023-11-14T22:13:20.000001Z", MOMENT + timedelta(microseconds=1)),
        ("2023-11-14", datetime(2023, 11, 14, tzinfo=UTC)),
        (date(2023, 11, 14), datetime(2023, 11, 14, tzinfo=UTC)),
        (datetime(2023, 11, 14, 22, 13, 20), MOMENT),
        (datetime(2023, 11, 14, 17, 13, 20, tzinfo=timezone(timedelta(hours=-5))), MOMENT),
        (datetime(1950, 1, 1, tzinfo=UTC), datetime(1950, 1, 1, tzinfo=UTC)),
    ],
)
def test_time_is_unix_seconds_or_iso_8601_and_without_a_zone_utc(given: object, expected: datetime) -> None:
    read = event(ts=given).ts
    assert read == expected
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "given",
    [1e11, -1, "-1", -0.5, math.inf, 10**400, "9" * 400, "5", 5, 0, 86_400, 45413, 202405],
    ids=lambda value: repr(value)[:20],
)
def test_a_number_that_is_no_time_is_refused(given: object) -> None:
    assert refusal(event, ts=given).startswith("Event: 'ts': ")


@pytest.mark.parametrize(
    "given",
    [True, None, "", "yesterday", "nan", "1e9", [1], {}, timedelta(1), "2023-13-01", "2023-02-30T00:00:00Z", math.nan],
    ids=repr,
)
def test_what_is_no_time_is_refused(given: object) -> None:
    assert refusal(event, ts=given).startswith("Event: 'ts': ")


@pytest.mark.parametrize("given", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_utc_cannot_hold_is_refused(given: str) -> None:
    assert refusal(event, ts=given).startswith("Event: 'ts': ")


def test_a_day_of_skew_is_forgiven_and_no_more() -> None:
    now = datetime.now(UTC)
    assert event(ts=now + timedelta(hours=23)).ts == now + timedelta(hours=23)
    later = now + timedelta(hours=25)
    assert refusal(event, ts=later) == (
        f"Event: 'ts': {later.isoformat()} lies more than a day in the future: check the clock, and that numbers are seconds"
    )
    assert "more than a day in the future" in refusal(event, ts=4_000_000_000)


def test_an_event_without_time_happened_now() -> None:
    before = datetime.now(UTC)
    found = Event(user="alice", type="view", item="tt1").ts
    assert before <= found <= datetime.now(UTC)


def test_the_derived_id_never_changes() -> None:
    """Stored data depends on these two values."""
    search = Event(user="alice", type="search", text="time travel", ts=1_700_000_000)
    assert search.event_id == "a2bc3a4ec4e22610894ea65c5327267c"
    rating = Event(user="alice", item="tt1", type="rating", value=4, ts=1_700_000_000.5, session="s1")
    assert rating.event_id == "dd97e95c55b3a60452a0a0ede122b144"


@pytest.mark.parametrize(
    "ts", [1_700_000_000, 1_700_000_000.0, "1700000000", "2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00", MOMENT]
)
def test_the_same_moment_has_the_same_id(ts: object) -> None:
    assert event(ts=ts).event_id == event().event_id


def test_integer_and_text_ids_have_the_same_id() -> None:
    assert event(user=7, item=8).event_id == event(user="7", item="8").event_id


@pytest.mark.parametrize(
    "change",
    [
        {"user": "bob"}, {"type": "like"}, {"item": "tt2"}, {"item": None, "text": "tt1"}, {"text": "x"},
        {"value": 1.0}, {"ts": 1_700_000_001}, {"ts": 1_700_000_000.000001}, {"session": "s"},
    ],
    ids=str,
)  # fmt: skip
def test_any_change_changes_the_derived_id(change: dict[str, Any]) -> None:
    assert event(**change).event_id != event().event_id


def test_your_own_id_is_kept() -> None:
    assert event(id="order-7").event_id == "order-7"
    assert event(id=7).event_id == "7"


def test_an_event_is_about_something() -> None:
    assert refusal(event, item=None) == "Event: an event needs an item or a text"
    assert refusal(event, item=None, text=" \n ") == "Event: an event needs an item or a text"
    assert event(item=None, text="time travel").item is None


def test_a_rating_needs_a_value() -> None:
    assert refusal(event, type="rating") == "Event: a rating needs a value"
    assert event(type="rating", value=0).value == 0.0
    assert event(type="view", value=3).value == 3.0


def test_a_value_that_pandas_left_out_is_missing() -> None:
    assert event(value=math.nan).value is None
    assert event(text=math.nan).text == ""
    assert refusal(event, type="rating", value=math.nan) == "Event: a rating needs a value"


@pytest.mark.parametrize("value", [math.inf, -math.inf], ids=str)
def test_a_value_is_finite(value: float) -> None:
    assert (
        refusal(event, type="rating", value=value) == f"Event: 'value': input should be a finite number (got {value})"
    )


@pytest.mark.parametrize("word", ["view", "add-to_cart2", "v", "v" * 40])
def test_a_type_may_be_a_word_of_your_own(word: str) -> None:
    assert event(type=word).type == word


@pytest.mark.parametrize("word", ["", "View", "v" * 41, "1st", "a b", "view\n", "浏览", "-a"])
def test_a_type_is_a_short_lower_case_word(word: str) -> None:
    assert refusal(event, type=word) == (
        f"Event: 'type': an event type must be a short lower-case word such as 'view', not {word[:40]!r}"
    )
