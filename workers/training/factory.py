"""Builds learners from the contents of a space."""

from __future__ import annotations

from dataclasses import asdict

from llmrec_qdrant.contracts.config import SpaceConfig

from ..encoding import registry, towers
from ..evaluation.report import Report, no_report
from ..storage.store import SpaceStore
from .acts import EventTest, read_events
from .catalogue import base_vectors, read_catalogue
from .cooccurrence import item_cooccurrence
from .encoder import EncoderLearner
from .examples import Examples, build
from .learner import Learner
from .recipe import Recipe
from .towers import TowerLearner

__all__ = ["LearnerFactory", "base_of"]


def base_of(config: SpaceConfig) -> SpaceConfig:
    """Return the configuration of the encoder that a training starts from: the space's, or the one below its towers."""
    trained = registry.find(config.model)
    if trained and trained[0].method == "towers":
        return SpaceConfig(**{**config.model_dump(), **trained[0].base})
    return config


class LearnerFactory:
    """Reads the catalogue of a space once; builds examples and learners from any part of its events."""

    def __init__(
        self, store: SpaceStore, config: SpaceConfig, recipe: Recipe, *, exclude_seen: bool = True, dated: bool = False,
        report: Report = no_report,
    ) -> None:  # fmt: skip
        """``exclude_seen``: whether lists exclude items that the user took. ``dated``: whether newer examples weigh more."""
        report("reading", 0, 1)
        self._store, self._config, self._recipe = store, config, recipe
        self._exclude_seen, self._dated = exclude_seen, dated
        self._base = base_of(config)
        self.catalogue = read_catalogue(store)
        self._vectors = base_vectors(store, config, self._base, self.catalogue)

    def examples(self, hidden: EventTest) -> Examples:
        """Build examples from the events that are not hidden."""
        return build(
            read_events(self._store, self._config, hidden), self.catalogue, self._config, towers.DECAYS, seed=self._recipe.seed,
            repeats=not self._exclude_seen, dated=self._dated,
        )  # fmt: skip

    def learner(self, examples: Examples, hidden: EventTest) -> Learner:
        """Return an untrained learner for these examples."""
        if self._recipe.method != "towers":
            return EncoderLearner(self._recipe, self._base, self.catalogue, self._vectors, examples)
        taken_before = item_cooccurrence(self._store, self._config, self.catalogue, hidden)
        return TowerLearner(
            self._recipe, self.catalogue, self._vectors, examples, taken_before, self._base.stemmer, self._exclude_seen
        )

    def version(self, learner: Learner) -> registry.Version:
        """Describe the version that the learner would become, still without a name."""
        base = {name: getattr(self._base, name) for name in SpaceConfig.IDENTITY}
        return registry.Version(
            "", self._recipe.method, self._store.name, base, learner.size, options=asdict(self._recipe)
        )
