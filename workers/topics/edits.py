"""Merges and splits topics as a person asked. Pure.

An edit changes which topic each text had before. The fit that follows clusters nothing: every topic keeps its texts, and is
described again. Later fits keep the texts of the topics that an edit made, as they keep those of a topic that a person named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from llmrec_qdrant.contracts.jobs import FitTopicsOptions
from llmrec_qdrant.errors import InvalidInput, NotFound

from ..items.topic_rule import TopicPoint
from . import clusters
from .fit import Sample, matrix

__all__ = ["Edit", "applied"]


@dataclass(frozen=True)
class Edit:
    """What a person asked to be changed; nothing, if both are empty."""

    merge: Sequence[str] = ()
    """Ids of the topics to merge; the first one remains."""
    split: str = ""
    """Id of the topic to split."""
    into: int = 2
    """Number of topics that it becomes."""
    pieces: Sequence[str] = ()
    """Ids of the topics that the split has made."""

    def __bool__(self) -> bool:
        return bool(self.merge or self.split)

    @classmethod
    def of(cls, options: FitTopicsOptions) -> Edit:
        """Return the edit that a job was asked for."""
        return cls(list(options.merge), options.split or "", options.into)

    @property
    def named(self) -> list[str]:
        """Ids of the topics that it names."""
        return [*self.merge, self.split] if self.split else list(self.merge)

    @property
    def made(self) -> list[str]:
        """Ids of the topics that a person has decided on."""
        return [topic for topic in self.named if topic not in self.gone] + list(self.pieces)

    @property
    def gone(self) -> list[str]:
        """Ids of the topics that another one has taken in."""
        return list(self.merge[1:])

    def check(self, known: Sequence[str]) -> None:
        """Raise :class:`NotFound` if a topic that it names is not among the ``known`` ids."""
        for topic in self.named:
            if topic not in known:
                raise NotFound(f"there is no topic {topic} any more: `llmrec topics` lists ids and labels")


def applied(
    edit: Edit, sample: Sample, old: Sequence[TopicPoint], last: int
) -> tuple[Sample, list[TopicPoint], Edit, int]:
    """Return the sample with the topics that its texts have after the edit, and these topics; ``last`` is the highest id used.

    A topic that the edit makes has no label yet. Raises :class:`InvalidInput` if a topic cannot be split.
    """
    before = [edit.merge[0] if topic in edit.gone else topic for topic in sample.before]
    topics = [topic for topic in old if topic.id not in edit.gone]
    if edit.split in {topic.id for topic in topics}:
        members = [row for row, topic in enumerate(before) if topic == edit.split]
        pieces = _pieces(sample, members, edit.into)
        ids = [edit.split, *(str(last + number) for number in range(1, max(pieces, default=0) + 1))]
        for row, piece in zip(members, pieces, strict=True):
            before[row] = ids[piece]
        topics += [TopicPoint(topic, sample.tenant, "") for topic in ids[1:]]
        edit, last = replace(edit, pieces=ids[1:]), last + len(ids) - 1
    return replace(sample, before=before), topics, edit, last


def _pieces(sample: Sample, members: Sequence[int], number: int) -> list[int]:
    """Return the piece of each member of a topic; piece 0, which keeps the topic's id, is the largest."""
    texts = [sample.terms[row] for row in members]
    found: np.ndarray = np.array([])
    if len(members) >= number:
        bags = clusters.bags([clusters.company(terms) for terms in texts])
        rows = clusters.smoothed(clusters.features(bags, matrix([sample.dense[row] for row in members])))
        found = clusters.clustered(rows, number)
    if len(set(found.tolist())) < number:
        raise InvalidInput(f"topic cannot be split into {number}: it has fewer than {number} kinds of items")
    order = [piece for piece, _ in Counter(found.tolist()).most_common()]
    return [order.index(piece) for piece in found.tolist()]
