"""Portraits and blurbs by template: exact sentences in both languages."""

from __future__ import annotations

import pytest

from llmrec_qdrant.query.templates import (
    BlurbEvidence,
    PortraitEvidence,
    Strand,
    Way,
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
            BlurbEvidence(
                "m3",
                "Gravity",
                SPACE,
                ("m1", "m2"),
                ("Interstellar", "The Martian"),
                (Way("close"), Way("words", ("m2",), ("The Martian",), ("astronaut", "space")), Way("followed")),
            ),
            "Because you took “Interstellar” and “The Martian”: “Gravity” is close in meaning to them, shares the words astronaut "
            "and space with “The Martian” and belongs to space and planet, which you follow, and others took it next.",
            "因为你选过“Interstellar”、“The Martian”：“Gravity”与它们内容相近，与“The Martian”都提到astronaut、space，"
            "属于你关注的space、planet，选过它们的人接着也选了“Gravity”。",
        ),
        (
            BlurbEvidence("m3", "Gravity", None, ("m1",), ("Interstellar",), (Way("followed"), Way("close"))),
            "Because you took “Interstellar”: “Gravity” is close in meaning to it, and others took it next.",
            "因为你选过“Interstellar”：“Gravity”与它内容相近，选过它的人接着也选了“Gravity”。",
        ),
        (
            BlurbEvidence("m3", "Gravity", None, ("m1",), ("Interstellar",), (Way("followed"),)),
            "Because you took “Interstellar”: others took “Gravity” next.",
            "因为你选过“Interstellar”：选过它的人接着也选了“Gravity”。",
        ),
        (
            BlurbEvidence("m3", "Gravity", None, (), (), (Way("close", of="texts"), Way("boosted", words=("space",)))),
            "“Gravity” is close in meaning to what you wrote or searched for and belongs to space, of which you asked for more.",
            "“Gravity”与你写过或搜索过的文字内容相近，属于你想多看的space。",
        ),
        (
            BlurbEvidence("m3", "", CRIME),
            "“m3” belongs to crime, which you follow.",
            "“m3”属于你关注的crime。",
        ),
        (
            BlurbEvidence("m3", "Gravity", None, ways=(Way("words", words=("space",), of="history"),)),
            "“Gravity” shares the word space with what you took.",
            "“Gravity”与你选过的内容都提到space。",
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
        digest_of(BlurbEvidence("a", "A", None, ("x",), ("X",)), "en"),
        digest_of(BlurbEvidence("a", "A", None, ("x",), ("X",), (Way("close"),)), "en"),
        digest_of(BlurbEvidence("a", "A", None, ("x",), ("X",), (Way("followed"),)), "en"),
    ]
    assert len(set(variants)) == len(variants)


def test_a_title_is_one_short_line_in_quotation_marks() -> None:
    assert quoted("a\x1b[31m\u202e b\n c") == "“a [31m b c”"
    assert quoted("say “hi”") == "“say ‘hi’”", "a title ends where its marks end"
    assert quoted("x" * 90) == f"“{'x' * 79}…”"


def test_half_of_the_titles_decide_the_language() -> None:
    assert language_of(["流浪地球", "Alien"]) == "zh"
    assert language_of(["流浪地球", "Alien", "Dune"]) == "en"
