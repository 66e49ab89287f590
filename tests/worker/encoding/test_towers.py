"""Blocks of a tower's vectors against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import sparse

from llmrec_qdrant.space.ids import sparse_index
from workers.encoding.known import Known, Read, known_digest
from workers.encoding.towers import SKETCH_GAIN, Bags, Towers
from workers.text.clean import clean

TEXTS = ["red lamp", "red chair", "blue chair", "blue vase", "green vase", "lamp"]


def known_of(texts: list[str], knows: list[str], users: int = 10**9) -> Known:
    digests = np.array(sorted(known_digest(clean(text)) for text in knows), dtype=np.int64)
    taken = np.full(len(texts), users)
    return Known.of(Read.of(texts, "english"), taken, digests, np.eye(len(knows), 4, dtype=np.float32), "english")


def test_a_bag_holds_the_known_words_by_tfidf_and_the_text_itself() -> None:
    """Of ten items "lamp" stands in two and "rug" in one: idf ln(1 + 8.5/2.5) and ln(1 + 9.5/1.5); both words count once."""
    texts = ["lamp rug", "lamp", *(f"thing{k}" for k in range(8))]
    known = known_of(texts, ["lamp"])
    assert known.learned == 10 + 1
    bags = known.bags(Read.of(["lamp rug", "lamp", "rug unheard", "unheard", ""], "english")).toarray()
    column = {word: int(np.searchsorted(known.words, sparse_index(word))) for word in ("lamp", "rug")}
    lamp, rug = math.log(1 + 8.5 / 2.5), math.log(1 + 9.5 / 1.5)
    length = math.hypot(lamp, rug)
    assert np.allclose(bags[0, [column["lamp"], column["rug"], 10]], [lamp / length, rug / length, 0], atol=1e-5)
    assert np.allclose(bags[1, [column["lamp"], column["rug"], 10]], [1, 0, 1])  # an item the model knows
    assert np.allclose(bags[2, [column["lamp"], column["rug"], 10]], [0, 1, 0])
    assert not bags[3:].any()


def test_what_few_users_took_is_trusted_less() -> None:
    """Five users took each item: "lamp" is known from ten, √(10 / 20); "rug" and the text "lamp" from five, √(5 / 15)."""
    known = known_of(["lamp rug", "lamp", *(f"thing{k}" for k in range(8))], ["lamp"], users=5)
    lamp, rug = known.bags(Read.of(["lamp", "rug"], "english")).toarray()
    assert np.allclose(sorted(lamp[lamp > 0]), [(1 / 3) ** 0.5, 0.5**0.5]) and np.allclose(rug.max(), (1 / 3) ** 0.5)
    assert not known_of(["lamp"] * 9 + ["rug"], [], users=0).trust.any()


def test_words_that_a_fifth_of_the_items_have_say_nothing() -> None:
    known = known_of(TEXTS, [])
    assert known.words.tolist() == [sparse_index("green")]  # red, blue, lamp, chair, vase stand in a third


def test_nothing_is_known() -> None:
    known = known_of([], [])
    assert (
        known.learned == 0
        and known.bags(Read.of(["lamp"], "english")).shape == (1, 0)
        and known.bags(Read.of([], "english")).shape == (0, 0)
    )
    assert not known.sketched(Read.of(["lamp"], "english")).any()


def made(longest: float) -> tuple[Towers, torch.Tensor, torch.Tensor]:
    """Three items of five numbers; second blocks of length 0, 1 and 3; one sketch; one item without a vector."""
    towers = Towers(3, 4, 2, 2, 4).eval()
    towers.longest.fill_(longest)
    with torch.no_grad():
        towers.table.copy_(torch.tensor([[1.0, 0.0], [0.0, 3.0]]))
    rows = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [0, 0, 0]])
    bags = Bags.of(sparse.csr_matrix(np.array([[0, 0], [1, 0], [0, 1], [0, 1]], dtype=np.float32)))
    sketches = torch.zeros(4, 4)
    sketches[1, 2] = 0.5
    return towers, towers.firsts(rows, bags), sketches


def test_items_are_equally_long_and_the_blocks_keep_their_ratio() -> None:
    towers, firsts, sketches = made(longest=3.0)
    found = towers.items(firsts, sketches, 2.0).detach().numpy()
    assert np.allclose(np.linalg.norm(found, axis=1), [1, 1, 1, 0], atol=1e-6)
    length = math.sqrt(1 + 3**2 + (SKETCH_GAIN * 2) ** 2)
    assert np.allclose(found[:3, :3], np.eye(3) / length, atol=1e-6)
    assert np.allclose(found[:3, 3:5] * length, [[0, 0], [1, 0], [0, 3]], atol=1e-5)
    assert np.allclose(found[1, 5:9] * length, [0, 0, SKETCH_GAIN * 0.5, 0], atol=1e-6)


def test_a_second_block_longer_than_all_in_training_is_cut() -> None:
    """A new item of many strong words."""
    towers, firsts, sketches = made(longest=1.5)
    found = towers.items(firsts, sketches, 1.0).detach().numpy()
    assert np.allclose(np.linalg.norm(found, axis=1), [1, 1, 1, 0], atol=1e-6)
    assert np.allclose(found[2, 3:5] * math.sqrt(1 + 1.5**2 + SKETCH_GAIN**2), [0, 1.5], atol=1e-5)


def test_a_users_product_with_an_item_is_that_of_their_first_two_blocks_and_of_their_codes() -> None:
    towers, firsts, sketches = made(longest=3.0)
    means = firsts[:3, None].expand(-1, 2, -1)
    wanted = torch.zeros(3, 4)
    wanted[:, 2] = 1.0
    users, items = towers.users(means, wanted), towers.items(firsts, sketches, 1.0)
    expected = towers.wishes(means) @ firsts.T + SKETCH_GAIN * wanted @ sketches.T
    length = math.sqrt(1 + 3**2 + SKETCH_GAIN**2) * math.sqrt(2)  # of an item, of a user
    assert torch.allclose(users @ items.T * length, expected, atol=1e-5)


def test_where_the_fourth_block_points_is_where_the_text_points() -> None:
    """Else items would be like each other by chance: with random directions of this size a fifth find another."""
    torch.manual_seed(0)
    towers = Towers(64, 4, 0, 0, 4).eval()
    towers.longest.fill_(1.0)
    rows = np.random.default_rng(0).standard_normal((200, 64)).astype(np.float32)
    rows[100:] = rows[:100] + 1.2 * rows[100:]  # each is like one other
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    firsts = towers.firsts(torch.from_numpy(rows), Bags.of(sparse.csr_matrix((200, 0))))
    found = towers.items(firsts, torch.zeros(200, 4), 1.0).detach().numpy()
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    near = (found @ found.T - 2 * np.eye(200)).argmax(1)
    assert (near == (np.arange(200) + 100) % 200).mean() > 0.95
