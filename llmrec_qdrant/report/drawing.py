"""What all figures share: Plotly, colours, axes with names, and texts that cannot be markup."""

from __future__ import annotations

import unicodedata
from typing import Any

from llmrec_qdrant.errors import MissingDependency

__all__ = ["COLOURS", "GREY", "axis", "empty", "figure", "objects", "plain"]

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee8866", "#44bb99", "#997700", "#8888cc")
"""Distinguishable, also with a colour vision deficiency (after Paul Tol)."""
GREY = "#b5b9bf"
MAX_TEXT = 80
"""Characters of a title or label in a figure."""


def objects() -> Any:
    """Return the module ``plotly.graph_objects``.

    Raises :class:`MissingDependency` if Plotly is not installed.
    """
    try:
        import plotly.graph_objects
    except ImportError:
        raise MissingDependency("figures need Plotly: pip install 'llmrec-qdrant[report]'") from None
    return plotly.graph_objects


def plain(text: object, limit: int = MAX_TEXT) -> str:
    """Return a text as Plotly shows it letter by letter: Plotly reads ``<b>`` and ``&amp;`` as markup.

    >>> plain("<a href='x'>Tom & Jerry</a>")
    "&lt;a href='x'&gt;Tom &amp; Jerry&lt;/a&gt;"
    >>> plain("sherlock holmes · watson · mystery", 28)
    'sherlock holmes · watson…'
    """
    visible = "".join("�" if unicodedata.category(letter) in {"Cc", "Cf", "Cs"} else letter for letter in str(text))
    shown = visible if len(visible) <= limit else visible[: limit - 1].rstrip(" ·") + "…"
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def axis(title: str, **settings: Any) -> dict[str, Any]:
    """Return an axis with a name, and with a gap between its labels and what is drawn."""
    return {
        "title": {"text": title, "standoff": 10},
        "automargin": True,
        "gridcolor": "#eceef1",
        "zerolinecolor": "#d5d8dc",
        "ticks": "outside",
        "ticklen": 6,
        "tickcolor": "#ffffff",
        **settings,
    }


def figure(traces: list[Any], *, x: dict[str, Any], y: dict[str, Any], height: int = 420, **layout: Any) -> Any:
    """Return a light, plain figure."""
    return objects().Figure(
        data=traces,
        layout={
            "xaxis": x, "yaxis": y, "height": height, "paper_bgcolor": "#ffffff", "plot_bgcolor": "#ffffff",
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#25303b"}, "hovermode": "closest", "dragmode": False,
            "margin": {"l": 60, "r": 16, "t": 16, "b": 56}, "showlegend": False, "bargap": 0.3, **layout,
        },
    )  # fmt: skip


def empty(sentence: str) -> Any:
    """Return a figure that says why there is nothing to see."""
    hidden = {"visible": False}
    note = {"text": plain(sentence, 200), "showarrow": False, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}
    return figure([], x=hidden, y=hidden, height=90, annotations=[note])
