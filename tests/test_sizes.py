"""How large a file or function may be, and how many files a package shows: `python -m tests.measure` lists what is over."""

from __future__ import annotations

import pytest

from tests.measure import (
    MAX_FILES_AT_THE_TOP,
    MAX_SHARE_OF_LONG_FUNCTIONS,
    files_at_the_top,
    functions,
    long_files,
    sources,
)
from tests.source import name_of


@pytest.mark.parametrize("folder", MAX_FILES_AT_THE_TOP)
def test_a_package_shows_rooms_rather_than_files(folder: str) -> None:
    assert len(files_at_the_top(folder)) <= MAX_FILES_AT_THE_TOP[folder], files_at_the_top(folder)


@pytest.mark.parametrize("folder", MAX_FILES_AT_THE_TOP)
def test_functions_are_short(folder: str) -> None:
    defined = [function for path in sources(folder) for function in functions(path)]
    over = [f"{name_of(one.path)}:{one.line} {one.name}: {one.lines}" for one in defined if one.is_long]
    assert len(over) <= MAX_SHARE_OF_LONG_FUNCTIONS * len(defined), over


@pytest.mark.parametrize("folder", MAX_FILES_AT_THE_TOP)
def test_files_are_short(folder: str) -> None:
    assert list(long_files(folder)) == []
