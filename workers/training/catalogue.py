"""The texts that a model learns from: the items of a space, and what its users wrote."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.ids import point_id, sparse_index
from llmrec_qdrant.space.layout import DENSE, Key

from ..encoding.loading import load_encoder
from ..items import boilerplate
from ..items.embed import source_text
from ..storage.align import is_query
from ..storage.store import SpaceStore

__all__ = ["Catalogue", "base_vectors", "read_catalogue"]


@dataclass
class Catalogue:
    """The sources of a training: items in the order of their points, then free texts."""

    points: list[str] = field(default_factory=list)
    """Point ids of the items."""
    tenants: list[str] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    """Sparse indices of the items."""
    texts: list[str] = field(default_factory=list)
    """Texts of the items, then of searches and reviews."""
    number: dict[str, int] = field(default_factory=dict)
    """Point id of an item, or of an event with a text → its row."""

    @property
    def items(self) -> int:
        """Number of items among the sources."""
        return len(self.points)

    def add_item(self, point: str, item: str, tenant: str, text: str) -> None:
        """Append an item; all items come before all free texts."""
        self.number[point] = len(self.points)
        self.points.append(point)
        self.tenants.append(tenant)
        self.indexes.append(sparse_index(item, tenant or None))
        self.texts.append(text)

    def add_text(self, point: str, text: str) -> None:
        """Append a free text."""
        self.number[point] = len(self.texts)
        self.texts.append(text)

    def row_of_item(self, tenant: str, item: str) -> int | None:
        """Return the row of an item; None if the catalogue does not contain it."""
        return self.number.get(point_id("item", item, tenant or None))


def read_catalogue(store: SpaceStore) -> Catalogue:
    """Read all items, and the texts of all events."""
    catalogue, left_out = Catalogue(), boilerplate.load(store)
    for page in store.items.pages(None, [Key.ITEM_ID, Key.TENANT, Key.TITLE, Key.TEXT]):
        for item in page:
            tenant = item.get(Key.TENANT, "")
            catalogue.add_item(item.id, item.payload[Key.ITEM_ID], tenant, source_text(item.payload, left_out))
    for page in store.texts.pages(None, [Key.USER_ID, Key.SEARCHED_AT, Key.TEXT]):
        for text in page:
            if not is_query("texts", text):
                catalogue.add_text(text.id, source_text(text.payload))
    return catalogue


def base_vectors(store: SpaceStore, config: SpaceConfig, base: SpaceConfig, catalogue: Catalogue) -> np.ndarray:
    """Return the base encoder's vectors of all sources, float32 (sources, size).

    Reads the stored vectors if the space uses the base encoder, and encodes the texts otherwise.
    """
    if base != config:
        return load_encoder(base).encode(catalogue.texts)
    rows = np.zeros((len(catalogue.texts), config.size), dtype=np.float32)
    encoded = conditions.where(conditions.equals(Key.STALE, False))
    for collection in (store.items, store.texts):
        for page in collection.pages(encoded, False, [DENSE]):
            for point in page:
                row, vector = catalogue.number.get(point.id), point.dense(DENSE)
                if row is not None and vector is not None:
                    rows[row] = np.asarray(vector)
    return rows
