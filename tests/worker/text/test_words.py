"""Text preparation: every value here was written down by hand."""

from __future__ import annotations

import doctest
import importlib
import math
import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from workers.text import words as module
from workers.text import words as text_words
from workers.text.clean import MAX_CHARS, clean
from workers.text.words import Term, keywords, language, terms, weights

ROOT = Path(__file__).parents[3]

WORDS = ["科幻电影", "の", "テスト", "영화", "война", "don't", "RTX-4090", "3.5mm", "C++", "U.S.A.", "ﬁ", "½", "İ"]
FRAGMENTS = [
    *WORDS,
    *("&amp;", "&lt;", "amp;", "&#38;", "&#xFF1C;", "<b>", "<script>", "</script>", "<!--", "-->", "<", ">", "＆"),
    *("\u0301", "\u0316", "\u200b", "\u00ad", "\ufe0f", "\ud83d", "\ude00", "\x00", "\u2028", " ", "\n", "¨", "'", "-"),
    *("👍🏽", "ไทย", "हिन्दी", "ß", "Σ", "·", "&", "/", ".", ",", "1", "a"),
]
ANY_TEXT = st.text(st.characters()) | st.lists(st.sampled_from(FRAGMENTS), max_size=20).map("".join)


def stems(text: str, stemmer: str = "english") -> list[str]:
    return [term.stem for term in terms(text, stemmer)]


# --- clean ---


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("", ""),
        (" \t\r\n\u3000\u2028 ", ""),
        ("Ｉｎｔｅｒｓｔｅｌｌａｒ　２０１４", "Interstellar 2014"),  # full width
        ("ﬁlm №5 ｶﾒﾗ", "film No5 カメラ"),
        ("cafe\u0301", "café"),
        ("Tom &amp; Jerry&nbsp;&#8212; caf&eacute;", "Tom & Jerry — café"),
        ("&amp;lt;i&amp;gt;Dune&amp;lt;/i&amp;gt;", "Dune"),  # escaped twice, as feeds often are
        ("<p class='x'>One<br/>two</p>", "One two"),
        ("a<script>alert('x < y')</script>b<style>p{}</style>c<!-- note -->d", "a b c d"),
        ("kept <script>an unclosed script is not", "kept"),
        ("I <3 you, 2 < 3 > 1", "I <3 you, 2 < 3 > 1"),  # no tags
        ("in\u00advis\u200bible\ufeff\x00\x1b\u202e", "invisible"),
        ("lone \ud83d surrogate\ude00", "lone surrogate"),
        ("line\x0bone\x85two", "line one two"),
    ],
)
def test_clean(raw: str, expected: str) -> None:
    assert clean(raw) == expected


def test_clean_cuts_to_the_limit_and_leaves_no_space_behind() -> None:
    assert clean("one two three", 8) == "one two"
    assert clean("one", 0) == ""
    assert len(clean("x" * 3 * MAX_CHARS)) == MAX_CHARS
    with pytest.raises(ValueError, match="limit must not be negative: -1"):
        clean("one", -1)


def test_markup_does_not_eat_the_allowance() -> None:
    assert clean("<b>x</b>" * 10, 10) == "x x x x x"


def test_entities_nested_without_end_come_to_an_end() -> None:
    nested = "&" + "amp;" * 50 + "lt;b&gt;"
    assert "&" not in clean(nested)
    assert clean(clean(nested)) == clean(nested)


def test_piled_combining_marks_are_cut_down() -> None:
    assert len(clean("Z" + "\u0301\u0316" * 4_000 + "algo")) <= len("Z" + "algo") + 8


def test_a_huge_text_costs_no_memory() -> None:
    huge = "科幻 film &amp; <b>3.5mm</b> " * 800_000  # 20 million characters
    terms(huge[:100])  # what is loaded once is not the text's cost
    tracemalloc.start()
    try:
        found = terms(huge)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found) > 1_000
    assert peak < 2_000_000


# --- language ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我想看一些科幻电影", "zh"),
        ("iPhone 15手机壳", "zh"),
        ("RTX-4090 显卡", "zh"),
        ("鲜の每日牛奶来自内蒙古草原牧场", "zh"),
        ("I want a heist in a dream", "en"),
        ("The Great Wall (长城) is a film", "en"),
        ("C++17", "en"),
        ("東京の空", "other"),
        ("한국 영화", "other"),
        ("Война и мир", "other"),
        ("2014", "other"),
        ("😀 !!!", "other"),
        ("", "other"),
    ],
)
def test_language(text: str, expected: str) -> None:
    assert language(text) == expected


# --- terms ---


def test_a_wish_meets_the_film_it_asks_for() -> None:
    wish, film = terms("我想看一些科幻电影"), terms("科幻电影《星际穿越》")
    assert [term.word for term in wish] == ["想", "科幻", "电影", "科幻电影"]
    assert [term.word for term in film] == ["科幻", "电影", "科幻电影", "星际", "穿越"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Chinese
        ("我想喝茶", ["想", "喝茶"]),
        ("猫和茶", ["猫", "茶"]),  # single characters carry meaning; 和 is a stop word
        ("科幻 电影", ["科幻", "电影"]),
        ("刘慈欣的《三体》", ["刘慈欣", "三体"]),
        # English
        ("The movies, and a MOVIE!", ["movi", "movi"]),
        ("I don't think they're here; it isn't. Ain't!", ["think"]),
        ("Wolfe’s O'Brien", ["wolf", "obrien", "brien"]),
        ("computer system world home fire", ["comput", "system", "world", "home", "fire"]),  # content, all of it
        ("Pokémon pokemon", ["pokemon", "pokemon"]),
        ("J.R.R. Tolkien, U.S.A.", ["jrr", "tolkien", "usa"]),
        ("sci-fi T-shirts tshirt", ["scifi", "sci", "fi", "tshirt", "shirt", "tshirt"]),
        ("AT&T R&B and/or", ["at&t", "r&b"]),
        # numbers and models
        ("2014 1,000 3.5mm v2.0", ["2014", "1000", "3.5mm", "3.5", "mm", "v2.0"]),
        ("RTX-4090 RTX4090", ["rtx4090", "rtx", "4090", "rtx4090", "rtx", "4090"]),
        ("WD-40 F-150 A7R4", ["wd40", "wd", "40", "f150", "150", "a7r4"]),
        ("1/2-inch 9/11 9-11", ["1/2inch", "inch", "9/11", "11", "9-11", "11"]),
        ("C++17, C#, .NET and Node.js", ["c++", "17", "c#", "net", "node", "js"]),
        ("the 21st MP3 in 4K of the 1980s", ["21st", "mp3", "4k", "1980s"]),
        ("iPhone6", ["iphone6", "iphon"]),
        # mixed
        ("iPhone 15手机壳", ["iphon", "15", "手机", "壳"]),
        ("RTX-4090 显卡 16GB", ["rtx4090", "rtx", "4090", "显卡", "16gb", "16", "gb"]),
        ("ＲＴＸ－４０９０显卡", ["rtx4090", "rtx", "4090", "显卡"]),
        # other scripts
        ("Война и мир", ["война", "мир"]),
        ("ВАЗ-2107", ["ваз2107", "ваз", "2107"]),
        ("東京の空はテストです", ["東京", "空", "テスト"]),
        ("한국 영화 LG전자", ["한국", "영화", "lg", "전자"]),
        ("ภาษาไทย हिन्दी", ["ภาษาไทย", "हिन्दी"]),  # vowel signs stay with their letters
        ("ΟΔΟΣ Straße", ["οδοσ", "strasse"]),
        # nothing
        ("", []),
        ("!!! … — 《》 、 & <br>", []),
        ("😀 👍🏽 ❤️ 👨‍👩‍👧 ⺀", []),
        ("https://example.com/dune?id=1 www.example.org", []),
        ("x" * 65, []),
    ],
)
def test_stems(text: str, expected: list[str]) -> None:
    assert stems(text) == expected


@pytest.mark.parametrize(
    ("query", "item"),
    [
        ("RTX 4090", "RTX-4090 显卡"),
        ("16 GB", "16GB"),
        ("spiderman", "Spider-Man: No Way Home"),
        ("iPhone", "iPhone15手机壳"),
        ("人民", "中华人民共和国"),
        ("长江", "南京市长江大桥"),
    ],
)
def test_the_other_spelling_matches(query: str, item: str) -> None:
    assert set(stems(query)) <= set(stems(item))


def test_a_word_is_readable_where_its_stem_is_not() -> None:
    assert terms("RTX-4090 Stories") == [
        Term("rtx4090", "rtx-4090"),
        Term("rtx", "rtx"),
        Term("4090", "4090"),
        Term("stori", "stories"),
    ]


def test_terms_is_safe_on_raw_text() -> None:
    assert stems("<b>Rock</b> &amp; <i>roll</i>") == ["rock", "roll"]


def test_the_stemmer_brings_its_language() -> None:
    assert stems("die Häuser und das Haus", "german") == ["haus", "haus"]
    assert stems("книги и книга", "russian") == ["книг", "книг"]
    assert stems("книги и книга", "english") == ["книги", "книга"]


@pytest.mark.parametrize("stemmer", ["english", "german", "french"])
def test_stems_are_those_of_snowball_in_python(stemmer: str) -> None:
    """PyStemmer, where it is installed, computes the same: stored vectors depend on it."""
    pure = getattr(importlib.import_module(f"snowballstemmer.{stemmer}_stemmer"), f"{stemmer.title()}Stemmer")()
    words = sorted(set(regex.findall(r"[a-z]{3,}", (ROOT / "LICENSE").read_text(encoding="utf-8").lower())))
    found = {term.word: term.stem for word in words for term in terms(word, stemmer)}
    assert len(found) > 300
    assert found == {word: pure.stemWord(word) for word in found}


def test_an_unknown_stemmer_names_those_accepted() -> None:
    with pytest.raises(ValueError, match=r"stemmer 'klingon' is not one of .*english, .*spanish"):
        terms("", "klingon")


def test_a_long_slug_gives_its_parts() -> None:
    slug = "how-to-build-a-very-long-title-out-of-many-small-words-and-dashes-only"
    assert len(slug) > 64
    assert stems(slug) == ["build", "long", "titl", "mani", "small", "word", "dash"]


# --- weights and keywords ---


def test_weights_by_hand() -> None:
    found = weights([Term("a", "a"), Term("b", "b"), Term("a", "a")])
    two = 1 + math.log(2)  # a occurs twice
    norm = math.sqrt(two**2 + 1)
    assert found == pytest.approx({"a": two / norm, "b": 1 / norm})
    assert weights([]) == {}


def test_keywords_by_hand() -> None:
    said = [
        *(Term("robot", "robotic"), Term("dune", "dune"), Term("robot", "robots"), Term("robot", "robots")),
        *(Term("spice", "spices"), Term("spice", "spice"), Term("dune", "dune"), Term("sand", "sand")),
    ]
    # robot 3; dune 2 before spice 2; sand 1. "robots" is its stem's most frequent word; of "spices" and "spice",
    # as frequent, the shorter.
    assert keywords(said) == ["robots", "dune", "spice", "sand"]
    assert keywords(said, 2) == ["robots", "dune"]
    assert keywords([Term("s", "ab"), Term("s", "cd")]) == ["ab"]
    # a piece of a shown compound is not shown, however frequent; nor a Han word inside a longer one
    assert keywords([Term("fi", "fi")] * 3 + [Term("scifi", "sci-fi"), Term("hi", "hi")], 1) == ["sci-fi"]
    assert keywords([Term(word, word) for word in ("测器", "探测器", "机器")]) == ["探测器", "机器"]
    assert keywords(said, 0) == keywords([]) == []


# --- the libraries behind ---


def test_nothing_is_written_printed_or_loaded_early(tmp_path: Path) -> None:
    script = (
        "import sys; from workers.text.words import terms\n"
        "terms('plain English'); assert 'rjieba' not in sys.modules\n"
        "print(len(terms('科幻电影')))"
    )
    (tmp_path / "jieba.cache").write_bytes(b"not a dictionary")  # planted in a shared temporary folder
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == ("3\n", "", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["jieba.cache"]


def test_threads_agree() -> None:
    texts = [f"Stories {n} running robots 科幻电影 of walking{n}" for n in range(200)]
    alone = [terms(one) for one in texts]
    text_words._word.cache_clear()
    together: list[list[list[Term]]] = []
    threads = [threading.Thread(target=lambda: together.append([terms(one) for one in texts])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [alone] * 4


def test_the_examples_in_the_docstrings_hold() -> None:
    ran = doctest.testmod(module)
    assert ran.attempted
    assert not ran.failed


# --- properties ---


@given(ANY_TEXT, st.integers(0, 60))
@example("&ampamp;lt;", 60)
@example("e\u200b\u0301", 60)
def test_clean_is_idempotent_and_bounded(text: str, limit: int) -> None:
    once = clean(text, limit)
    assert len(once) <= limit
    assert clean(once, limit) == once
    assert once == " ".join(once.split())
    once.encode()  # no lone surrogate is left


@given(ANY_TEXT)
def test_any_text_has_well_formed_terms(text: str) -> None:
    found = terms(text)
    assert found == terms(text) == terms(clean(text))
    for stem, word in found:
        assert stem and word
        assert not any(character.isspace() for character in stem + word)
        assert regex.search(r"[\p{L}\p{N}]", stem)  # Python's own tables are older
    assert language(text) in {"zh", "en", "other"}


@given(ANY_TEXT)
def test_weights_have_unit_norm_and_keywords_are_words_of_the_text(text: str) -> None:
    found = terms(text)
    assert math.hypot(*weights(found).values()) == pytest.approx(1.0 if found else 0.0)
    shown = keywords(found)
    assert len(shown) == len(set(shown)) <= 24
    assert set(shown) <= {word for _, word in found}


@given(st.lists(st.sampled_from(WORDS), max_size=6))
def test_a_short_text_and_a_long_one_give_the_same_stems(parts: list[str]) -> None:
    together = stems(" \n ".join(parts))
    assert together == [stem for part in parts for stem in stems(part)]
