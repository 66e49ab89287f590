"""A version is what was written, or is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from llmrec_qdrant import InvalidInput
from workers.encoding import registry
from workers.encoding.registry import Version


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMREC_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def write(folder: Path) -> None:
    save_file({"weight": torch.ones(2)}, folder / "towers.safetensors")


def publish(**changes: object) -> Version:
    given = {"name": "", "method": "towers", "space": "movies", "base": {"model": "hash"}, "size": 8} | changes
    return registry.publish(write, Version(**given))  # type: ignore[arg-type]


def test_versions_are_numbered_and_say_what_they_are() -> None:
    first, second = publish(offered=True), publish(metrics={"dense": 0.1})
    assert (first.name, second.name) == ("movies-towers-1", "movies-towers-2")
    version, folder = registry.load("movies-towers-2")
    assert version == second and set(version.files) == {"README.md", "towers.safetensors"}
    card = (folder / "README.md").read_text()
    assert "did not beat" in card and "| dense | 0.1 |" in card
    assert [one.name for one in registry.versions("movies")] == ["movies-towers-1", "movies-towers-2"]
    assert [one.offered for one in registry.versions()] == [True, False]
    assert registry.versions("books") == []


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "towers.safetensors").write_bytes(b"other"), "has changed since it was written"),
        (lambda folder: (folder / "towers.safetensors").unlink(), "is missing"),
        (lambda folder: (folder / "pytorch_model.bin").write_bytes(b"\x80\x04."), "not a file of weights"),
        (lambda folder: (folder / "modeling.py").write_text("print()"), "not a file of weights"),
        (lambda folder: (folder / "more.json").write_text("{}"), "was added after"),
        (lambda folder: (folder / "version.json").write_text("[]"), "cannot be read"),
        (lambda folder: (folder / "link.json").symlink_to("/etc/hostname"), "not a file of weights"),
    ],
)
def test_what_was_changed_or_could_run_code_is_refused(harm: object, said: str, models: Path) -> None:
    version = publish()
    harm(models / version.name)  # type: ignore[operator]
    with pytest.raises(InvalidInput, match=said):
        registry.load(version.name)


def test_an_unknown_model_is_named(models: Path) -> None:
    with pytest.raises(InvalidInput, match="no trained model 'movies-towers-9'"):
        registry.load("movies-towers-9")


@pytest.mark.parametrize("name", ["x" * 300, "~nobody-of-this-name/x", "a\0b"])
def test_what_can_be_no_file_is_no_version(name: str) -> None:
    assert registry.find(name) is None


def test_figures_of_another_shape_are_refused(models: Path) -> None:
    publish()
    record = models / "movies-towers-1" / "version.json"
    record.write_text(record.read_text().replace('"metrics": {}', '"metrics": null'))
    with pytest.raises(InvalidInput, match="metrics must be an object"):
        registry.find("movies-towers-1")


def test_a_half_written_version_is_none(models: Path) -> None:
    def die(folder: Path) -> None:
        write(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registry.publish(die, Version("", "towers", "movies", {}, 8))
    assert registry.versions() == [] and list(models.iterdir()) == []


def test_the_record_is_readable(models: Path) -> None:
    publish(data="ab12", metrics={"dense": float(np.float32(0.5))})
    stored = json.loads((models / "movies-towers-1" / "version.json").read_text())
    assert (stored["data"], stored["metrics"], stored["base"]) == ("ab12", {"dense": 0.5}, {"model": "hash"})


def test_a_version_whose_record_is_broken_hides_no_other(models: Path) -> None:
    first, second = publish(), publish()
    (models / first.name / "version.json").write_text('{"name": ')
    assert [version.name for version in registry.versions()] == [second.name]
    (why,) = registry.listed()[1]
    assert f"version.json of trained model {first.name!r} cannot be read" in why and "delete it" in why
