"""Which words say nothing."""

from __future__ import annotations

import pytest

from workers.text.stop_words import script_stop_words, stop_words


def test_the_lists_are_short_enough_to_spare_what_names_something() -> None:
    words = "world computer home system fire man novel first show new"
    assert not stop_words("english") & set(words.split())
    assert stop_words("english") >= {"a", "and", "be", "for", "he", "is", "it", "of", "that", "the", "to", "was"}
    assert not stop_words("english") & set("dmoy"), "vitamin D, size M"


@pytest.mark.parametrize(
    ("stemmer", "listed"),
    [
        *(("german", "und"), ("french", "les"), ("spanish", "que"), ("italian", "della"), ("dutch", "het")),
        *(("russian", "и"), ("danish", "og"), ("finnish", "ja"), ("hungarian", "egy"), ("norwegian", "og")),
        *(("portuguese", "não"), ("swedish", "och"), ("turkish", "ve"), ("porter", "the"), ("dutch_porter", "het")),
    ],
)
def test_a_stemmer_brings_the_list_of_its_language(stemmer: str, listed: str) -> None:
    assert listed in stop_words(stemmer)


def test_a_language_without_a_list_keeps_all_its_words() -> None:
    assert stop_words("esperanto") == frozenset()


def test_stop_words_of_scripts_hold_for_every_stemmer() -> None:
    assert {"的", "和", "の", "и"} <= script_stop_words()
    assert not any(word.isascii() for word in script_stop_words())
