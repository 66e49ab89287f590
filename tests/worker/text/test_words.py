"""Terms: every value here was written down by hand."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from tests.worker.text.texts import ANY_TEXT, WORDS
from workers.text import words as module
from workers.text import words as text_words
from workers.text.clean import clean
from workers.text.runs import language
from workers.text.words import Term, terms

ROOT = Path(__file__).parents[3]


def stems(text: str, stemmer: str = "english") -> list[str]:
    return [term.stem for term in terms(text, stemmer)]


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
        ("東京の空はテストです", ["东京", "空", "テスト"]),
        ("한국 영화 LG전자", ["한국", "영화", "lg", "전자"]),
        ("ภาษาไทย हिन्दी", ["ภาษาไทย", "हिंदी"]),  # vowel signs stay with their letters
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


def test_a_long_slug_gives_its_parts() -> None:
    slug = "how-to-build-a-very-long-title-out-of-many-small-words-and-dashes-only"
    assert len(slug) > 64
    assert stems(slug) == ["build", "long", "titl", "mani", "small", "word", "dash"]


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


@given(ANY_TEXT)
def test_any_text_has_well_formed_terms(text: str) -> None:
    found = terms(text)
    assert found == terms(text) == terms(clean(text))
    for stem, word in found:
        assert stem and word
        assert not any(character.isspace() for character in stem + word)
        assert regex.search(r"[\p{L}\p{N}]", stem)  # Python's own tables are older
    assert language(text) in {"zh", "en", "other"}


@given(st.lists(st.sampled_from(WORDS), max_size=6))
def test_a_short_text_and_a_long_one_give_the_same_stems(parts: list[str]) -> None:
    together = stems(" \n ".join(parts))
    assert together == [stem for part in parts for stem in stems(part)]


def test_the_examples_in_the_docstrings_hold() -> None:
    ran = doctest.testmod(module)
    assert ran.attempted
    assert not ran.failed
