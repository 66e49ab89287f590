"""What a person reads in a report of a space with themes: one colour per theme, counts without a sign, labels that end in a word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from llmrec_qdrant import Interest, Topic
from llmrec_qdrant.operations.overview import MappedItem, Overview, UserRow
from llmrec_qdrant.report.drawing import axis, plain
from llmrec_qdrant.report.page import build_page
from llmrec_qdrant.report.page_parts import SCRIPT
from llmrec_qdrant.report.topic_figures import topic_map, tree
from llmrec_qdrant.report.user_figures import drift
from tests.adapter.report.test_list_figures import AT, OVERVIEW, STATUS, interest

VECTORS = np.eye(3, dtype=np.float32)
THEMED = Overview(
    space="s", made_at=AT, status=STATUS,
    topics=[Topic(id=str(row), label=f"t{row}", theme=theme) for row, theme in enumerate(["sea", "land", "sea"])],
    centroids={str(row): VECTORS[row] + (VECTORS[1] if row == 0 else 0) for row in range(3)},
    items=[MappedItem(str(row), str(row), str(row), vector=VECTORS[row]) for row in range(3)],
)  # fmt: skip


def colours(figure: Any) -> dict[str, str]:
    return {trace.name: trace.marker.color for trace in figure.data if trace.name in {"sea", "land"}}


def test_a_theme_has_one_colour_in_the_map_and_in_the_tree() -> None:
    assert colours(topic_map(THEMED)) == colours(tree(THEMED)) == {"sea": "#4477aa", "land": "#ee6677"}


def test_the_map_says_what_its_colours_are() -> None:
    assert "the colour is the theme of its topic." in build_page(THEMED)
    alone = replace(THEMED, topics=[Topic(id="0", label="t0")])
    assert "the colour is a group of similar topics, named after the largest." in build_page(alone)


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        (0, "No point failed too often.</p>"),
        (1, "1 point failed too often. llmrec failures --retry tries again."),
        (1_200, "1,200 points failed too often. llmrec failures --retry tries again."),
    ],
)
def test_nothing_is_retried_where_nothing_failed(points: int, sentence: str) -> None:
    assert sentence in build_page(replace(OVERVIEW, status=STATUS.model_copy(update={"set_aside": points})))


def test_users_are_counted_without_a_sign() -> None:
    """Seven users for whom a topic fades and one for whom it rises: five steps of 2 reach 10."""
    fades, rises = (interest("1", 1.0).model_copy(update={"trend": trend}) for trend in ("fading", "rising"))
    figure = drift(replace(OVERVIEW, users=[_user(n, fades) for n in range(7)] + [_user(7, rises)]))
    assert list(figure.layout.xaxis.tickvals) == [-10, -8, -6, -4, -2, 0, 2, 4, 6, 8, 10]
    assert list(figure.layout.xaxis.ticktext) == ["10", "8", "6", "4", "2", "0", "2", "4", "6", "8", "10"]
    left = figure.data[0]
    assert (list(left.x), list(left.customdata)) == ([-7], [7])
    assert left.hovertemplate.startswith("%{y}: %{customdata} users")


def _user(number: int, known: Interest) -> UserRow:
    return UserRow(f"u{number}", 1, AT, (known,))


def test_a_cut_label_ends_in_a_word() -> None:
    assert plain("sherlock holmes · watson · mystery", 28) == "sherlock holmes · watson…"
    assert ".replace(/[ \u00b7]+$/" in SCRIPT  # on a phone, too


def test_labels_do_not_touch_what_is_drawn() -> None:
    assert (axis("x")["ticks"], axis("x")["ticklen"]) == ("outside", 6)
