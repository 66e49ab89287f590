"""The report: one HTML file with everything in it, which makes no request to the network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from llmrec_qdrant.operations.overview import Overview
from llmrec_qdrant.report import list_figures, quality_figures, topic_figures, user_figures
from llmrec_qdrant.report.drawing import objects
from llmrec_qdrant.report.page_parts import SCRIPT, STYLE
from llmrec_qdrant.report.people import users_html

__all__ = ["build_page"]

HOW_TO_EVALUATE = (
    "Nothing was measured for this report. Measure, and build it again: "
    "llmrec evaluate --json > evaluation.json; llmrec report --evaluation evaluation.json"
)
MAX_FAILURES = 20
MAX_JOBS = 20


@dataclass(frozen=True)
class _Part:
    """A part of a section: a heading, a sentence, and a figure or HTML that is already escaped."""

    heading: str
    sentence: str
    figure: Any = None
    html: str = ""


def build_page(overview: Overview, evaluation: Any = None) -> str:
    """Return the report as HTML; ``evaluation`` as in :meth:`Recommender.report`.

    Raises :class:`MissingDependency` without Plotly, :class:`InvalidInput` for something else than an evaluation.
    """
    objects()
    sections = {
        "Catalogue": _catalogue(overview),
        "Users": _users(overview),
        "Quality": _quality(overview, evaluation),
        "Health": _health(overview),
    }
    figures: list[str] = []
    body = "".join(_section(name, parts, figures) for name, parts in sections.items())
    links = "".join(f'<a href="#{name.lower()}">{name}</a>' for name in sections)
    return _document(overview, links, body, figures)


def _document(overview: Overview, links: str, body: str, figures: Sequence[str]) -> str:
    from plotly.offline import get_plotlyjs

    plotly = get_plotlyjs()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src {_digest(plotly)} {_digest(SCRIPT)}"
    title = f"Report on {escape(overview.space)}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title><style>{STYLE}</style></head>'
        f'<body><header><h1>{title}</h1><p class="dim">{_counts(overview)}</p><nav>{links}</nav></header><main>{body}</main>'
        f'<script type="application/json" id="figures">[{",".join(figures)}]</script>'
        f"<script>{plotly}</script><script>{SCRIPT}</script></body></html>\n"
    )


def _digest(script: str) -> str:
    """Return the source expression of the policy that admits this script and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _counts(overview: Overview) -> str:
    status = overview.status
    drawn = sum(item.vector is not None for item in overview.items)
    sampled = (
        f", {drawn:,} of them drawn at random for the map"
        if drawn and drawn < status.items - status.items_stale
        else ""
    )
    counts = [_counted(status.items, "item") + sampled]
    counts += [
        _counted(status.users, "user"),
        _counted(status.events, "event"),
        _counted(len(overview.topics), "topic"),
    ]
    return f"{'; '.join(counts)}. Made {_minute(overview.made_at)} UTC."


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _minute(stored: str) -> str:
    return stored[:16].replace("T", " ")


def _section(name: str, parts: Sequence[_Part], figures: list[str]) -> str:
    inner = "".join(_part(part, figures) for part in parts)
    return f'<section id="{name.lower()}"><h2>{name}</h2>{inner}</section>'


def _part(part: _Part, figures: list[str]) -> str:
    head = f'<div class="part"><h3>{escape(part.heading)}</h3><p>{escape(part.sentence)}</p>{part.html}'
    if part.figure is None:
        return head + "</div>"
    figures.append(_json(part.figure))
    height = int(part.figure.layout.height)
    return f'{head}<div class="figure" id="figure-{len(figures) - 1}" style="height:{height}px"></div></div>'


def _json(figure: Any) -> str:
    """Return a figure as JSON that cannot end the script element which holds it."""
    content = json.dumps(_plain_values(figure), ensure_ascii=True, separators=(",", ":"))
    return content.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _plain_values(figure: Any) -> Any:
    """Return data and layout without Plotly's default template."""
    values = json.loads(figure.to_json())
    values["layout"].pop("template", None)
    return {"data": values["data"], "layout": values["layout"]}


def _catalogue(overview: Overview) -> list[_Part]:
    themed = any(topic.theme for topic in overview.topics)
    colour = "the theme of its topic" if themed else "a group of similar topics, named after the largest"
    return [
        _Part("Map of the topics", f"Each point is an item. Items of similar meaning are near each other; the colour is {colour}. "
              "Hover over a point, or tap it, to see its title.", topic_figures.topic_map(overview)),
        _Part("Sizes of the topics", "The largest topics: their share of the items beside their share of what users did.",
              topic_figures.sizes(overview)),
        _Part("Tree of the topics", "Topics that meet further left are more alike.", topic_figures.tree(overview)),
        _Part("Topics over time", "The share of the events that went to each of the topics with the most events.",
              topic_figures.over_time(overview)),
    ]  # fmt: skip


def _users(overview: Overview) -> list[_Part]:
    return [
        _Part("Activity", "How many users have how many events.", user_figures.activity(overview)),
        _Part("Interests", "The topics that users care about now.", user_figures.attention(overview)),
        _Part("Drift", "The topics whose weight changes for most users.", user_figures.drift(overview)),
        _Part("Ten users", "From the busiest to the quietest, with the items that show each interest.",
              html=users_html(overview.users)),
    ]  # fmt: skip


def _quality(overview: Overview, evaluation: Any) -> list[_Part]:
    training = [
        _Part("Trainings", "NDCG on users who were held out, after each epoch.", quality_figures.training_curves(overview.jobs)),
        _Part("Losses of the trainings", "The mean loss of each epoch: what the training makes small.",
              quality_figures.training_curves(overview.jobs, quality_figures.LOSSES)),
    ]  # fmt: skip
    now = [
        _Part("Calibration", "What users care about beside what their lists hold today. Bars of one topic that differ much: the lists serve "
              "its fans too much or too little.", list_figures.calibration(overview)),
        _Part("Coverage and the long tail", "How much of the behaviour, and of the lists of today, goes to the most taken items. A curve that "
              "rises at once and then lies flat: few items take nearly everything. " + list_figures.coverage(overview),
              list_figures.long_tail(overview)),
    ]  # fmt: skip
    if evaluation is None:
        return [_Part("Lists", HOW_TO_EVALUATE), *now, *training]
    return [
        _Part("Lists", "How high the lists rank what users took next: all legs together, each leg alone, and the most popular items.",
              quality_figures.quality(evaluation)),
        *([_Part("Cold and warm", "The same for items and users with few or no events, and for the others.",
                 quality_figures.slices(evaluation))] if _has_slices(evaluation) else []),
        _Part("Beyond accuracy", "Coverage: share of the catalogue in any list. Novelty: in bits, higher is less popular. Diversity: mean "
              "of 1 − cosine within a list.", html=_beyond(evaluation)),
        *now,
        *training,
    ]  # fmt: skip


def _has_slices(evaluation: Any) -> bool:
    return any(row.get("slice") for row in quality_figures.rows_of(evaluation))


def _beyond(evaluation: Any) -> str:
    names = ("coverage", "novelty", "diversity")
    rows = [
        row
        for row in quality_figures.rows_of(evaluation)
        if all(isinstance(row.get(name), int | float) for name in names)
    ]
    return _table(("lists", *names), [(row["name"], *(f"{row[name]:.2f}" for name in names)) for row in rows])


def _health(overview: Overview) -> list[_Part]:
    status = overview.status
    rows = [
        ("items", status.items, status.items_stale, status.items_unreadable),
        ("users", status.users, status.users_stale, "–"),
        ("events", status.events, status.events_unfolded, "–"),
        ("texts of searches and reviews", status.texts, status.texts_stale, "–"),
    ]
    failures = [(entry.kind, entry.id, entry.reason) for entry in overview.failures[:MAX_FAILURES]]
    jobs = [
        (job.id, job.state, _minute(job.finished_at or job.created_at), job.reason) for job in overview.jobs[:MAX_JOBS]
    ]
    return [
        _Part("What waits", "What is stored, what waits for a worker, and what has no vector of meaning. llmrec reconcile does what waits.",
              html=_table(("", "stored", "waiting", "unreadable"), rows)),
        _Part("Set aside", _set_aside(status.set_aside),
              html=_table(("kind", "id", "reason"), failures) if failures else ""),
        _Part("Ages", "When workers wrote the vectors of items and users.", quality_figures.ages(overview)),
        _Part("Jobs", "The latest jobs.", html=_table(("job", "state", "time", "reason"), jobs) if jobs else "<p>None.</p>"),
    ]  # fmt: skip


def _set_aside(points: int) -> str:
    if not points:
        return "No point failed too often."
    return f"{_counted(points, 'point')} failed too often. llmrec failures --retry tries again."


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    def cell(value: object) -> str:
        number = isinstance(value, int)
        return f'<td class="number">{value:,}</td>' if number else f"<td>{escape(str(value)[:200])}</td>"

    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join(f"<tr>{''.join(cell(value) for value in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>'
