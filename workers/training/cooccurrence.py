"""Co-occurrence of the items of a catalogue, from events that are not held out."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from llmrec_qdrant.contracts.config import SpaceConfig

from ..behaviour.cooccurrence import cooccurrence
from ..items.interactions import EVENT_KEYS, collect
from ..storage.store import SpaceStore
from .acts import EventTest
from .catalogue import Catalogue

__all__ = ["item_cooccurrence"]


def item_cooccurrence(
    store: SpaceStore, config: SpaceConfig, catalogue: Catalogue, hidden: EventTest
) -> sparse.csr_matrix:
    """Return the (items, items) matrix in the order of the catalogue: how strongly the row follows the column."""
    pages = ([event for event in page if not hidden(event.payload)] for page in store.events.pages(None, EVENT_KEYS))
    interactions = collect(pages, config)
    blocks = list(cooccurrence(interactions, config.collab_distance))
    matrix = sparse.vstack(blocks, format="coo")
    numbers = [catalogue.row_of_item(tenant, item) for tenant, item in interactions.names]
    row_of = np.array([-1 if number is None else number for number in numbers], dtype=np.int64)
    rows, columns = row_of[matrix.row], row_of[matrix.col]
    known = (rows >= 0) & (columns >= 0)
    shape = (catalogue.items, catalogue.items)
    return sparse.csr_matrix((matrix.data[known], (rows[known], columns[known])), shape=shape)
