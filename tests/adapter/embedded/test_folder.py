"""The folder of an embedded Qdrant: who may open it, what a failed write leaves, what is removed."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import models

from llmrec_qdrant import InvalidInput, LlmrecError, QdrantRefused, QdrantUnavailable, SpaceNotFound
from llmrec_qdrant.embedded import folder, lock, scratch
from llmrec_qdrant.embedded.client import EdgeClient
from tests.services import ROOT

DENSE = {"dense": models.VectorParams(size=2, distance=models.Distance.COSINE)}
POINT = models.PointStruct(id="00000000-0000-0000-0000-000000000001", vector={"dense": [1.0, 0.0]}, payload={"k": 1})
HOLDER = """
import sys, time
from llmrec_qdrant.embedded.client import EdgeClient
client = EdgeClient(sys.argv[1])
print(client._files.path, flush=True)
time.sleep(600)
"""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[EdgeClient]:
    embedded = EdgeClient(str(tmp_path / "data"))
    embedded.create_collection("films", DENSE, metadata={"a": 1})
    embedded.upsert("films", [POINT])
    yield embedded
    embedded.close()


class Holder:
    """Another process that has a folder open, until it is killed."""

    def __init__(self, path: str) -> None:
        command = [sys.executable, "-c", HOLDER, path]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.path = Path(self.process.stdout.readline().strip())

    def __enter__(self) -> Holder:
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __exit__(self, *_: object) -> None:
        self.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()


# --- who may open it ------------------------------------------------------------------------------


def test_a_second_process_is_told_which_has_the_folder_open_until_it_dies(tmp_path: Path) -> None:
    with Holder(str(tmp_path)) as holder:
        with pytest.raises(QdrantUnavailable, match=rf"another process \(id {holder.process.pid}\) has .*{tmp_path}"):
            EdgeClient(str(tmp_path))
        holder.kill()
        EdgeClient(str(tmp_path)).close()


def test_the_same_process_is_told_to_share(tmp_path: Path, client: EdgeClient) -> None:
    with pytest.raises(QdrantUnavailable, match=r"this process already has .* open: share that recommender"):
        EdgeClient(str(tmp_path / "data"))


def test_of_threads_that_open_at_once_one_succeeds(tmp_path: Path) -> None:
    def attempt(_: int) -> EdgeClient | None:
        with suppress(QdrantUnavailable):
            return EdgeClient(str(tmp_path))
        return None

    with ThreadPoolExecutor(8) as pool:
        (opened,) = [client for client in pool.map(attempt, range(8)) if client]
    opened.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_process_can_neither_use_nor_delete_what_its_parent_has_open() -> None:
    client = EdgeClient(":memory:")
    client.create_collection("films", DENSE)
    client.upsert("films", [POINT])
    child = os.fork()
    if not child:
        code = 1
        try:
            client.count("films")
        except QdrantUnavailable as error:
            code = 0 if f"opened by process {os.getppid()}, from which this one was forked" in str(error) else 2
        client.close()
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.count("films").count == 1
    client.close()


def test_a_path_of_any_letters(tmp_path: Path) -> None:
    path = str(tmp_path / "数据 目录" / "été à 'x'")
    for _ in range(2):
        client = EdgeClient(path)
        if not client.collection_exists("films"):
            client.create_collection("films", DENSE)
            client.upsert("films", [POINT])
        assert client.count("films").count == 1
        client.close()


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="name a folder that can be written to"):
        EdgeClient(str(tmp_path / "file"))


def test_a_copy_of_an_open_folder_opens(tmp_path: Path, client: EdgeClient) -> None:
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    copy = EdgeClient(str(tmp_path / "copy"))
    assert copy.retrieve("films", [POINT.id])[0].payload == {"k": 1}
    copy.close()


# --- writes that fail -----------------------------------------------------------------------------


def contents(client: EdgeClient) -> object:
    names = [collection.name for collection in client.get_collections().collections]
    aliases = [(alias.alias_name, alias.collection_name) for alias in client.get_aliases().aliases]
    info = client.get_collection("films")
    return names, aliases, info.config.metadata, info.payload_schema


def alias(name: str) -> models.CreateAliasOperation:
    return models.CreateAliasOperation(create_alias=models.CreateAlias(alias_name=name, collection_name="films"))


def test_a_catalogue_that_cannot_be_written_changes_nothing(
    tmp_path: Path, client: EdgeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(client)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(folder.os, "replace", full)  # type: ignore[attr-defined]
        for write in (
            lambda: client.create_collection("people", DENSE),
            lambda: client.delete_collection("films"),
            lambda: client.update_collection("films", metadata={"b": 2}),
            lambda: client.update_collection_aliases([alias("movies")]),
            lambda: client.create_payload_index("films", "k", "integer"),
        ):
            with pytest.raises(QdrantRefused, match=r"No space left on device.*nothing was changed"):
                write()
            assert contents(client) == before
    assert client.count("films").count == 1
    client.close()
    again = EdgeClient(str(tmp_path / "data"))
    assert contents(again) == before and len(list((tmp_path / "data" / "collections").iterdir())) == 1
    again.close()


def test_a_nearly_full_disk_refuses_writes_but_not_deletions(
    client: EdgeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine writes through memory maps: on a full disk the system would kill the process."""
    monkeypatch.setattr(folder, "MIN_FREE_BYTES", 2**62)
    for write in (lambda: client.upsert("films", [POINT]), lambda: client.create_collection("people", DENSE)):
        with pytest.raises(QdrantRefused, match=r"MiB left.*free some space"):
            write()
    assert client.count("films").count == 1
    client.delete("films", [POINT.id])
    assert client.count("films").count == 0


def test_a_collection_deleted_while_it_is_in_use_is_not_found(client: EdgeClient) -> None:
    shard = client._shard("films")
    client.delete_collection("films")
    client._shard = lambda name: shard  # type: ignore[method-assign,assignment]
    with pytest.raises(SpaceNotFound, match="deleted"):
        client.count("films")


def test_a_folder_whose_first_catalogue_was_cut_short_opens(tmp_path: Path) -> None:
    (tmp_path / "catalogue.tmp").write_text('{"form')
    EdgeClient(str(tmp_path)).close()
    EdgeClient(str(tmp_path)).close()


def test_what_is_lost_from_a_folder_is_named_and_nothing_else_goes(tmp_path: Path, client: EdgeClient) -> None:
    client.close()
    data = tmp_path / "data"
    (shard,) = (data / "collections").iterdir()
    shard.rename(tmp_path / "aside")
    again = EdgeClient(str(data))
    for _ in range(2):
        with pytest.raises(QdrantRefused, match=r"films.* is missing: restore"):
            again.count("films")
    again.close()
    (tmp_path / "aside").rename(shard)
    catalogue = (data / "catalogue.json").read_bytes()
    (data / "catalogue.json").unlink()
    with pytest.raises(InvalidInput, match=r"catalogue\.json' is missing"):
        EdgeClient(str(data))
    for damaged in (b"", b"[]", b'{"format": 1, "collections": [], "aliases": {}}', catalogue[:-9]):
        (data / "catalogue.json").write_bytes(damaged)
        with pytest.raises(InvalidInput, match="restore the folder from a copy"):
            EdgeClient(str(data))
    (data / "catalogue.json").write_bytes(catalogue)
    again = EdgeClient(str(data))
    assert again.count("films").count == 1
    again.close()


def test_a_folder_that_vanishes_while_it_is_open(tmp_path: Path, client: EdgeClient) -> None:
    shutil.rmtree(tmp_path / "data")
    with pytest.raises(QdrantUnavailable, match="is gone"):
        client.upsert("films", [POINT])
    with pytest.raises(QdrantRefused, match="nothing was changed"):
        client.update_collection("films", metadata={"b": 2})


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_lock", refuse)
    with pytest.raises(InvalidInput, match=r"can be locked .*No locks.*a disk of this machine"):
        EdgeClient(str(tmp_path))


# --- temporary folders ----------------------------------------------------------------------------


def test_a_temporary_folder_of_a_killed_process_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "_parent", lambda: tmp_path)
    with Holder(":memory:") as living, Holder(":memory:") as dead:
        for holder in (living, dead):
            shutil.copytree(holder.path, tmp_path / holder.path.name)
        link = tmp_path / f"{scratch.PREFIX}link"
        link.symlink_to(tmp_path / living.path.name)
        living_lock = tmp_path / living.path.name / "lock"
        living_lock.unlink()
        living_lock.symlink_to(living.path / "lock")
        dead.kill()
        client = EdgeClient(":memory:")
        assert sorted(tmp_path.iterdir()) == sorted([tmp_path / living.path.name, link, client._files.path])
        client.close()
        assert not client._files.path.exists()
        living.kill()
    EdgeClient(":memory:").close()
    assert sorted(tmp_path.iterdir()) == [link]
    for holder in (living, dead):
        shutil.rmtree(holder.path, ignore_errors=True)


def test_little_memory_is_not_used_for_temporary_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A container has 64 MiB of /dev/shm by default; the engine would be killed by the first write beyond."""
    monkeypatch.setattr(scratch, "MEMORY", tmp_path)
    monkeypatch.setattr(scratch, "MIN_MEMORY_BYTES", 0)
    assert scratch._parent() == tmp_path
    monkeypatch.setattr(scratch, "MIN_MEMORY_BYTES", 2**62)
    assert scratch._parent() != tmp_path


def test_forgetting_a_client_frees_its_folder(tmp_path: Path) -> None:
    client = EdgeClient(str(tmp_path))
    client.create_collection("films", DENSE)
    del client
    again = EdgeClient(str(tmp_path))
    again.close()
    again.close()
    with pytest.raises(LlmrecError, match="closed"):
        again.get_collections()
