"""Boilerplate: which passages are found, which stay, and what is left of a text."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.text.boilerplate import Boilerplate, detect

SUBJECTS = {
    "horror": [
        "haunted",
        "ghost",
        "demon",
        "cursed",
        "cellar",
        "scream",
        "blood",
        "zombie",
        "graveyard",
        "possessed",
        "nightmare",
        "vampire",
    ],
    "cooking": [
        "recipe",
        "oven",
        "bread",
        "flour",
        "pasta",
        "kitchen",
        "baker",
        "butter",
        "garlic",
        "soup",
        "chef",
        "spice",
    ],
    "space": [
        "rocket",
        "orbit",
        "astronaut",
        "planet",
        "galaxy",
        "telescope",
        "lunar",
        "mars",
        "shuttle",
        "comet",
        "gravity",
        "nebula",
    ],
    "garden": [
        "tomato",
        "soil",
        "seed",
        "compost",
        "greenhouse",
        "rose",
        "pruning",
        "orchard",
        "lawn",
        "hedge",
        "tulip",
        "watering",
    ],
}
SMALL_PRINT = [
    "Free worldwide shipping. 30 day money back guarantee. Please contact our customer service before leaving feedback.",
    "Sold and fulfilled by Brightway Trading Limited. All colours may differ slightly due to monitor settings",
]


def catalogue(per_subject: int = 40) -> tuple[list[str], list[str]]:
    """Titles, and texts of six words of their subject."""
    rng = random.Random(1)
    words = [rng.sample(subject, 6) for subject in SUBJECTS.values() for _ in range(per_subject)]
    titles = [f"The {first} {second}" for first, second, *_ in words]
    return titles, [f"A story of {c} and {d}, with {e} and {f}." for *_, c, d, e, f in words]


def with_print(prints: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    titles, texts = catalogue()
    return titles, texts, [f"{text} {prints[number % len(prints)]}" for number, text in enumerate(texts)]


def test_the_small_print_of_two_sellers_goes_and_the_rest_stays() -> None:
    titles, plain, printed = with_print(SMALL_PRINT)
    boilerplate = detect(titles, printed)
    assert sorted(boilerplate.passages) == [
        "30 day money back guarantee.",
        "All colours may differ slightly due to monitor settings",
        "Free worldwide shipping.",
        "Please contact our customer service before leaving feedback.",
        "Sold and fulfilled by Brightway Trading Limited.",
    ]
    assert [boilerplate.remove_from(text) for text in printed] == plain


def test_numbers_do_not_tell_passages_apart() -> None:
    rng = random.Random(2)
    titles, plain = catalogue()
    printed = [f"{text} Returns are free within {rng.randint(1, 99)} days." for text in plain]
    boilerplate = detect(titles, printed)
    assert len(boilerplate.passages) == 1
    assert [boilerplate.remove_from(text) for text in printed] == plain


def test_the_fixed_parts_of_a_template_go() -> None:
    rng = random.Random(3)
    titles, plain = catalogue()
    cities = [f"City{number}" for number in range(200)]
    printed = [f"{text} Thank you for looking at our shop in {rng.choice(cities)} today" for text in plain]
    stripped = [detect(titles, printed).remove_from(text) for text in printed]
    assert all(
        text.startswith(start) and len(text) < len(start) + 20 for text, start in zip(stripped, plain, strict=True)
    )


def test_chinese_small_print_goes() -> None:
    subjects = {
        "科幻": ["星际", "飞船", "机器人", "外星人", "时空", "火星", "宇航员", "黑洞", "银河", "克隆"],
        "美食": ["面包", "火锅", "烘焙", "川菜", "厨师", "甜点", "早餐", "香料", "牛肉", "饺子"],
        "园艺": ["玫瑰", "种子", "盆栽", "修剪", "温室", "浇水", "果树", "草坪", "郁金香", "施肥"],
    }
    prints = [
        "本店支持七天无理由退换货，请放心购买。由于显示器不同，颜色可能略有差异。",
        "全国包邮！如有质量问题请联系客服处理。",
    ]
    rng = random.Random(2)
    words = [rng.sample(subject, 4) for subject in subjects.values() for _ in range(40)]
    plain = [f"{a}与{b}，还有{c}和{d}。" for a, b, c, d in words]
    printed = [f"{text}{prints[number % 2]}" for number, text in enumerate(plain)]
    boilerplate = detect([a for a, *_ in words], printed)
    assert set(boilerplate.passages) == {
        "本店支持七天无理由退换货，请放心购买。", "由于显示器不同，颜色可能略有差异。", "全国包邮！", "如有质量问题请联系客服处理。"
    }  # fmt: skip
    assert [boilerplate.remove_from(text) for text in printed] == plain


def test_what_only_items_of_one_kind_share_stays() -> None:
    titles, plain = catalogue()
    kinds = [kind for kind in SUBJECTS for _ in range(40)]
    texts = [
        f"{text} Everything for friends of {kind} stories is here." for text, kind in zip(plain, kinds, strict=True)
    ]
    assert detect(titles, texts) == Boilerplate()


@pytest.mark.parametrize("ending", ["", "."])
def test_genres_beside_short_titles_stay(ending: str) -> None:
    """Nothing but the title would be left of such an item."""
    rng = random.Random(4)
    genres = ["Action, Adventure, Sci-Fi", "Comedy, Drama, Romance", "Crime, Drama, Thriller"]
    titles = [f"The {rng.choice('abcdefgh')}{number}" for number in range(300)]
    assert detect(titles, [f"{rng.choice(genres)}{ending}" for _ in titles]) == Boilerplate()


def test_genres_beside_long_texts_stay() -> None:
    """The words of a list of genres stand in other lists, too."""
    rng = random.Random(5)
    titles, plain = catalogue(100)
    genres = ["Comedy", "Drama", "Romance", "Crime", "Thriller", "Action"]
    texts = [f"{text} {', '.join(sorted(rng.sample(genres, 3)))}." for text in plain]
    assert max(Counter(text.split(". ")[-1] for text in texts).values()) > 20
    assert detect(titles, texts) == Boilerplate()


def test_a_rare_sentence_stays() -> None:
    titles, plain = catalogue()
    texts = [f"{text} Signed by the author." if number % 23 == 0 else text for number, text in enumerate(plain)]
    assert sum("Signed" in text for text in texts) == 7
    assert detect(titles, texts) == Boilerplate()


def test_a_text_of_boilerplate_alone_stays() -> None:
    boilerplate = Boilerplate(("Free worldwide shipping.",))
    assert boilerplate.remove_from("Free worldwide shipping.") == "Free worldwide shipping."
    assert boilerplate.remove_from("Free worldwide shipping. A lamp.") == "A lamp."


def test_nothing_is_found_in_nothing() -> None:
    assert detect([], []) == Boilerplate() and detect([""] * 50, [""] * 50) == Boilerplate()


@given(st.lists(st.sampled_from(["free shipping to you.", "a red lamp.", "x.", "退换货请联系客服。", "…"]), max_size=8))
def test_stripping_twice_changes_nothing_more(parts: list[str]) -> None:
    boilerplate = Boilerplate(("free shipping to you.", "退换货请联系客服。"))
    once = boilerplate.remove_from(" ".join(parts))
    assert boilerplate.remove_from(once) == once
    if "x." in parts:
        assert "shipping" not in once and "退换" not in once
