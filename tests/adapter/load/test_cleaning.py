"""Entities and tags of HTML in titles and texts; other angle brackets and ampersands stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmrec_qdrant import Recommender
from llmrec_qdrant.load.cleaning import without_html
from llmrec_qdrant.load.loader import How
from tests.loading import item, load_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tom &amp; Jerry", "Tom & Jerry"), ("Tom &amp;amp; Jerry", "Tom & Jerry"), ("caf&eacute; &quot;x&quot; &#39;y&#39;", "café \"x\" 'y'"),
        ("one<br>two<BR/>three<br />four", "one\ntwo\nthree\nfour"), ("<p>One</p>\n\n<p class='x'>Two</p>", "One\nTwo"),
        ("a <b>bold</b>, <a href='x'>linked</a> word", "a bold, linked word"), ("x &lt;br&gt; y", "x\ny"), ("50&nbsp;%", "50 %"),
        ("<script>alert('1')</script>Hi<style>b{}</style>", "Hi"), ("before<!-- a note -->after", "beforeafter"), ("&#x4f60;&#22909;", "你好"),
        ("if a < b && b > c", "if a < b && b > c"), ("List<int> and Map<K, V>", "List<int> and Map<K, V>"), ("AT&T", "AT&T"),
        ("?a=1&copy=2", "?a=1&copy=2"), ("I <3 you", "I <3 you"), ("two\n\nlines  stay", "two\n\nlines  stay"),
    ],
)  # fmt: skip
def test_html_is_decoded_and_other_text_stays(text: str, expected: str) -> None:
    assert without_html(text) == expected


def test_titles_and_texts_are_decoded_and_counted(rec: Recommender, tmp_path: Path) -> None:
    text = 'id,title,text,brand\n1,Tom &amp; Jerry,"Cat<br>mouse",H&amp;M\n2,Plain,Text,x\n'
    result, _ = load_text(rec, tmp_path, text, "x.csv")
    stored = item(rec, "1") or {}
    assert (stored["title"], stored["text"], stored["brand"], result.decoded) == (
        "Tom & Jerry",
        "Cat\nmouse",
        "H&amp;M",
        2,
    )
    load_text(rec, tmp_path, text, "x.csv", how=How(keep_html=True))
    assert (item(rec, "1") or {})["title"] == "Tom &amp; Jerry"
