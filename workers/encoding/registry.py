"""Trained models on disk: a folder per version, with its origin and its measured quality.

``LLMREC_MODELS`` holds one folder per version, named ``{space}-{method}-{number}``: weights (safetensors), configuration,
tokenizer if the method changes it, ``version.json`` and a model card. A version is written under a temporary name and
renamed into place, so it is complete or absent. ``version.json`` lists the SHA-256 of every other file. A version with a
file that is not listed, was changed, or could run code when read (a pickle) is refused. Workers on several machines share
the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.operations.clock import now
from llmrec_qdrant.settings import Settings

__all__ = ["RECORD_FILE", "Version", "find", "folder", "listed", "load", "publish", "seal", "versions"]


RECORD_FILE = "version.json"


CARD_FILE = "README.md"
VERDICTS = {"worse": "was worse than", "cannot tell": "was neither better nor worse, beyond chance, than"}
"""Verdict on a version that is not offered → words for its card."""


SAFE_SUFFIXES = frozenset({".safetensors", ".json", ".txt", ".md", ".model"})
"""Suffixes of files that hold only data."""


@dataclass(frozen=True)
class Version:
    """The record of a trained model."""

    name: str
    method: str
    """towers, encoder or texts."""
    space: str
    base: dict[str, Any]
    """Identity of the encoder it started from: model, revision, pooling and so on."""
    size: int
    """Dimensions of its vectors."""
    data: str = ""
    """Digest of the examples it learned from."""
    options: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    """NDCG on held-out users, of this model and of the previous model of the space."""
    offered: bool = False
    """Whether its fused lists beat those of the previous model of the space on held-out users."""
    made_at: str = ""
    files: dict[str, str] = field(default_factory=dict)
    """File → SHA-256."""


def folder() -> Path:
    """Return the folder that holds all versions (``LLMREC_MODELS``)."""
    return Settings.current().models.expanduser()


def find(model: str) -> tuple[Version, Path] | None:
    """Return a version and its folder, by its name or its path; None if ``model`` names something else.

    Raises :class:`InvalidInput` if a file has changed since it was written.
    """
    for place in (folder() / model, Path(model)):
        try:
            path = place.expanduser()
            stamp = (path / RECORD_FILE).stat().st_mtime_ns
        except (OSError, RuntimeError, ValueError):  # no such file, or no valid file name
            continue
        return _checked(path, stamp), path
    return None


def load(model: str) -> tuple[Version, Path]:
    """As :func:`find`, but raises :class:`InvalidInput` if there is no such version."""
    version = find(model)
    if version is None:
        raise InvalidInput(
            f"there is no trained model {model!r} in {folder()}; `llmrec models` lists those there are, and LLMREC_MODELS names their folder"
        )
    return version


@lru_cache(maxsize=16)
def _checked(path: Path, stamp: int) -> Version:
    version = _read(path)
    wrong = _wrong_files(path, version.files)
    if wrong:
        raise InvalidInput(
            f"trained model {version.name!r} is refused: {wrong}; train it again, or copy its folder again from the machine "
            "that trained it"
        )
    return version


def _read(path: Path) -> Version:
    try:
        stored = json.loads((path / RECORD_FILE).read_text(encoding="utf-8"))
        if not isinstance(stored["metrics"], Mapping):
            raise TypeError("metrics must be an object")
        return Version(**{field.name: stored[field.name] for field in fields(Version)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{RECORD_FILE} of trained model {path.name!r} cannot be read ({type(error).__name__}: {error}): copy its folder "
            "again, or delete it"
        ) from None


def _wrong_files(path: Path, listed: Mapping[str, str]) -> str:
    """Describe the first file of a version that is wrong; empty if none is."""
    present = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if not file.is_dir()}
    present.pop(RECORD_FILE, None)
    for name, file in sorted(present.items()):
        if file.suffix not in SAFE_SUFFIXES or file.is_symlink():
            return f"{name!r} is not a file of weights, configuration or text"
        if name not in listed:
            return f"{name!r} was added after the model was trained"
    for name, digest in listed.items():
        if name not in present:
            return f"{name!r} is missing"
        if _digest(present[name]) != digest:
            return f"{name!r} has changed since it was written"
    return ""


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def versions(space: str | None = None) -> list[Version]:
    """List all versions, or those of a space, oldest first; without those whose record cannot be read."""
    return listed(space)[0]


def listed(space: str | None = None) -> tuple[list[Version], list[str]]:
    """As :func:`versions`, and a sentence about each version of the folder whose record cannot be read."""
    read, bad = list[Version](), list[str]()
    for path in sorted(folder().glob(f"*/{RECORD_FILE}")) if folder().is_dir() else []:
        if path.parent.name.startswith("."):
            continue
        try:
            read.append(_read(path.parent))
        except InvalidInput as error:
            bad.append(str(error))
    mine = [version for version in read if space in (None, version.space)]
    return sorted(mine, key=lambda version: (version.made_at, version.name)), bad


def seal(path: Path, version: Version) -> Version:
    """Write the card and the record of a version whose other files are in ``path``; returns it with their digests."""
    (path / CARD_FILE).write_text(_card(version), encoding="utf-8")
    files = [file for file in sorted(path.rglob("*")) if file.is_file() and file.name != RECORD_FILE]
    version = replace(version, files={file.relative_to(path).as_posix(): _digest(file) for file in files})
    (path / RECORD_FILE).write_text(json.dumps(asdict(version), indent=2, ensure_ascii=False), encoding="utf-8")
    return version


def publish(write: Callable[[Path], None], version: Version) -> Version:
    """Add a version under the next free number of its space and method; ``write`` writes its weights into a folder."""
    base = folder()
    base.mkdir(parents=True, exist_ok=True)
    prefix = f"{version.space}-{version.method}-"
    with tempfile.TemporaryDirectory(dir=base, prefix=".new-") as scratch:
        draft = Path(scratch) / "version"
        draft.mkdir(mode=0o755)
        write(draft)
        number = 1 + max(
            [0, *(int(rest) for taken in base.glob(f"{prefix}*") if (rest := taken.name[len(prefix) :]).isdigit())]
        )
        while True:
            version = seal(draft, replace(version, name=f"{prefix}{number}", made_at=now()))
            try:
                os.rename(draft, base / version.name)
                return version
            except OSError:  # another training took the number meanwhile
                if not (base / version.name).exists():
                    raise
                number += 1


def _card(version: Version) -> str:
    metrics = "\n".join(f"| {name} | {value} |" for name, value in version.metrics.items())
    options = ", ".join(f"{name} {value}" for name, value in version.options.items())
    verdict = "beat" if version.offered else VERDICTS.get(str(version.metrics.get("verdict")), "did not beat")
    return f"""# {version.name}

Trained by `llmrec train --method {version.method}` on the events of space `{version.space}`, starting from
`{version.base.get("model")}`; {version.size}-dimensional vectors. On held-out users it {verdict} the previous model of
the space. Use it with `llmrec reembed --model {version.name}`. It is meant for this space, whose items and users it has
learned. Its weights may reveal texts and behaviour that it learned from: protect it as you protect that data.

| on held-out users | |
|---|---|
{metrics}

Options: {options}. Digest of the examples: `{version.data}`. Trained {version.made_at}.
"""
