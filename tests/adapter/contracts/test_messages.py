"""Messages hold names and ids, never texts."""

from __future__ import annotations

from typing import Any

import pytest

from llmrec_qdrant import InvalidInput
from llmrec_qdrant.contracts.messages import (
    MESSAGES,
    EmbedItems,
    EmbedTexts,
    FitCollab,
    Reconcile,
    RefreshUsers,
    RunJob,
)


def refusal(model: Any, /, **fields: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        model(**fields)
    assert type(caught.value) is InvalidInput
    return str(caught.value)


def test_messages_hold_names_and_ids_and_never_texts() -> None:
    assert {model.__name__: sorted(model.model_fields) for model in MESSAGES} == {
        "EmbedItems": ["ids", "space", "v"],
        "EmbedTexts": ["ids", "space", "v"],
        "FitCollab": ["ids", "space", "v"],
        "Reconcile": ["everything", "space", "v"],
        "RefreshUsers": ["ids", "space", "v"],
        "RunJob": ["job", "space", "v"],
    }


def test_names_and_queues_of_the_tasks() -> None:
    """Workers of another version listen to these names."""
    assert {model.task: model.queue for model in MESSAGES} == {
        "llmrec.embed_items": "encode",
        "llmrec.embed_texts": "refresh",
        "llmrec.fit_collab": "batch",
        "llmrec.reconcile": "batch",
        "llmrec.refresh_users": "refresh",
        "llmrec.run_job": "batch",
    }


def test_trainings_go_where_the_encoders_run() -> None:
    assert RunJob(space="s", job="train-7").destination() == "encode"
    assert RunJob(space="s", job="fit-topics-7").destination() == "batch"
    assert RunJob(space="s", job="generate-7").destination() == "generate"


@pytest.mark.parametrize("model", [EmbedItems, EmbedTexts, RefreshUsers])
def test_a_message_has_one_to_a_thousand_ids(model: Any) -> None:
    assert model(space="s", ids=["a"] * 1_000).model_dump(mode="json") == {"v": 1, "space": "s", "ids": ["a"] * 1_000}
    assert refusal(model, space="s", ids=["a"] * 1_001).startswith(
        f"{model.__name__}: 'ids': list should have at most 1000 items after validation, not 1001"
    )
    assert "'ids': list should have at least 1 item" in refusal(model, space="s", ids=[])
    assert refusal(model, space="s") == f"{model.__name__}: 'ids': field required"


def test_the_collab_leg_is_rebuilt_whole_or_for_some_items() -> None:
    assert FitCollab(space="s").ids == []
    assert refusal(FitCollab, space="s", ids=["x"] * 1001).startswith("FitCollab: 'ids': list should have at most 1000")


def test_a_message_about_a_job() -> None:
    assert RunJob(space="s", job="tune-1").model_dump(mode="json") == {"v": 1, "space": "s", "job": "tune-1"}
    assert refusal(RunJob, space="", job="tune-1") == (
        "RunJob: 'space': string should have at least 1 character (got '')"
    )
    assert refusal(RunJob, space="s") == "RunJob: 'job': field required"
    assert refusal(RunJob, space="s", job="tune-1", v=2) == "RunJob: 'v': input should be 1 (got 2)"


def test_reconcile_says_whether_leases_count() -> None:
    assert Reconcile(space="s").model_dump(mode="json") == {"v": 1, "space": "s", "everything": False}
