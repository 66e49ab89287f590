"""The report of a tenant, and the methods of asyncio."""

from __future__ import annotations

import asyncio
from pathlib import Path

from llmrec_qdrant import AsyncRecommender, Event, Item, Recommender, SpaceConfig
from tests.spaces import fresh_name


def _filled(path: str, space: str, tenant: str | None = None, word: str = "tea") -> None:
    with Recommender.connect(path=path, space=space, tenant=tenant) as rec:
        rec.create(SpaceConfig(model="hash", size=32))
        rec.upsert_items(Item(id=f"{word}{number}", title=f"{word} {number}", text=word) for number in range(3))
        rec.track([Event(user=f"{word}-user", item=f"{word}0", type="like")])
        rec.reconcile()


def test_the_report_of_a_tenant_names_nothing_of_another(tmp_path: Path) -> None:
    space, folder = fresh_name(), str(tmp_path / "data")
    with Recommender.connect(path=folder, space=space) as rec:
        rec.create(SpaceConfig(model="hash", size=32))
    for tenant in ("tea", "coffee"):
        _filled(folder, space, tenant, tenant)
    with Recommender.connect(path=folder, space=space, tenant="tea") as rec:
        page = rec.report()
    own, _, _ = page.partition("<script>")  # what follows is Plotly and the script of the page
    assert "tea 0" in own and "3 items; 1 user; 1 event; 0 topics" in own
    assert "coffee" not in own


def test_asyncio_draws_the_same(tmp_path: Path) -> None:
    folder, space = str(tmp_path / "data"), fresh_name()
    _filled(folder, space)
    with Recommender.connect(path=folder, space=space) as rec:
        expected = rec.visualize_topics().to_json()

    async def drawn() -> tuple[str, str]:
        async with AsyncRecommender.connect(path=folder, space=space) as rec:
            return (await rec.visualize_topics()).to_json(), await rec.report()

    figure, page = asyncio.run(drawn())
    assert figure == expected
    assert page.startswith("<!DOCTYPE html>")
