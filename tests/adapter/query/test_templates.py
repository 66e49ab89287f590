"""Portraits and blurbs by template: exact sentences in both languages."""

from __future__ import annotations

import pytest

from llmrec_qdrant.query.templates import (
    BlurbEvidence,
    PortraitEvidence,
    Strand,
    blurb,
    digest_of,
    language_of,
    portrait,
    quoted,
)

SPACE = Strand("space · planet", "rising", ("space",), ("m1", "m2"), ("Interstellar", "The Martian"))
FOOD = Strand("cooking", "steady", ("cook",), ("m4",), ("Chef",))
CRIME = Strand("crime", "rising", ("crime",))


@pytest.mark.parametrize(
    ("strands", "english", "chinese"),
    [
        ((), "Your interests are not known yet.", "暂时还不知道你的兴趣。"),
        (
            (SPACE,),
            "What you care about most is space and planet, such as “Interstellar” and “The Martian”. This interest is growing.",
            "你最关心的是space、planet，例如“Interstellar”、“The Martian”。这个兴趣正在增强。",
        ),
        (
            (FOOD, SPACE, CRIME),
            "What you care about most is cooking, such as “Chef”. Next comes space and planet, such as “Interstellar” and "
            "“The Martian”, and you turn more and more to crime.",
            "你最关心的是cooking，例如“Chef”。其次是space、planet，例如“Interstellar”、“The Martian”，最近也越来越关注crime。",
        ),
        (
            (CRIME, FOOD),
            "What you care about most is crime. Next comes cooking, such as “Chef”.",
            "你最关心的是crime。其次是cooking，例如“Chef”。",
        ),
    ],
)
def test_a_portrait(strands: tuple[Strand, ...], english: str, chinese: str) -> None:
    assert portrait(PortraitEvidence(strands), "en") == english
    assert portrait(PortraitEvidence(strands), "zh") == chinese


@pytest.mark.parametrize(
    ("evidence", "english", "chinese"),
    [
        (
            BlurbEvidence("m3", "Gravity", SPACE, ("astronauts",)),
            "Because you took “Interstellar” and “The Martian”: “Gravity” belongs to space and planet, which you follow, and "
            "shares words with what you took: astronauts.",
            "因为你选过“Interstellar”、“The Martian”：“Gravity”属于你关注的space、planet，并和你选过的内容有共同的词：astronauts。",
        ),
        (
            BlurbEvidence("m3", "", CRIME),
            "“m3” belongs to crime, which you follow.",
            "“m3”属于你关注的crime。",
        ),
        (
            BlurbEvidence("m3", "Gravity", None, ("space", "planet")),
            "“Gravity” shares words with what you took: space and planet.",
            "“Gravity”和你选过的内容有共同的词：space、planet。",
        ),
        (
            BlurbEvidence("m3", "Gravity"),
            "Nothing that is known about you speaks for “Gravity” in particular.",
            "目前没有什么能说明“Gravity”特别适合你。",
        ),
    ],
)
def test_a_blurb(evidence: BlurbEvidence, english: str, chinese: str) -> None:
    assert blurb(evidence, "en") == english
    assert blurb(evidence, "zh") == chinese


def test_a_digest_changes_with_every_part_of_the_evidence_and_the_language() -> None:
    variants = [
        digest_of(PortraitEvidence((SPACE,)), "en"),
        digest_of(PortraitEvidence((SPACE,)), "zh"),
        digest_of(PortraitEvidence((SPACE, FOOD)), "en"),
        digest_of(PortraitEvidence(()), "en"),
        digest_of(BlurbEvidence("a", "A"), "en"),
        digest_of(BlurbEvidence("b", "A"), "en"),
        digest_of(BlurbEvidence("a", "A", SPACE), "en"),
        digest_of(BlurbEvidence("a", "A", None, ("x",)), "en"),
    ]
    assert len(set(variants)) == len(variants)


def test_a_title_is_one_short_line_in_quotation_marks() -> None:
    assert quoted("a\x1b[31m\u202e b\n c") == "“a [31m b c”"
    assert quoted("x" * 90) == f"“{'x' * 79}…”"


def test_half_of_the_titles_decide_the_language() -> None:
    assert language_of(["流浪地球", "Alien"]) == "zh"
    assert language_of(["流浪地球", "Alien", "Dune"]) == "en"
