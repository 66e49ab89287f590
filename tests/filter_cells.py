"""Every kind of field × operator × spelling of a value, with answers by brute force over the payloads.

``python -m tests.filter_cells`` asks both back ends for every cell, compares, and prints the table.
"""

from __future__ import annotations

import random
import sys
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any

import numpy as np

from llmrec_qdrant import InvalidFilter, Recommender, SpaceConfig
from llmrec_qdrant.query.filters import parse_filter
from tests.spaces import fresh_name

# --- what is stored -------------------------------------------------------------------------------

PATHS = ("my_{}", "object.my_{}", "objects[].my_{}")
"""Where a field lies: at the top, in an object, in each object of a list."""

STORED: Mapping[str, Sequence[Any]] = {
    "keyword": ["zh", "en", "", "中文", "7", "a,b", 'say "hi"', "Zh"],
    "integer": [-5, 0, 1, 2013, 2014, 2**53, 2**53 + 1, -(2**63), 2**63 - 1],
    "float": [-1.5, 0, 0.1, 9.99, 2.5, 7, 1e300, 0.1 + 0.2],
    "bool": [True, False],
    "datetime": [
        "2023-12-31T23:59:59.999999Z", "2024-01-01", "2024-04-30T23:59:59Z", "2024-05-01", "2024-05-01T12:30:00Z",
        "2024-05-01T12:30:45Z", "2024-05-01T20:30:45+08:00", "2024-05-31T23:59:59.999Z", "2024-06-01 00:00:00", "2025-01-01",
    ],
    "uuid": ["550e8400-e29b-41d4-a716-446655440000", "550E8400E29B41D4A716446655440001", str(uuid.UUID(int=7))],
    "text": [
        "The astronauts travel through a wormhole", "科幻电影：人类推动地球离开太阳系", "東京タワーで映画を見る", "Café crème, 2024",
        "ภาพยนตร์เกี่ยวกับอวกาศ", "우주를 여행하는 영화", "iPhone 15 Pro-Max", "", "映画「七人の侍」を見た",
    ],
    "geo": [{"lon": 13.4, "lat": 52.5}, {"lon": 116.4, "lat": 39.9}],
}  # fmt: skip
"""Kind → values of the items."""

Values = list[Any]

MISSING = object()


def moment(text: str) -> datetime:
    """A stored time, as Python itself reads it."""
    read = datetime.fromisoformat(text)
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read


COMPARED: Mapping[str, Callable[[Any], Any]] = {
    "datetime": moment, "uuid": lambda text: uuid.UUID(text).hex, "text": str.casefold,
}  # fmt: skip
"""Kind → stored value as the oracle compares it."""


def shapes(kind: str) -> list[Any]:
    """Values of a field: each alone, in lists, with null, and none at all."""
    rng, values = random.Random(kind), STORED[kind]
    lists = [rng.sample(values, min(len(values), size)) for size in (1, 2, 2, 3, 3)]
    return [MISSING, None, [], *values, *lists, [values[0], None], [None]]


def payloads() -> list[dict[str, Any]]:
    """One payload per shape; the kinds are shuffled against each other."""
    columns = {}
    for kind in STORED:
        for path in PATHS:
            column = shapes(kind) * 2
            random.Random(kind + path).shuffle(column)
            columns[kind, path] = column
    count = max(map(len, columns.values()))
    return [_payload({where: column[n % len(column)] for where, column in columns.items()}) for n in range(count)]


def _payload(values: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    payload: dict[str, Any] = {"object": {}, "objects": [{}]}
    for (kind, path), value in values.items():
        if value is MISSING:
            continue
        if path == PATHS[0]:
            payload[f"my_{kind}"] = value
        elif path == PATHS[1]:
            payload["object"][f"my_{kind}"] = value
        elif isinstance(value, list):
            payload["objects"] += [{f"my_{kind}": part} for part in value]
        else:
            payload["objects"][0][f"my_{kind}"] = value
    return payload


ITEMS = payloads()

CONFIG = SpaceConfig(
    model="hash", size=8, fields={path.format(kind): kind for kind in STORED for path in PATHS}  # type: ignore[misc]
)  # fmt: skip


def present_at(payload: Mapping[str, Any], kind: str, path: str) -> Values:
    """What lies at a path, besides null and empty lists; Qdrant counts a list that holds only null as a value."""
    name = f"my_{kind}"
    objects = {PATHS[0]: [payload], PATHS[1]: [payload["object"]], PATHS[2]: payload["objects"]}[path]
    return [entry[name] for entry in objects if entry.get(name) not in (None, [])]


def values_at(payload: Mapping[str, Any], kind: str, path: str) -> Values:
    """The values that a filter compares, as the oracle compares them; no nulls."""
    parts = present_at(payload, kind, path)
    flat = [value for part in parts for value in (part if isinstance(part, list) else [part])]
    return [COMPARED.get(kind, lambda value: value)(value) for value in flat if value is not None]


# --- what people write ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Spelling:
    """A spelling of a value, and the bounds of what it means: from ``low``, before ``high`` or up to ``low`` itself."""

    name: str
    written: Any
    low: Any
    high: Any = None

    def equals(self, value: Any) -> bool:
        return bool(value == self.low if self.high is None else self.low <= value < self.high)

    def compares(self, word: str, value: Any) -> bool:
        after = value > self.low if self.high is None else value >= self.high
        before = value < self.low
        return bool({"gt": after, "gte": not before, "lt": before, "lte": not after}[word])


class Language(StrEnum):
    """A keyword as applications keep it."""

    ZH = "zh"


WIDE = str.maketrans("0123456789.-", "０１２３４５６７８９．－")
MAY, JUNE = datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
AT = datetime(2024, 5, 1, 12, 30, 45, tzinfo=UTC)
CHINA = timezone(timedelta(hours=8))


def _integers() -> Iterator[Spelling]:
    for number in (-5, 0, 1, 2014, 2**53):
        yield Spelling("int", number, number)
        yield Spelling("np.int64", np.int64(number), number)
        yield Spelling("float 2014.0", float(number), number)
        yield Spelling("np.float64", np.float64(number), number)
        yield Spelling("Decimal", Decimal(number), number)
        yield Spelling("'2014'", str(number), number)
        yield Spelling("' 2014 '", f" {number} ", number)
        yield Spelling("'2014.0'", f"{number}.0", number)
        yield Spelling("'２０１４'", str(number).translate(WIDE), number)


def _floats() -> Iterator[Spelling]:
    for number in (-1.5, 0.0, 0.1, 9.99, 7.0, 1e300):
        yield Spelling("float", number, number)
        yield Spelling("np.float64", np.float64(number), number)
        yield Spelling("Decimal", Decimal(repr(number)), number)
        yield Spelling("'9.99'", repr(number).replace("+", ""), number)
        if "e" not in repr(number):
            yield Spelling("'９．９９'", repr(number).translate(WIDE), number)
    yield Spelling("int", 7, 7.0)
    yield Spelling("np.float32", np.float32(2.5), 2.5)


def _bools() -> Iterator[Spelling]:
    for value, names in (
        (True, ("true", "True", "yes", "on", "1", "１", "Y", "t", "是", "真")),
        (False, ("false", "FALSE", "no", "off", "0", "n", "F", "否", "假")),
    ):
        yield Spelling("bool", value, value)
        yield Spelling("np.bool_", np.bool_(value), value)
        yield Spelling("1, 0", int(value), value)
        for name in names:
            yield Spelling(repr(name), name, value)


def _times() -> Iterator[Spelling]:
    yield Spelling("datetime, UTC", AT, AT)
    yield Spelling("datetime, +08:00", AT.astimezone(CHINA), AT)
    yield Spelling("datetime, no zone", AT.replace(tzinfo=None), AT)
    yield Spelling("np.datetime64[s]", np.datetime64("2024-05-01T12:30:45"), AT)
    yield Spelling("np.datetime64[ns]", np.datetime64("2024-05-01T12:30:45", "ns"), AT)
    for text in (
        "2024-05-01T12:30:45Z",
        "2024-05-01 12:30:45",
        "2024-05-01T20:30:45+08:00",
        "2024-05-01 20:30:45 +0800",
    ):
        yield Spelling(repr(text), text, AT)
    yield Spelling("date", date(2024, 5, 1), MAY, MAY + DAY)
    for text in ("2024", "２０２４", "2024年"):
        yield Spelling(repr(text), text, datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
    for text in ("2024-05", "2024/5", "2024年5月"):
        yield Spelling(repr(text), text, MAY, JUNE)
    yield Spelling("np.datetime64[M]", np.datetime64("2024-05"), MAY, JUNE)
    for text in ("2024-05-01", "2024/5/1", "2024年5月1日"):
        yield Spelling(repr(text), text, MAY, MAY + DAY)
    yield Spelling("'2024-05-01T12'", "2024-05-01T12", MAY + 12 * HOUR, MAY + 13 * HOUR)
    yield Spelling("'2024-05-01T12:30'", "2024-05-01T12:30", AT.replace(second=0), AT.replace(second=0) + MINUTE)


def _keywords() -> Iterator[Spelling]:
    for value in STORED["keyword"]:
        yield Spelling("str", value, value)
        yield Spelling("np.str_", np.str_(value), value)
    yield Spelling("StrEnum", Language.ZH, "zh")
    yield Spelling("int", 7, "7")
    yield Spelling("np.int64", np.int64(7), "7")


def _uuids() -> Iterator[Spelling]:
    for text in STORED["uuid"]:
        value = uuid.UUID(text)
        yield Spelling("UUID", value, value.hex)
        yield Spelling("str", str(value), value.hex)
        yield Spelling("str, upper case", str(value).upper(), value.hex)
        yield Spelling("str, no hyphens", value.hex, value.hex)
        yield Spelling("str, urn:uuid:", value.urn, value.hex)


SPELLINGS: Mapping[str, Sequence[Spelling]] = {
    "keyword": list(_keywords()), "integer": list(_integers()), "float": list(_floats()), "bool": list(_bools()),
    "datetime": list(_times()), "uuid": list(_uuids()),
    "text": [Spelling("str", "wormhole", "wormhole")],
    "geo": [Spelling("object", {"lon": 13.4, "lat": 52.5}, None)],
}  # fmt: skip
"""Kind → spellings that mean a value."""

REFUSED: Mapping[str, Sequence[Any]] = {
    "keyword": [True, 7.5, 7.0, None, b"zh", date(2024, 5, 1), Decimal(7), object()],
    "integer": [True, 7.5, "7.5", "soon", "", "二〇一四", "1_000", "1,000", None, float("nan"), "nan", 2**63, "0x10", date(2024, 5, 1)],
    "float": [True, "soon", "", "1,5", None, float("nan"), float("inf"), "inf", "1e999", date(2024, 5, 1)],
    "bool": [2, -1, 0.5, "maybe", "", "对吗", None],
    "datetime": [
        2024, 1714521600, 1714521600.5, True, "soon", "", "05/01/2024", "20240501", "2024-13", "2024-05-32", "2024-05-01T25:00",
        None, np.datetime64("NaT"), "9999", "2024-05-01T12:00:00+99:00",
    ],
    "uuid": ["soon", "", 7, True, None, "550e8400"],
    "text": [], "geo": [],
}  # fmt: skip
"""Kind → what a comparison refuses."""


# --- operators ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Operator:
    """How an operator is written with spelled values, and whether it holds for the values of an item."""

    write: Callable[[Sequence[Any]], Any]
    holds: Callable[[Values, Sequence[Spelling]], bool]
    takes: int = 1
    """Spelled values that it takes; none: it asks what is present."""


def _some(values: Values, spelled: Sequence[Spelling]) -> bool:
    return any(spelling.equals(value) for value in values for spelling in spelled)


def _bounded(word: str) -> Operator:
    return Operator(lambda s: {word: s[0]}, lambda v, s: any(s[0].compares(word, value) for value in v))


OPERATORS: Mapping[str, Operator] = {
    "value": Operator(lambda s: s[0], _some),
    "list": Operator(list, _some, 2),
    "any": Operator(lambda s: {"any": tuple(s)}, _some, 2),
    "not": Operator(lambda s: {"not": s[0]}, lambda v, s: not _some(v, s)),
    "not, list": Operator(lambda s: {"not": list(s)}, lambda v, s: not _some(v, s), 2),
    **{word: _bounded(word) for word in ("gt", "gte", "lt", "lte")},
    "gt and lte": Operator(
        lambda s: {"gt": s[0], "lte": s[1]},
        lambda v, s: any(s[0].compares("gt", value) and s[1].compares("lte", value) for value in v), 2,
    ),
    "not, gte": Operator(lambda s: {"not": {"gte": s[0]}}, lambda v, s: not any(s[0].compares("gte", value) for value in v)),
    "exists": Operator(lambda s: {"exists": True}, lambda v, s: bool(v), 0),
    "missing": Operator(lambda s: {"exists": "false"}, lambda v, s: not v, 0),
}  # fmt: skip

NO_ANSWER: Mapping[str, tuple[str, ...]] = {
    "keyword": ("gt", "gte", "lt", "lte", "gt and lte", "not, gte"),
    "bool": ("gt", "gte", "lt", "lte", "gt and lte", "not, gte"),
    "uuid": ("gt", "gte", "lt", "lte", "gt and lte", "not, gte"),
    "text": ("value", "list", "any", "not", "not, list", "gt", "gte", "lt", "lte", "gt and lte", "not, gte"),
    "geo": ("value", "list", "any", "not", "not, list", "gt", "gte", "lt", "lte", "gt and lte", "not, gte"),
}  # fmt: skip
"""Kind → operators that are refused, since the kind has no order or no equality."""


@dataclass(frozen=True)
class Cell:
    """One filter, and the places of the items that it should list; None: it should be refused."""

    kind: str
    operator: str
    spelling: str
    filter: dict[str, Any]
    expected: frozenset[int] | None


def cell(kind: str, path: str, operator: str, spelled: Sequence[Spelling]) -> Cell:
    """The cell of an operator with these values."""
    rule = OPERATORS[operator]
    expected, read = None, values_at if rule.takes else present_at
    if operator not in NO_ANSWER.get(kind, ()):
        holding = (n for n, payload in enumerate(ITEMS) if rule.holds(read(payload, kind, path), spelled))
        expected = frozenset(holding)
    written = {path.format(kind): rule.write([spelling.written for spelling in spelled])}
    return Cell(kind, operator, spelled[0].name if spelled else "", written, expected)


def cells() -> Iterator[Cell]:
    """Every cell; operators with two values take each spelling with the first one."""
    for kind, spellings in SPELLINGS.items():
        for name, rule in OPERATORS.items():
            for spelling in spellings if rule.takes else spellings[:1]:
                spelled = [spelling, spellings[0]][: rule.takes]
                for path in PATHS:
                    yield cell(kind, path, name, spelled)


# --- asking ---------------------------------------------------------------------------------------


def filled(**where: str) -> Recommender:
    """A space that holds the items; their ids are their places."""
    rec = Recommender.connect(**where, space=fresh_name())
    rec.create(CONFIG)
    rec.upsert_items({"id": str(n), "payload": payload} for n, payload in enumerate(ITEMS))
    return rec


def listed(rec: Recommender, filter: Any) -> frozenset[int]:
    """The places of the items that the engine lists."""
    parsed = parse_filter(filter, CONFIG)
    records, _ = rec.client.scroll(rec._space.items, scroll_filter=parsed, limit=10_000, with_payload=["item_id"])
    return frozenset(int(record.payload["item_id"]) for record in records)  # type: ignore[index]


def answer(rec: Recommender, asked: Cell) -> str:
    """``=``, a refusal, or what is wrong."""
    try:
        places = listed(rec, asked.filter)
    except InvalidFilter as refused:
        return "refused" if asked.expected is None else f"WRONG {refused}"
    if asked.expected is None:
        return f"WRONG {asked.filter}: {len(places)} items listed, not refused"
    wrong = places ^ asked.expected
    path = next(iter(asked.filter)).replace(asked.kind, "{}")
    return (
        "=" if not wrong else f"WRONG {asked.filter}: {[values_at(ITEMS[n], asked.kind, path) for n in sorted(wrong)]}"
    )


def table(spaces: Sequence[Recommender]) -> dict[tuple[str, str], dict[str, set[str]]]:
    """Kind and operator → answer of all spaces → spellings with that answer."""
    rows: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for asked in cells():
        for rec in spaces:
            rows[asked.kind, asked.operator][answer(rec, asked)].add(asked.spelling)
    return rows


def main() -> None:
    """Print the table for an embedded Qdrant and, with a URL as argument, a server."""
    spaces = [filled(path=":memory:"), *(filled(url=url) for url in sys.argv[1:])]
    for (kind, operator), answers in table(spaces).items():
        for given, spellings in answers.items():
            shown = f"equal to brute force, {len(spellings)} spellings" if given == "=" else given
            print(f"{kind:9} {operator:11} {shown}")


if __name__ == "__main__":
    main()
