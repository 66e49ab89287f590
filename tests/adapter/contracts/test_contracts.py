"""What may cross the boundary, value by value; what may not is refused in a sentence that says why."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec_qdrant import Event, InvalidInput, Item, Receipt, Recommendation, SpaceConfig
from llmrec_qdrant.contracts.answers import Rejected
from llmrec_qdrant.contracts.config import LEGS
from llmrec_qdrant.contracts.entities import RESERVED
from llmrec_qdrant.contracts.messages import (
    MESSAGES,
    EmbedItems,
    EmbedTexts,
    FitCollab,
    Message,
    Reconcile,
    RefreshUsers,
    RunJob,
)

MOMENT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)  # Unix second 1,700,000,000


def event(**fields: Any) -> Event:
    return Event(**{"user": "alice", "type": "view", "item": "tt1", "ts": 1_700_000_000, **fields})


def refusal(model: Any, /, **fields: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        model(**fields)
    assert type(caught.value) is InvalidInput
    return str(caught.value)


# --- time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (1_700_000_000, MOMENT),
        (1_700_000_000.25, MOMENT + timedelta(microseconds=250_000)),
        ("1700000000", MOMENT),
        (" 1700000000.5 ", MOMENT + timedelta(microseconds=500_000)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
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
    [1_700_000_000_000, "1700000000000", 1e11, -1, "-1", -0.5, math.nan, math.inf, 10**400, "9" * 400],
    ids=lambda value: repr(value)[:20],
)
def test_a_number_that_is_no_unix_second_is_refused(given: object) -> None:
    assert refusal(event, ts=given).startswith("Event: 'ts': a number means Unix seconds, and ")


def test_milliseconds_are_guessed_in_the_refusal() -> None:
    assert refusal(event, ts=1_700_000_000_000) == (
        "Event: 'ts': a number means Unix seconds, and 1700000000000 is out of range: milliseconds?"
    )


@pytest.mark.parametrize(
    "given",
    [True, None, "", "yesterday", "nan", "1e9", [1], {}, timedelta(1), "2023-13-01", "2023-02-30T00:00:00Z"],
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
        f"Event: 'ts': {later.isoformat()} lies more than a day in the future: check the clock and the unit"
    )
    assert "more than a day in the future" in refusal(event, ts=99_999_999_999)


def test_an_event_without_time_happened_now() -> None:
    before = datetime.now(UTC)
    found = Event(user="alice", type="view", item="tt1").ts
    assert before <= found <= datetime.now(UTC)


# --- the id of an event --------------------------------------------------------------------------


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


# --- ids -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("tt1", "tt1"), (1, "1"), (0, "0"), (-5, "-5"), ("a" * 256, "a" * 256), ("a b", "a b"),
        ("星际穿越", "星际穿越"), ("🎬👨‍👩‍👧", "🎬👨‍👩‍👧"), ("星" * 256, "星" * 256), ("a/b?c#d%20", "a/b?c#d%20"),
        ("'; drop table", "'; drop table"),
    ],
)  # fmt: skip
def test_an_id_is_kept_as_it_is_and_an_integer_becomes_text(given: object, expected: str) -> None:
    assert Item(id=given).id == expected
    named = event(user=given, item=given, session=given, id=given)
    assert named.model_dump(include={"user", "item", "session", "id"}) == {
        "user": expected, "item": expected, "session": expected, "id": expected,
    }  # fmt: skip
    assert Item(id="x", tenant=given).tenant == expected


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "an id must not be empty or begin or end with white space, not ''"),
        (" tt1", "an id must not be empty or begin or end with white space, not ' tt1'"),
        ("tt1\n", r"an id must not be empty or begin or end with white space, not 'tt1\n'"),
        ("\u3000tt1", r"an id must not be empty or begin or end with white space, not '\u3000tt1'"),
        ("a" * 257, "an id may have 256 characters, and this one has 257"),
        ("a" * 1_000_000, "an id may have 256 characters, and this one has 1,000,000"),
        ("a\x00b", r"an id must not contain control characters: '\x00' in 'a\x00b'"),
        ("a\x1fb", r"an id must not contain control characters: '\x1f' in 'a\x1fb'"),
        ("a\x7fb", r"an id must not contain control characters: '\x7f' in 'a\x7fb'"),
        ("a\x85b", r"an id must not contain control characters: '\x85' in 'a\x85b'"),
        ("a\ud800b", r"an id must not contain control characters: '\ud800' in 'a\ud800b'"),
        (True, "input should be a valid string (got True)"),
        (1.5, "input should be a valid string (got 1.5)"),
        (None, "input should be a valid string (got None)"),
        (["a"], "input should be a valid string (got ['a'])"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_bad_id_is_refused_with_field_and_value(given: object, reason: str) -> None:
    assert refusal(Item, id=given) == f"Item: 'id': {reason}"
    assert refusal(event, user=given) == f"Event: 'user': {reason}"


@pytest.mark.parametrize("given", [10**300, 10**5_000], ids=["301 digits", "5001 digits"])
def test_a_huge_integer_is_no_id(given: int) -> None:
    """Python itself refuses to write integers of more than 4,300 digits."""
    assert refusal(Item, id=given).startswith("Item: 'id': ")


# --- texts ---------------------------------------------------------------------------------------


def test_a_text_may_have_a_million_characters() -> None:
    assert len(Item(id="a", text="星" * 1_000_000).text) == 1_000_000
    assert refusal(Item, id="a", title="x" * 1_000_001) == (
        "Item: 'title': a text may have 1,000,000 characters, and this one has 1,000,001: send its beginning or a summary"
    )


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a\ud800b", "a?b"), ("\udc80", "?"), (None, ""), ("🎬", "🎬"), ("\x00\x1b[31m", "\x00\x1b[31m"),
        ("  two\r\nlines ", "  two\r\nlines "),
    ],
)  # fmt: skip
def test_a_text_is_kept_but_for_half_a_surrogate_pair(given: object, kept: str) -> None:
    assert Item(id="a", title=given, text=given).model_dump(include={"title", "text"}) == {"title": kept, "text": kept}


@pytest.mark.parametrize(
    ("title", "text", "source"),
    [("", "", ""), ("A", "", "A"), ("", "b", "b"), (" A ", "\nb\n", "A\nb"), ("  ", "b", "b"), ("A", "A", "A\nA")],
)
def test_title_and_text_are_encoded_together(title: str, text: str, source: str) -> None:
    assert Item(id="a", title=title, text=text).source == source


# --- payload -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*sorted(RESERVED), "bookkeeping.stale", "bookkeeping[0]"])
def test_names_of_the_product_are_refused_in_a_payload(name: str) -> None:
    assert refusal(Item, id="a", payload={name: 1}) == (
        f"Item: 'payload': the names ['{name}'] are the product's own: rename these fields"
    )


def test_names_of_the_product_are_free_further_down() -> None:
    assert Item(id="a", payload={"mine": {"item_id": 1}, "user_id": 2}).payload == {
        "mine": {"item_id": 1},
        "user_id": 2,
    }
    freed = {"stale": True, "legs": ["left"], "model": "T", "lease": 12, "attempts": 3, "bookkeepings": 1}
    assert Item(id="a", payload=freed).payload == freed


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf], ids=str)
def test_a_payload_number_is_finite_wherever_it_stands(number: float) -> None:
    for payload in ({"a": number}, {"a": [1, {"b": number}]}, {"a": {"b": {"c": [number]}}}):
        assert refusal(Item, id="a", payload=payload) == (
            "Item: 'payload': numbers must be finite: JSON knows neither NaN nor infinity"
        )


@pytest.mark.parametrize("payload", [{"a": "\ud800"}, {"\ud800": 1}, {"a": [{"b": "x\udfff"}]}])
def test_a_payload_holds_no_half_surrogate_pair(payload: dict[str, Any]) -> None:
    assert refusal(Item, id="a", payload=payload) == (
        "Item: 'payload': a text contains half a surrogate pair, which UTF-8 cannot encode"
    )


def test_a_payload_has_64000_bytes_of_json() -> None:
    frame = len('{"a": ""}')
    assert Item(id="a", payload={"a": "x" * (64_000 - frame)}).payload["a"] == "x" * (64_000 - frame)
    assert refusal(Item, id="a", payload={"a": "x" * (64_001 - frame)}) == (
        "Item: 'payload': a payload may have 64,000 bytes as JSON, and this one has 64,001"
    )
    assert "this one has 64,002" in refusal(Item, id="a", payload={"a": "x" * (64_000 - frame - 1) + "星"})


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [130, 250, 300, 2_000])
def test_a_payload_too_deep_for_qdrant_is_refused_at_the_door(depth: int) -> None:
    """Qdrant reads 127 levels of JSON; one deeper item would have its whole batch refused."""
    assert len(refusal(Item, id="a", payload={"a": nested(depth)})) < 1_000


def test_a_payload_of_some_depth_is_accepted() -> None:
    assert Item(id="a", payload={"a": nested(50)}).payload == {"a": nested(50)}


@pytest.mark.parametrize("number", [10**400, 10**5_000], ids=["401 digits", "5001 digits"])
def test_an_integer_too_large_for_qdrant_is_refused_at_the_door(number: int) -> None:
    assert refusal(Item, id="a", payload={"a": number}).startswith("Item: 'payload': ")


@pytest.mark.parametrize(
    "payload",
    [None, [], "year", {1: 2}, {"a": object()}, {"a": MOMENT}, {"a": b"x"}],
    ids=lambda value: str(value).split(" at 0x")[0],
)
def test_a_payload_is_a_json_object(payload: object) -> None:
    assert refusal(Item, id="a", payload=payload).startswith("Item: 'payload")


def test_a_payload_that_holds_itself_is_refused() -> None:
    cycle: dict[str, Any] = {}
    cycle["a"] = cycle
    assert refusal(Item, id="a", payload=cycle).startswith("Item: 'payload")


# --- events --------------------------------------------------------------------------------------


def test_an_event_is_about_something() -> None:
    assert refusal(event, item=None) == "Event: 'input': an event needs an item or a text"
    assert refusal(event, item=None, text=" \n ") == "Event: 'input': an event needs an item or a text"
    assert event(item=None, text="time travel").item is None


def test_a_rating_needs_a_value() -> None:
    assert refusal(event, type="rating") == "Event: 'input': a rating needs a value"
    assert event(type="rating", value=0).value == 0.0
    assert event(type="view", value=3).value == 3.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
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


# --- the space -----------------------------------------------------------------------------------


def test_the_defaults_of_a_space() -> None:
    config = SpaceConfig()
    assert config.encoder_id == "sentence-transformers/all-MiniLM-L6-v2 (384 dimensions, max 256 tokens, mean)"
    assert (config.size, config.half_life_days, config.position_decay, config.history) == (384, 30.0, 0.6, 100)
    assert config.weights == {"dense": 1.0, "tfidf": 1.0, "collab": 2.0}
    assert SpaceConfig(revision="abc", pooling="cls").encoder_id == (
        "sentence-transformers/all-MiniLM-L6-v2@abc (384 dimensions, max 256 tokens, cls)"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"revision": "abc"},
        {"pooling": "cls"},
        {"size": 256},
        {"max_tokens": 384},
        {"similarity": "pearson"},
        {"stemmer": "german"},
    ],
    ids=str,
)
def test_whatever_changes_the_vectors_changes_their_name(change: dict[str, Any]) -> None:
    assert change.keys() <= set(SpaceConfig.IDENTITY)
    assert SpaceConfig(**change).encoder_id != SpaceConfig().encoder_id
    assert SpaceConfig(half_life_days=1).encoder_id == SpaceConfig().encoder_id


def test_defaults_are_not_shared() -> None:
    SpaceConfig().weights["dense"] = 9
    SpaceConfig().event_weights["view"] = 9
    Item(id="a").payload["b"] = 1
    assert (SpaceConfig().weights["dense"], SpaceConfig().event_weights["view"], Item(id="a").payload) == (1.0, 1.0, {})


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"size": 0}, "SpaceConfig: 'size': input should be greater than or equal to 1 (got 0)"),
        ({"prefetch": 10_001}, "SpaceConfig: 'prefetch': input should be less than or equal to 10000 (got 10001)"),
        (
            {"rating_scale": (5, 1)},
            "SpaceConfig: 'input': rating_scale must rise from lowest to highest, not (5.0, 1.0)",
        ),
        (
            {"rating_scale": (3, 3)},
            "SpaceConfig: 'input': rating_scale must rise from lowest to highest, not (3.0, 3.0)",
        ),
        (
            {"rating_scale": (math.nan, 1)},
            "SpaceConfig: 'input': rating_scale must rise from lowest to highest, not (nan, 1.0)",
        ),
        (
            {"event_weights": {"view": math.inf}},
            "SpaceConfig: 'input': event_weights must be finite, not {'view': inf}",
        ),
        (
            {"weights": {}},
            "SpaceConfig: 'input': weights must be zero or more, at least one of them above zero, not {}",
        ),
        (
            {"weights": {"dense": 0}},
            "SpaceConfig: 'input': weights must be zero or more, at least one of them above zero, not {'dense': 0.0}",
        ),
        (
            {"weights": {"x": 1}},
            "SpaceConfig: 'weights.x.[key]': input should be 'dense', 'tfidf' or 'collab' (got 'x')",
        ),
        ({"fields": {"text": "text"}}, "SpaceConfig: 'fields': the product itself indexes ['text']: leave them out"),
        (
            {"fields": {"bookkeeping.stale": "bool", "year": "integer"}},
            "SpaceConfig: 'fields': the product itself indexes ['bookkeeping.stale']: leave them out",
        ),
        ({"similarity": "dot"}, "SpaceConfig: 'similarity': input should be 'cosine' or 'pearson' (got 'dot')"),
        ({"half_life": 1}, "SpaceConfig: 'half_life': extra inputs are not permitted (got 1)"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_setting_that_makes_no_sense_is_refused(fields: dict[str, Any], sentence: str) -> None:
    assert refusal(SpaceConfig, **fields) == sentence


@pytest.mark.parametrize("number", [math.inf, math.nan], ids=str)
def test_a_half_life_is_finite(number: float) -> None:
    """Infinity cannot be stored as JSON, so such a space could never be opened again."""
    assert refusal(SpaceConfig, half_life_days=number).startswith("SpaceConfig: 'half_life_days': ")


@pytest.mark.parametrize("name", ["", " ", "a[", "$", "a b", "a..b", ".a"])
def test_a_field_that_qdrant_cannot_index_is_refused(name: str) -> None:
    assert refusal(SpaceConfig, fields={name: "keyword"}).startswith("SpaceConfig: 'fields")


@pytest.mark.parametrize("name", ["year", "director.name", "cast[].name", "语言", "a-b_c2", '"a b"'])
def test_a_field_is_a_path_of_qdrant(name: str) -> None:
    assert SpaceConfig(fields={name: "keyword"}).fields == {name: "keyword"}


def test_a_model_has_a_name() -> None:
    assert refusal(SpaceConfig, model="").startswith("SpaceConfig: 'model': ")


# --- messages ------------------------------------------------------------------------------------


def test_messages_hold_names_and_ids_and_never_texts() -> None:
    assert {model.__name__: sorted(model.model_fields) for model in MESSAGES} == {
        "EmbedItems": ["ids", "space", "v"],
        "EmbedTexts": ["ids", "space", "v"],
        "FitCollab": ["ids", "space", "v"],
        "Reconcile": ["everything", "space", "v"],
        "RefreshUsers": ["ids", "space", "v"],
        "RunJob": ["job", "space", "v"],
    }


def test_names_and_queues_of_the_tasks() -> None:
    """Workers of another version listen to these names."""
    assert {model.task: model.queue for model in MESSAGES} == {
        "llmrec.embed_items": "encode",
        "llmrec.embed_texts": "refresh",
        "llmrec.fit_collab": "batch",
        "llmrec.reconcile": "batch",
        "llmrec.refresh_users": "refresh",
        "llmrec.run_job": "batch",
    }


def test_trainings_go_where_the_encoders_run() -> None:
    assert RunJob(space="s", job="train-7").destination() == "encode"
    assert RunJob(space="s", job="fit-topics-7").destination() == "batch"


@pytest.mark.parametrize("model", [EmbedItems, EmbedTexts, RefreshUsers])
def test_a_message_has_one_to_a_thousand_ids(model: Any) -> None:
    assert model(space="s", ids=["a"] * 1_000).model_dump(mode="json") == {"v": 1, "space": "s", "ids": ["a"] * 1_000}
    assert refusal(model, space="s", ids=["a"] * 1_001).startswith(
        f"{model.__name__}: 'ids': list should have at most 1000 items after validation, not 1001"
    )
    assert "'ids': list should have at least 1 item" in refusal(model, space="s", ids=[])
    assert refusal(model, space="s") == f"{model.__name__}: 'ids': field required"


def test_the_collab_leg_is_rebuilt_whole_or_for_some_items() -> None:
    assert FitCollab(space="s").ids == []
    assert refusal(FitCollab, space="s", ids=["x"] * 1001).startswith("FitCollab: 'ids': list should have at most 1000")


def test_a_message_about_a_job() -> None:
    assert RunJob(space="s", job="tune-1").model_dump(mode="json") == {"v": 1, "space": "s", "job": "tune-1"}
    assert refusal(RunJob, space="", job="tune-1") == (
        "RunJob: 'space': string should have at least 1 character (got '')"
    )
    assert refusal(RunJob, space="s") == "RunJob: 'job': field required"
    assert refusal(RunJob, space="s", job="tune-1", v=2) == "RunJob: 'v': input should be 1 (got 2)"


def test_reconcile_says_whether_leases_count() -> None:
    assert Reconcile(space="s").model_dump(mode="json") == {"v": 1, "space": "s", "everything": False}


# --- all of them ---------------------------------------------------------------------------------

SAMPLES: list[Any] = [
    Item(id="a"), Event(user="a", type="view", item="b"), SpaceConfig(), Recommendation(id="a", score=1.0), Receipt(),
    Rejected(position=0, reason="x"), EmbedItems(space="s", ids=["a"]), Reconcile(space="s"),
]  # fmt: skip


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_contracts_are_frozen(sample: Any) -> None:
    for name in type(sample).model_fields:
        with pytest.raises(ValueError, match="frozen"):
            setattr(sample, name, None)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_contracts_refuse_unknown_fields(sample: Any) -> None:
    fields = sample.model_dump()
    assert refusal(type(sample), **fields, surprise=1) == (
        f"{type(sample).__name__}: 'surprise': extra inputs are not permitted (got 1)"
    )


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_parse_takes_an_instance_as_it_is(sample: Any) -> None:
    assert type(sample).parse(sample) is sample


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, "'None'"), (5, "'5'"), ("alice", "'alice'"), ([("id", 1)], repr("[('id', 1)]")), ({1: 2}, "'{1: 2}'"),
        (b"{}", repr("b'{}'")), ("x" * 500, repr("x" * 60)),
    ],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_parse_wants_an_object_with_named_fields(given: object, shown: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Item.parse(given)
    assert str(caught.value) == f"Item: expected an object with named fields, not {shown}"


def test_parse_refuses_another_contract() -> None:
    with pytest.raises(InvalidInput, match=r"^Item: expected an object with named fields"):
        Item.parse(Event(user="a", type="view", item="b"))


def test_a_refusal_names_every_field_and_cuts_long_values() -> None:
    sentence = refusal(Item, title=["x" * 500], payload=7)
    assert sentence == (
        "Item: 'id': field required; "
        f"'title': input should be a valid string (got ['{'x' * 55}...); "
        "'payload': input should be a valid dictionary (got 7)"
    )


@pytest.mark.parametrize("depth", [900, 5_000, 100_000])
def test_a_refusal_can_show_a_value_of_any_depth(depth: int) -> None:
    assert refusal(Item, id="a", surprise=nested(depth)).startswith("Item: 'surprise': extra inputs are not permitted")


def test_a_refusal_is_a_value_error_without_a_pydantic_trace() -> None:
    with pytest.raises(ValueError, match="'id'") as caught:
        Item()  # type: ignore[call-arg]
    assert caught.value.__suppress_context__


# --- round trips ---------------------------------------------------------------------------------

characters = st.characters(exclude_categories=["Cs"])
ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=256).filter(lambda s: s == s.strip())
texts = st.text(characters, max_size=300)
numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | numbers | st.text(characters, max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(characters, max_size=8), inner, max_size=3),
    max_leaves=8,
)
payloads = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"'), min_size=1, max_size=10).filter(
        lambda key: key not in RESERVED and key.strip()
    ),
    json_values,
    max_size=4,
)
moments = st.datetimes(datetime(1971, 1, 1), datetime(2024, 1, 1), timezones=st.just(UTC))
items = st.builds(
    Item, id=ids | st.integers(-(2**63), 2**63), title=texts, text=texts, payload=payloads, tenant=st.none() | ids
)
events = st.builds(
    Event,
    user=ids,
    type=st.from_regex(r"[a-z][a-z0-9_-]{0,39}", fullmatch=True).filter(lambda word: word != "rating"),
    item=ids,
    text=texts,
    value=st.none() | numbers,
    ts=moments | st.integers(0, 1_700_000_000) | st.floats(0, 1_700_000_000),
    session=st.none() | ids,
    id=st.none() | ids,
)
configs = st.builds(
    SpaceConfig,
    revision=st.none() | st.text("0123456789abcdef", min_size=7, max_size=40),
    pooling=st.sampled_from(["mean", "cls"]),
    size=st.integers(1, 8192),
    max_tokens=st.integers(8, 8192),
    similarity=st.sampled_from(["cosine", "pearson"]),
    fields=st.dictionaries(st.sampled_from(["year", "lang", "a.b"]), st.sampled_from(["keyword", "integer", "geo"])),
    half_life_days=st.floats(0.01, 10_000),
    position_decay=st.floats(0.01, 1),
    collab_decay=st.floats(0.01, 1),
    collab_distance=st.floats(0, 4),
    event_weights=st.dictionaries(st.sampled_from(["view", "own"]), numbers),
    rating_scale=st.tuples(st.floats(-10, 0), st.floats(1, 10)),
    weights=st.dictionaries(st.sampled_from(LEGS), st.floats(0.01, 100), min_size=1),
    prefetch=st.integers(1, 10_000),
)


@given(items)
def test_an_item_comes_back_from_json(item: Item) -> None:
    assert Item.parse(json.loads(item.model_dump_json())) == item


@given(events)
def test_an_event_comes_back_from_json_with_the_same_id(event: Event) -> None:
    back = Event.parse(json.loads(event.model_dump_json()))
    assert back == event
    assert back.event_id == event.event_id


@given(configs)
def test_a_configuration_comes_back_from_json(config: SpaceConfig) -> None:
    assert SpaceConfig.parse(json.loads(config.model_dump_json())) == config
    assert SpaceConfig.parse(config.model_dump(mode="json")) == config


@given(st.sampled_from([EmbedItems, EmbedTexts, RefreshUsers]), st.lists(st.uuids().map(str), min_size=1, max_size=50))
def test_a_message_comes_back_from_json(model: type[Message], point_ids: list[str]) -> None:
    message = model.parse({"space": "movies", "ids": point_ids})
    assert model.parse(json.loads(message.model_dump_json())) == message


@given(st.dictionaries(st.sampled_from([*Item.model_fields, "other"]), json_values | st.binary() | st.floats()))
def test_an_item_is_read_or_refused_and_nothing_else(data: dict[str, Any]) -> None:
    try:
        Item.parse(data)
    except InvalidInput as refused:
        assert str(refused).startswith("Item: '")


@given(st.dictionaries(st.sampled_from([*Event.model_fields, "other"]), json_values | st.floats() | ids))
def test_an_event_is_read_or_refused_and_nothing_else(data: dict[str, Any]) -> None:
    try:
        Event.parse({"user": "a", "type": "view", "item": "b", **data})
    except InvalidInput as refused:
        assert str(refused).startswith("Event: '")
