"""Which fits renew labels: those that ask for another number of topics, until one of them is through."""

from __future__ import annotations

from dataclasses import replace

from llmrec_qdrant import Recommender, SpaceConfig
from tests.spaces import store_of
from workers.topics.record import begin, read, write


def test_a_fit_renews_labels_if_it_asks_for_another_number_or_takes_up_one_that_did() -> None:
    with Recommender.connect(path=":memory:", space="t") as rec:
        rec.create(SpaceConfig(model="hash", size=32))
        (live,) = store_of(rec).versions()
        assert not begin(live, None).renews
        assert begin(live, 3).renews
        assert begin(live, 3).renews  # its worker died: taken up again
        write(live, replace(read(live), stage="done"))
        assert not begin(live, 3).renews
        write(live, replace(read(live), stage="done"))
        assert not begin(live, None).renews
        assert begin(live, 4).renews
