"""A training from its examples to a version in the registry.

Of every user is hidden what they took last, and all since: were it of some only, the others would tell what is new,
and behaviour would seem to know more of what comes than it does. Or nothing learns from the last tenth of all events, and
users are asked for what they took at some moment in it, of histories that reach up to there. Models learn from the
rest, are looked at after each epoch in a trial space (their vectors, real requests, NDCG of the fused query on one half
of those users), and the best one is kept. The other half, which nothing was chosen on, says whether it beats the model
the space has. Towers then learn once more, for as long, from everything. A checkpoint is one file replaced as a whole: whoever is
killed goes on where it was, over the same batches.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from qdrant_client import QdrantClient
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scipy import sparse

from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.jobs import Hide
from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.operations.clock import timestamp
from llmrec_qdrant.space import conditions
from llmrec_qdrant.space.ids import point_id
from llmrec_qdrant.space.layout import DENSE, Key, Space
from llmrec_qdrant.testing import HASH_MODEL

from ..behaviour import cooccurrence
from ..encoding import registry, towers
from ..encoding.loading import load_encoder
from ..evaluation.splits import Split, hide_last, hide_next
from ..evaluation.trial_space import Tell, payloads, sign_of_life, trial, unheard
from ..evaluation.tune import LEAST
from ..items.interactions import EVENT_KEYS, collect
from ..storage import store
from ..storage.store import SpaceStore
from . import dataset
from .dataset import Catalogue, Examples
from .encoder import EncoderLearner
from .judge import MORE, Outcome, _Bench, _Judge, heavier, verdict
from .learner import Learner, Recipe
from .towers import TowerLearner

__all__ = ["base_of", "train"]


log = logging.getLogger("llmrec.worker")


EVERY = 20.0
"""Seconds between two checkpoints."""


CHECKPOINT, BEST = "checkpoint.safetensors", "best.safetensors"


@dataclass
class _Progress:
    """Where a training stands; lies in the checkpoint."""

    data: str = ""
    """Digest of the examples: of others, it begins anew."""
    step: int = 0
    looks: list[float] = field(default_factory=list)
    """NDCG after each epoch."""
    best: int = 0
    """Epochs after which it was best; 0: before the first."""
    stage: str = "choosing"
    """choosing, then again (on everything)."""


def base_of(config: SpaceConfig) -> SpaceConfig:
    """The encoder a training starts from: that of the space, or the one its towers stand on."""
    trained = registry.find(config.model)
    if trained and trained[0].method == "towers":
        return SpaceConfig(**{**config.model_dump(), **trained[0].base})
    return config


def train(
    client: QdrantClient,
    space: Space,
    config: SpaceConfig,
    recipe: Recipe,
    *,
    users: int = 1_000,
    limit: int = 10,
    exclude_seen: bool = True,
    split: Hide = "last",
    until: float = float("inf"),
    folder: Path | None = None,
    tell: Tell = unheard,
) -> registry.Version:
    """Train a model for a space on its events before ``until`` (Unix seconds), and keep it as a version.

    ``exclude_seen``: whether lists leave out what a user took before, as :meth:`Recommender.recommend` may be asked to.
    ``split``: what is hidden to choose on, what each user took last, or the last tenth of all events
    (:func:`~workers.trial.hide_last`, :func:`~workers.trial.hide_next`). The latter says that times can be compared between
    users: then newer examples count more, too.
    ``folder`` holds the checkpoint; it is deleted at the end. Raises :class:`InvalidInput` with fewer than 40 users
    who took two items at different times.
    """
    folder = folder or registry.folder() / f".run-{space.name}"
    folder.mkdir(parents=True, exist_ok=True)
    past = (one for one in payloads(client, space) if timestamp(one[Key.TS]) < until)
    hide = hide_last if split == "last" else hide_next
    parts = hide(past, config, users, recipe.seed, repeats=not exclude_seen)
    parts = replace(parts, everybody_from=min(parts.everybody_from, until))
    if len(parts.targets) < 2 * LEAST:
        raise InvalidInput(
            f"space {space.name!r} has {len(parts.targets)} users who took two items at different times"
            f"{', the second of them lately' if split == 'time' else ''}: training takes {2 * LEAST} or more, to see whether a "
            "model is better"
        )
    denser = recipe.denser if base_of(config) == config else 1.0
    judge = _Judge(client, config.weights, heavier(config.weights, denser), limit, exclude_seen, tell)
    training = _Training(client, space, config, recipe, parts, until, judge, folder)
    version = training.run()
    shutil.rmtree(folder, ignore_errors=True)
    return version


class _Training:
    """One training; all it remembers lies in its folder."""

    def __init__(
        self, client: QdrantClient, space: Space, config: SpaceConfig, recipe: Recipe, split: Split, until: float,
        judge: _Judge, folder: Path,
    ) -> None:  # fmt: skip
        self._client, self._space, self._config, self._recipe = client, space, config, recipe
        self._split, self._until, self._judge, self._folder, self._tell = split, until, judge, folder, judge.tell
        self._base = base_of(config)
        self._made: Space | None = None
        judge.tell("reading", 0, 1)
        self._catalogue = dataset.read_catalogue(client, space)
        self._rows = _rows(client, space, config, self._base, self._catalogue)
        half = len(split.targets) // 2
        self._choosing, self._confirming = split.targets[:half], split.targets[half:]
        self._saved = time.monotonic()

    def run(self) -> registry.Version:
        """From wherever it is to the end."""
        seen = self._examples(self._split.hides)
        if not len(seen):
            raise InvalidInput(
                f"space {self._space.name!r} has nobody who took one item after another: nothing to learn"
            )
        learner, progress = self._learner(seen, self._split.hides), _Progress(dataset.digest(self._catalogue, seen))
        stored = self._stored()
        if stored and stored.data == progress.data:
            progress = stored
            log.info("training of %s goes on at step %d", self._space.name, progress.step)
        else:
            (self._folder / BEST).unlink(missing_ok=True)
        before = self._before()
        wanted = self._config.model_copy(update={"model": HASH_MODEL, "size": learner.size})
        with trial(self._client, self._space, wanted, self._split, self._tell, blank=True) as made:
            self._made = made
            bench = _Bench(self._judge, made, wanted, self._catalogue, self._folder, self._version(learner))
            if progress.stage == "choosing":
                self._choose(learner, progress, bench)
            learner.load(load_file(self._folder / BEST))
            after = bench.outcome(learner, self._choosing, self._confirming)
        self._made = None
        metrics, better = verdict(before, after, self._judge.limit)
        metrics |= {
            "epochs": progress.best,
            "looks": [round(one, 4) for one in progress.looks],
            "users": len(before.dense),
        }
        if self._recipe.method == "towers":
            learner = self._again(progress, learner, len(seen))
        version = replace(self._version(learner), data=progress.data, metrics=metrics, offered=better)
        return registry.publish(learner.save, version)

    def _examples(self, hidden: Callable[[Mapping[str, Any]], bool]) -> Examples:
        people = dataset.read_events(self._client, self._space, hidden)
        return dataset.build(
            people, self._catalogue, self._config, towers.DECAYS,
            seed=self._recipe.seed, repeats=not self._judge.exclude_seen, dated=self._split.in_time,
        )  # fmt: skip

    def _learner(self, seen: Examples, hidden: Callable[[Mapping[str, Any]], bool]) -> Learner:
        if self._recipe.method != "towers":
            return EncoderLearner(self._recipe, self._base, self._catalogue, self._rows, seen)
        taken = _cooccurrence(self._client, self._space, self._config, self._catalogue, hidden)
        return TowerLearner(
            self._recipe, self._catalogue, self._rows, seen, taken, self._base.stemmer, self._judge.exclude_seen
        )

    def _version(self, learner: Learner) -> registry.Version:
        base = {name: getattr(self._base, name) for name in SpaceConfig.IDENTITY}
        return registry.Version(
            "", self._recipe.method, self._space.name, base, learner.size, options=asdict(self._recipe)
        )

    def _before(self) -> Outcome:
        """What the model of the space is worth; measured once."""
        path = self._folder / "before.json"
        of = {
            "model": f"{self._config.encoder_id} {self._judge.exclude_seen}",
            "users": [one.user for one in self._split.targets],
        }
        stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if of.items() <= stored.items():
            return Outcome(np.array(stored[DENSE]), np.array(stored["fused"]), stored["weights"])
        with trial(self._client, self._space, self._config, self._split, self._tell) as made:
            found = self._judge.outcome(made, [self._judge.given], self._choosing, self._confirming)
        kept = {**of, DENSE: found.dense.tolist(), "fused": found.fused.tolist(), "weights": found.weights}
        path.write_text(json.dumps(kept), encoding="utf-8")
        return found

    # --- learning -----------------------------------------------------------------------------

    def _choose(self, learner: Learner, progress: _Progress, bench: _Bench) -> None:
        """Epoch after epoch, until looks show no gain for a while; the best state lies in its file."""
        total = learner.steps * self._recipe.epochs
        if progress.step:
            learner.load(load_file(self._folder / CHECKPOINT))
        else:
            _write(self._folder / BEST, learner, progress)
            progress.looks = [bench.look(learner, self._choosing)]
        while progress.step < total and not self._enough(progress):
            self._take(learner, progress, total)
            if progress.step % learner.steps == 0:
                progress.looks.append(bench.look(learner, self._choosing))
                epoch = len(progress.looks) - 1
                log.info(
                    "epoch %d of %d: NDCG@%d %.4f", epoch, self._recipe.epochs, self._judge.limit, progress.looks[-1]
                )
                if progress.looks[-1] > max(progress.looks[:-1]):
                    progress.best = epoch
                    _write(self._folder / BEST, learner, progress)
                self._save(learner, progress)
        progress.stage, progress.step = "again", 0
        self._save(learner, progress)

    def _enough(self, progress: _Progress) -> bool:
        return len(progress.looks) - 1 - progress.best >= self._recipe.patience

    def _again(self, progress: _Progress, chosen: Learner, seen: int) -> Learner:
        """The same once more with what was hidden, for as many epochs as were best; where that is next to nothing, not."""
        nothing = Split((), {}, self._until).hides
        everything = self._examples(nothing)
        if len(everything) < MORE * seen:
            return chosen
        learner = self._learner(everything, nothing)
        if progress.step:
            learner.load(load_file(self._folder / CHECKPOINT))
        total = learner.steps * self._recipe.epochs
        while progress.step < learner.steps * progress.best:
            self._take(learner, progress, total)
        return learner

    def _take(self, learner: Learner, progress: _Progress, total: int) -> None:
        loss = learner.step(progress.step, total)
        progress.step += 1
        seen = f", NDCG {max(progress.looks):.4f}" if progress.looks else ""
        self._tell(f"{progress.stage}: loss {loss:.2f}{seen}", progress.step, total)
        if time.monotonic() - self._saved > EVERY:
            self._save(learner, progress)

    def _save(self, learner: Learner, progress: _Progress) -> None:
        if self._made:
            sign_of_life(self._client, self._made)
        _write(self._folder / CHECKPOINT, learner, progress)
        self._saved = time.monotonic()

    def _stored(self) -> _Progress | None:
        path = self._folder / CHECKPOINT
        if not path.is_file():
            return None
        with safe_open(path, "pt") as handle:
            return _Progress(**json.loads(handle.metadata()["progress"]))


def _write(path: Path, learner: Learner, progress: _Progress) -> None:
    """One file, there whole or as it was before."""
    scratch = path.with_suffix(".new")
    save_file(learner.state(), scratch, metadata={"progress": json.dumps(asdict(progress))})
    os.replace(scratch, path)


def _rows(
    client: QdrantClient, space: Space, config: SpaceConfig, base: SpaceConfig, catalogue: Catalogue
) -> np.ndarray:
    """The base encoder's vectors of the catalogue's sources: read where the space holds them, else encoded."""
    if base != config:
        return load_encoder(base).encode(catalogue.texts)
    rows = np.zeros((len(catalogue.texts), config.size), dtype=np.float32)
    for collection in (space.items, space.texts):
        for page in store.scroll(
            client, collection, conditions.where(conditions.equals(Key.STALE, False)), False, [DENSE]
        ):
            for record in page:
                place = catalogue.number.get(str(record.id))
                vector = record.vector.get(DENSE) if isinstance(record.vector, dict) else None
                if place is not None and vector is not None:
                    rows[place] = np.asarray(vector)
    return rows


def _cooccurrence(
    client: QdrantClient, space: Space, config: SpaceConfig, catalogue: Catalogue,
    hidden: Callable[[Mapping[str, Any]], bool],
) -> sparse.csr_matrix:  # fmt: skip
    """Co-occurrence (items, items) of what is not hidden, in the catalogue's order: column, then row was taken."""
    events = SpaceStore(client, space).events.pages(None, EVENT_KEYS)
    found = collect(([event for event in page if not hidden(event.payload)] for page in events), config)
    matrix = sparse.vstack(list(cooccurrence.cooccurrence(found, config.collab_distance)), format="coo")
    place = np.array(
        [catalogue.number.get(point_id("item", name[1], name[0] or None), -1) for name in found.names], dtype=np.int64
    )
    rows, columns = place[matrix.row], place[matrix.col]
    there = (rows >= 0) & (columns >= 0)
    shape = (catalogue.items, catalogue.items)
    return sparse.csr_matrix((matrix.data[there], (rows[there], columns[there])), shape=shape)
