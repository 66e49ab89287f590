"""Which words a label takes, on small catalogues where a reader can tell the right answer."""

from __future__ import annotations

import doctest

import numpy as np

from workers.text.words import Term, terms
from workers.topics import keywords, labels


def _label_words(*topics: dict[str, float]) -> list[list[str]]:
    words = sorted({word for topic in topics for word in topic})
    telling = np.array([[topic.get(word, 0.0) for word in words] for topic in topics])
    return labels.label_words(telling, words, {})


def test_words_that_most_topics_share_come_last() -> None:
    """``film`` is the strongest word of five topics of six, so it names none of them."""
    own = ("zombie", "pirate", "vampire", "samurai", "boxer", "wizard")
    topics = [{"film": 9.0 + place, name: 5.0, f"{name}x": 4.0} for place, name in enumerate(own[:5])]
    ordered = _label_words(*topics, {own[5]: 5.0})
    assert [words[0] for words in ordered] == list(own)
    assert all(words[-1] == "film" for words in ordered[:5])


def test_no_three_topics_are_called_the_same() -> None:
    """``murder`` stays with the two topics in which it is strongest; it is too rare to count as spread."""
    ordered = _label_words(
        {"murder": 9.0, "lawyer": 1.0}, {"murder": 8.0, "island": 1.0}, {"murder": 7.0, "holmes": 1.0}, {"horse": 1.0}
    )
    assert [words[0] for words in ordered] == ["murder", "murder", "holmes", "horse"]


def test_names_of_persons_come_after_words_that_name_a_thing() -> None:
    assert _label_words({"克里斯": 9.0, "詹姆斯": 8.0, "飞船": 2.0, "回到": 5.0}, {"高考": 1.0})[0] == [
        "飞船", "克里斯", "詹姆斯", "回到",
    ]  # fmt: skip


def test_function_words_of_another_language_are_recognised_by_their_company() -> None:
    """German has ``war`` on its list too, but here it never stands beside another German function word."""
    french = [terms("les amants de la nuit et le pont"), terms("la vie et les jours de fête")] * 4
    english = [terms("soldiers at war in winter"), terms("a tragic war of kings"), terms("trains and planes")] * 10
    found = labels.foreign_function_words(french + english)
    assert {"les", "de", "la", "et"} <= found
    assert not found & {"war", "nuit", "soldiers"}
    assert labels.foreign_function_words(english) == set()


def test_phrases_are_written_in_the_order_of_the_texts() -> None:
    text = [Term("red", "red"), Term("sox", "sox"), Term("inning", "inning")]
    pairs = labels.phrases([text] * 3)
    assert keywords.label(["sox", "boston", "red"], set(), 1, pairs) == "red sox · boston"


def test_a_word_of_every_topic_forms_no_phrase() -> None:
    """``noir`` always follows ``drama``, but ``drama`` is in 97 other texts: .03 of its texts are too few."""
    pair = [Term("drama", "drama"), Term("noir", "noir")]
    assert labels.phrases([pair] * 3 + [[Term("drama", "drama")]] * 97) == {}


def test_the_examples_in_the_docstrings_hold() -> None:
    ran = doctest.testmod(labels)
    assert ran.attempted
    assert not ran.failed
