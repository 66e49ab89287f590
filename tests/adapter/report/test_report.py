"""The report: complete, self-contained, and deaf to what items and users would like to be."""

from __future__ import annotations

import builtins
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from llmrec_qdrant import Event, InvalidInput, Item, MissingDependency, NotFound, Recommender, SpaceConfig
from llmrec_qdrant.contracts.jobs import JobStatus
from llmrec_qdrant.report.drawing import plain
from llmrec_qdrant.report.quality_figures import LOSSES, quality, slices, training_curves
from tests.spaces import fresh_name

EVIL = "</script><script>alert('x')</script><img src=https://evil.example/a.png onerror=alert(1)>"
SUBJECTS = ("space ship stars", "bread oven dough", "guitar jazz chord")
ROW = {"name": "recommend", "hr": 0.5, "ndcg": 0.25, "low": 0.2, "high": 0.375, "users": 40,
       "coverage": 0.5, "novelty": 3.25, "diversity": 0.75}  # fmt: skip
EVALUATION = {"limit": 10, "users": 40, "rows": [ROW, {**ROW, "name": EVIL, "ndcg": 0.21}]}


@pytest.fixture(scope="module")
def rec() -> Recommender:
    """Three subjects of twelve items; names, titles and searches are attacks."""
    made = Recommender.connect(path=":memory:", space=fresh_name())
    made.create(SpaceConfig(model="hash", size=64))
    made.upsert_items(
        Item(id=f"{EVIL}{subject}{number}", title=f"{EVIL} {subject}", text=f"{subject} number {number}")
        for subject in range(3)
        for number, subject in enumerate([SUBJECTS[subject]] * 12)
    )
    made.track(
        Event(user=f"{EVIL}{user}", item=f"{EVIL}{SUBJECTS[user % 3]}{number}", type="like", ts=1_700_000_000 + number * 86_400)
        for user in range(12)
        for number in range(4)
    )  # fmt: skip
    made.reconcile()
    made.fit_topics(3)
    made.rename_topic(made.topics()[0].id, "<b onclick=alert(2)>&amp;")
    return made


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.scripts: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self._inside = tag == "script"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts.append(data)
            self._inside = False


@pytest.fixture(scope="module")
def page(rec: Recommender) -> str:
    return rec.report(EVALUATION)


@pytest.fixture(scope="module")
def elements(page: str) -> _Elements:
    parser = _Elements()
    parser.feed(page)
    return parser


def _figures(elements: _Elements) -> list[dict[str, Any]]:
    figures: list[dict[str, Any]] = json.loads(elements.scripts[0])
    return figures


def test_no_text_of_an_item_or_user_becomes_an_element(elements: _Elements) -> None:
    assert elements.tags.count("script") == 3
    assert "img" not in elements.tags and "b onclick" not in elements.tags
    assert not [name for name, _ in elements.attributes if name.startswith("on")]


def test_nothing_is_loaded_from_elsewhere(elements: _Elements, page: str) -> None:
    assert {value for name, value in elements.attributes if name in {"src", "href"}} == {
        "#catalogue", "#users", "#quality", "#health",
    }  # fmt: skip
    policy = next(value for name, value in elements.attributes if name == "content" and "default-src" in (value or ""))
    assert policy is not None and policy.startswith("default-src 'none'; ") and "http" not in policy
    assert policy.count("sha256-") == 2  # only the two scripts of the page run
    assert len(page.encode()) < 12_000_000


def test_texts_in_figures_cannot_be_markup(elements: _Elements) -> None:
    texts = json.dumps(_figures(elements))
    assert EVIL[:20] not in texts
    for text in re.findall(r"<[^>]{1,40}>?", texts):
        assert text in {"<br>", "<extra>", "</extra>"}, text
    assert "&lt;/script&gt;" in texts


def test_every_axis_that_shows_has_a_name(elements: _Elements) -> None:
    figures = _figures(elements)
    assert len(figures) >= 10
    for figure in figures:
        for name in ("xaxis", "yaxis"):
            axis = figure["layout"][name]
            assert axis.get("visible") is False or axis["title"]["text"]


def test_the_map_has_every_item_once(rec: Recommender) -> None:
    drawn = [text for trace in rec.visualize_topics().data for text in trace.text]
    assert sorted(drawn) == sorted(plain(item.title) for item in rec.iter_items())


def test_the_interests_of_a_user_add_up(rec: Recommender) -> None:
    user = f"{EVIL}0"
    (bars,) = rec.visualize_interests(user).data
    assert list(bars.x) == [100 * interest.weight for interest in reversed(rec.interests(user))]


def test_an_item_is_nearest_to_its_own_topic(rec: Recommender) -> None:
    (bars,) = rec.visualize_item(f"{EVIL}{SUBJECTS[0]}0").data
    assert len(bars.x) == 3 and list(bars.x) == sorted(bars.x)
    assert bars.x[-1] > 0.5 > bars.x[0]


def test_an_unknown_item_is_not_found(rec: Recommender) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        rec.visualize_item("nothing")


def test_quality_shows_means_and_the_bounds_of_their_intervals() -> None:
    (bars,) = quality(EVALUATION).data
    assert list(bars.x) == [0.21, 0.25]
    assert list(bars.error_x.array) == [pytest.approx(0.165), pytest.approx(0.125)]
    assert list(bars.error_x.arrayminus) == [pytest.approx(0.01), pytest.approx(0.05)]


def test_slices_stand_apart_from_all_users() -> None:
    cold = {"slice": "users with at most 3 events", "ndcg": 0.1, "low": 0.05, "high": 0.2, "hr": 0.2, "users": 7}
    rows = [{**row, "slice": ""} for row in EVALUATION["rows"]]
    sliced = {"rows": [*rows, *({**cold, "name": f"{row['name']}, {cold['slice']}"} for row in rows)]}
    (bars,) = quality(sliced).data
    assert len(bars.x) == len(rows)
    marks = slices(sliced).data
    assert [mark.name for mark in marks] == [plain(row["name"]) for row in rows]
    assert all(mark.cliponaxis is False for mark in marks)  # a mark at 0 is whole
    assert all(list(mark.x) == [0.1] and list(mark.error_x.array) == [pytest.approx(0.1)] for mark in marks)
    assert "(7 users)" in slices(sliced).layout.yaxis.ticktext[0]


def test_losses_begin_with_the_first_epoch_and_ndcg_before_it() -> None:
    result = {"metrics": {"NDCG by epoch": [0.1, 0.3, 0.2], "loss by epoch": [2.0, 1.5]}}
    jobs = [JobStatus.parse({"id": "train-1", "kind": "train", "state": "done", "created_at": "", "result": result})]
    (ndcg,), (loss,) = training_curves(jobs).data, training_curves(jobs, LOSSES).data
    assert (list(ndcg.x), list(ndcg.y)) == ([0, 1, 2], [0.1, 0.3, 0.2])
    assert (list(loss.x), list(loss.y)) == ([1, 2], [2.0, 1.5])


@pytest.mark.parametrize("wrong", [{}, {"rows": []}, {"rows": [{"name": "x"}]}, [1], "x", {"rows": {}}])
def test_what_is_no_evaluation_is_refused(rec: Recommender, wrong: Any) -> None:
    with pytest.raises(InvalidInput, match="llmrec evaluate --json"):
        rec.report(wrong)


def test_without_an_evaluation_the_report_says_how_to_get_one(rec: Recommender) -> None:
    assert "llmrec report --evaluation evaluation.json" in rec.report()


def test_an_empty_space_has_a_report() -> None:
    empty = Recommender.connect(path=":memory:", space=fresh_name())
    empty.create(SpaceConfig(model="hash", size=8))
    assert "No item is encoded yet" in empty.report()


def test_without_plotly_one_sentence_says_what_to_install(rec: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("plotly"):
            raise ImportError(name=name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependency, match=r"figures need Plotly: pip install 'llmrec-qdrant\[report\]'"):
        rec.visualize_topics()
