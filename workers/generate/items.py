"""Fills fields that items lack, and describes items without text.

The model chooses among values that stand in the item's own title or text and that people gave to the same field of other
items. It sees these values and the words of the text in alphabetical order: no sentence of a stranger reaches it, and no
value that nobody uses leaves it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from llmrec_qdrant.contracts.config import FieldKind
from llmrec_qdrant.operations import kept_texts
from llmrec_qdrant.operations.bound import Bound
from llmrec_qdrant.operations.enriching import Value, add_values
from llmrec_qdrant.operations.kept_texts import Place
from llmrec_qdrant.query.templates import language_of
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.ids import digest, point_id
from llmrec_qdrant.space.layout import Key
from llmrec_qdrant.space.points import Point
from llmrec_qdrant.space.shapes import fault

from ..storage.lease import Outcome
from .grounding import Shown, forms, grounded, single_words
from .run import Run
from .writer import MATERIAL, Task

__all__ = ["Wanted", "attributes_task", "description_task", "wanted_of", "write_about_items"]

MAX_VALUES = 500
"""Values of a field that are looked for, most frequent first."""
MAX_WORDS = 120
"""Words of an item that the model sees."""
MAX_READ = 20_000
"""Characters of a text in which values are looked for."""
DESCRIPTION = "description"
_KINDS: Sequence[FieldKind] = ("keyword", "integer")
_RULES = (
    f"{MATERIAL} Answer with one JSON object: field → the candidate that is true of the item. Leave out a field if none is "
    "certain. Use no other fields and no other values."
)
_ABOUT = {
    "en": "Say in one short English sentence what the item {0} is about.",
    "zh": "Say in one short Chinese sentence what the item {0} is about.",
}
_DESCRIBE = f"{MATERIAL} Use only its words and plain connecting words: no numbers, no praise, no negation. Write the item as {{0}}."
_ADDRESS = re.compile(r"\byou|[你您]", re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """What an item lacks, and what its text offers for it."""

    words: tuple[str, ...]
    candidates: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    """Field → values that its text and other items have."""


def wanted_of(texts: Sequence[str], known: Mapping[str, Sequence[Value]]) -> Wanted:
    """Return the candidates among the ``known`` values of the fields that an item lacks.

    >>> wanted_of(["A red car", "built in 1999"], {"color": ["red", "blue"], "year": [1999, 2001], "brand": ["Opel"]}).candidates
    {'color': ['red'], 'year': [1999]}
    """
    text = "\n".join(texts)[:MAX_READ].casefold()
    found = {name: [value for value in values if _stands(str(value), text)] for name, values in known.items()}
    words = sorted({word.casefold() for part in texts for word in single_words(re.findall(r"[\w-]+", part[:MAX_READ]))})
    return Wanted(tuple(words[:MAX_WORDS]), {name: values for name, values in found.items() if values})


def _stands(value: str, text: str) -> bool:
    word = re.escape(value.casefold().strip())
    if not word:
        return False
    if re.search(r"[\u4e00-\u9fff]", value):
        return value.casefold() in text
    return re.search(rf"(?<!\w){word}(?!\w)", text) is not None


def attributes_task(wanted: Wanted) -> Task:
    """Return the task of choosing among candidates."""
    document = {"words": list(wanted.words), "candidates": {name: list(v) for name, v in wanted.candidates.items()}}
    return Task(_RULES, document, lambda answer: json.dumps(chosen) if (chosen := _chosen(answer, wanted)) else "")


def _chosen(answer: str, wanted: Wanted) -> dict[str, Value]:
    """Return the fields of an answer; nothing if any of them or of their values is no candidate."""
    found = re.search(r"\{.*\}", answer, re.DOTALL)
    try:
        values = json.loads(found[0]) if found else {}
    except (ValueError, RecursionError):
        return {}
    pairs = [(name, value) for name, value in values.items() if value is not None]
    if not all(_is_candidate(value, wanted.candidates.get(name, ())) for name, value in pairs):
        return {}
    return dict(pairs)


def _is_candidate(value: object, candidates: Sequence[Value]) -> bool:
    return any(type(value) is type(known) and value == known for known in candidates)


def description_task(title: str, values: Sequence[str], language: str) -> Task | None:
    """Return the task of describing an item by the words of its fields and topics; None without any."""
    words = single_words(
        list(dict.fromkeys(word for value in values for word in re.split(r"[\s·,、]+", value) if word))
    )
    if not words:
        return None
    known = {form: frozenset({0}) for word in words for form in forms(word)}
    sight = Shown({"item": "{0}", "words": words}, [title], [frozenset()], known, needed=frozenset({0}))

    def check(answer: str) -> str:
        text = grounded(answer, sight, "zh" if language == "zh" else "en")
        return "" if _ADDRESS.search(answer) else text

    return Task(f"{_ABOUT[language]} {_DESCRIBE}", sight.document, check)


def write_about_items(run: Run) -> Outcome:
    """Look at all items that a person can see, in the order of their points."""
    values = _Values(run)
    return run.over(
        lambda number, after: run.store.items.scroll(limit=number, offset=after), partial(_write, run, values), None
    )


@dataclass
class _Values:
    """The values that people gave to each field, per tenant; read once per slice."""

    run: Run
    _known: dict[tuple[str, str], list[Value]] = field(default_factory=dict)

    def of(self, name: str, kind: FieldKind, tenant: str) -> list[Value]:
        if (name, tenant) not in self._known:
            mine = conditions.where(conditions.equals(Key.TENANT, tenant))
            counted = self.run.store.items.facet(name, mine, limit=MAX_VALUES)
            self._known[name, tenant] = [int(value) if kind == "integer" else value for value in counted]
        return self._known[name, tenant]


def _write(run: Run, values: _Values, point: Point) -> None:
    if fault("items", point.payload):
        return
    tenant, texts = str(point.get(Key.TENANT, "")), [str(point.get(key, "")) for key in (Key.TITLE, Key.TEXT)]
    bound = Bound(run.store.space, run.config, tenant or None)
    known = {name: values.of(name, kind, tenant) for name, kind in _missing(run, point, _KINDS)}
    wanted = wanted_of(texts, known)
    if wanted.candidates:
        _ask(run, bound, point, attributes_task(wanted), json.loads)
    described = any(name == DESCRIPTION for name, _ in _missing(run, point, ("text", "keyword")))
    if described and texts[0].strip() and not texts[1].strip():
        own = [
            str(value)
            for name, kind in run.config.fields.items()
            if kind == "keyword"
            for value in _listed(point, name)
        ]
        task = description_task(
            texts[0], [*own, *point.get(Key.TOPICS, [])], run.options.language or language_of(texts[:1])
        )
        if task is not None:
            _ask(run, bound, point, task, lambda text: {DESCRIPTION: text})


def _missing(run: Run, point: Point, kinds: Sequence[FieldKind]) -> Iterator[tuple[str, FieldKind]]:
    """Yield the declared fields of these kinds that the item has no value for."""
    for name, kind in run.config.fields.items():
        if kind in kinds and name.isidentifier() and point.payload.get(name) in (None, [], ""):
            yield name, kind


def _listed(point: Point, name: str) -> list[object]:
    value = point.payload.get(name)
    return value if isinstance(value, list) else [value] * (value is not None)


def _ask(run: Run, bound: Bound, point: Point, task: Task, values: Callable[[str], Mapping[str, Value]]) -> None:
    """Ask unless the same was asked before, and add what was found; that it was asked is remembered, not what was found."""
    asked = digest(task.system, json.dumps(task.document, ensure_ascii=False))
    place = Place(point_id("words", f"\x1fitem\x1f{point.id}\x1f{task.system}", bound.tenant), asked, owner=bound.owner)

    def keep(text: str) -> bool:
        if text:
            run.store.run(add_values(bound, point.id, str(point.get(Key.SRC_HASH)), values(text)))
        return bool(run.store.run(kept_texts.keep(bound, place, "added" if text else "", run.model)))

    run.write(task, run.store.run(kept_texts.is_settled(bound, place, run.model)), keep)
