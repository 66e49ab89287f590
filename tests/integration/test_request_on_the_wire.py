"""The body of `request()`, posted without this package: from Python, node and curl it lists what `recommend()` lists."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from tests.conftest import missing
from tests.integration.test_docs import ROOT, blocks
from tests.spaces import drop, fresh_name

DEPTH, ITEMS, USERS = 40, 300, 195
EVERYBODY = [*(f"u{number}" for number in range(USERS)), *(f"stranger{number}" for number in range(5))]
PYTHON_PAGE = ROOT / "docs" / "python.md"


@pytest.fixture(scope="module")
def shop(qdrant_url: str) -> Iterator[Recommender]:
    chance = random.Random(11)
    words = [
        f"{first}{last}" for first in ("ba", "ce", "di", "fo", "gu", "la") for last in ("nd", "rk", "st", "lm", "ft")
    ]
    rec = Recommender.connect(url=qdrant_url, space=fresh_name())
    rec.create(SpaceConfig(model="hash", size=32, prefetch=DEPTH, fields={"year": "integer"}))
    rec.upsert_items(
        Item(id=f"i{number}", text=" ".join(chance.choices(words, k=8)), payload={"year": 2000 + number % 20})
        for number in range(ITEMS)
    )
    rec.load_events(
        Event(
            user=f"u{user}", item=f"i{int(chance.paretovariate(0.6)) % ITEMS}", type="view", ts=1_700_000_000 + 60 * k
        )
        for user in range(USERS)
        for k in range(chance.randrange(2, 9))
    )
    rec.reconcile()
    yield rec
    drop(rec)


def address(url: str, rec: Recommender) -> str:
    return f"{url}/collections/{rec.space}_items/points/query"


def assert_same(rec: Recommender, points: list[dict[str, Any]], user: str, **options: Any) -> bool:
    """The answer to a posted body is the list of `recommend`; returns whether it has the same order.

    Qdrant returns equal scores in any order, and at an edge of the page others of that score.
    """
    ids, listed = [point["payload"]["item_id"] for point in points], rec.recommend(user, **options)
    if ids == [item.id for item in listed]:
        return True
    assert [point["score"] for point in points] == [item.score for item in listed]
    whole = {item.id: item.score for item in rec.recommend(user, **options | {"limit": 1000, "offset": 0})}
    assert len(set(ids)) == len(ids)
    assert [whole[item] for item in ids] == [item.score for item in listed]
    return False


def test_posted_bodies_list_what_recommend_lists(shop: Recommender, qdrant_url: str) -> None:
    """Most lists have no equal scores, so nearly all are equal to the last place."""
    exact = 0
    for user in EVERYBODY:
        points = httpx.post(address(qdrant_url, shop), json=shop.request(user)).json()["result"]["points"]
        assert points
        exact += assert_same(shop, points, user)
    assert exact > 0.9 * len(EVERYBODY)


@pytest.mark.parametrize(
    "options",
    [
        {"limit": 30, "offset": 7}, {"limit": 50}, {"limit": 20, "offset": 35}, {"limit": 100, "offset": 100},
        {"limit": 20, "filter": {"year": {"gte": 2010}}}, {"exclude_seen": False}, {"exclude_seen": "but_last"},
        {"weights": {"tfidf": 1, "collab": 2}}, {"exclude": ["i1", "i2"], "offset": 10},
    ],
)  # fmt: skip
def test_options_and_pages_lie_in_the_body(shop: Recommender, qdrant_url: str, options: dict[str, Any]) -> None:
    for user in ("u1", "u2", "u3", "stranger1"):
        body = shop.request(user, **options)
        points = httpx.post(address(qdrant_url, shop), json=body).json()["result"]["points"]
        assert points
        assert_same(shop, points, user, **options)


def printed(language: str, rec: Recommender, url: str) -> str:
    """The example of docs/python.md that posts a body, for this space."""
    example = next(block for block in blocks(PYTHON_PAGE, language) if "shop_items" in block)
    here = example.replace("http://localhost:6333", url).replace("localhost:6333", url)
    return here.replace("shop_items", f"{rec.space}_items")


def test_node_lists_what_recommend_lists(shop: Recommender, qdrant_url: str, tmp_path: Path) -> None:
    if shutil.which("node") is None:
        missing("no node on PATH")
    script = printed("js", shop, qdrant_url)
    for user in ("u1", "u2"):
        (tmp_path / "body.json").write_text(json.dumps(shop.request(user)))
        lines = subprocess.run(["node", "-e", script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        shown = [(line.split()[0], pytest.approx(float(line.split()[1]))) for line in lines.splitlines()]
        assert sorted(shown, key=str) == sorted(((item.id, item.score) for item in shop.recommend(user)), key=str)
    (tmp_path / "bodies.json").write_text(json.dumps({user: shop.request(user) for user in EVERYBODY}))
    every = f"""
        const bodies = JSON.parse(require("fs").readFileSync("bodies.json"));
        (async () => {{
          const answers = {{}};
          for (const [user, body] of Object.entries(bodies)) {{
            const headers = {{ "Content-Type": "application/json" }};
            const answer = await fetch({json.dumps(address(qdrant_url, shop))}, {{ method: "POST", headers, body: JSON.stringify(body) }});
            answers[user] = (await answer.json()).result.points;
          }}
          console.log(JSON.stringify(answers));
        }})();
    """
    done = subprocess.run(["node", "-e", every], cwd=tmp_path, capture_output=True, text=True, check=True)
    for user, points in json.loads(done.stdout).items():
        assert_same(shop, points, user)


def test_curl_lists_what_recommend_lists(shop: Recommender, qdrant_url: str, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        missing("no curl on PATH")
    command = next(line for line in printed("", shop, qdrant_url).splitlines() if line.startswith("curl "))
    for user in ("u1", "u2", "u3", "stranger1"):
        (tmp_path / "body.json").write_text(json.dumps(shop.request(user)))
        done = subprocess.run(
            [*command.split(), "--silent", "--noproxy", "*"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert_same(shop, json.loads(done.stdout)["result"]["points"], user)
