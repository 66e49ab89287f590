"""The language of a text."""

from __future__ import annotations

import doctest

import pytest

from workers.text import runs
from workers.text.runs import language


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


def test_the_examples_in_the_docstrings_hold() -> None:
    ran = doctest.testmod(runs)
    assert ran.attempted
    assert not ran.failed
