"""``push``, ``pull``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llmrec_qdrant.connect import open_sync
from tests.commandline import Llmrec, one_sentence
from tests.moving import everything, remove
from tests.services import QdrantServer
from tests.spaces import fresh_name

pytestmark = pytest.mark.qdrant


@pytest.fixture
def there(qdrant_url: str) -> Iterator[str]:
    """The name that the space gets on the server."""
    name = fresh_name()
    yield name
    remove(qdrant_url, name)


def test_push_and_pull(filled: Llmrec, run: Llmrec, qdrant_url: str, there: str) -> None:
    pushed = filled("push", qdrant_url, "--as", there)
    assert pushed.code == 0, pushed.err
    assert f"{there}_items_v1" in pushed.out and "all were compared and are equal" in pushed.out
    pulled = run("pull", qdrant_url, "--path", "copy", "--space", "main", "--as", there, "--json").json
    assert (pulled["space"], pulled["live"], pulled["versions"]) == ("main", 1, [1])
    assert pulled["points"]["main_items_v1"] == 4 and pulled["written"] == sum(pulled["points"].values())
    original, copy, server = open_sync(path="data"), open_sync(path="copy"), open_sync(qdrant_url)
    assert everything(copy, "main") == everything(original, "main") == everything(server, there, "main")
    for client in (original, copy, server):
        client.close()


def test_push_refuses_a_space_that_is_there(filled: Llmrec, qdrant_url: str, there: str) -> None:
    filled("push", qdrant_url, "--as", there)
    assert "replace it with `--replace`" in one_sentence(filled("push", qdrant_url, "--as", there))
    unasked = filled("push", qdrant_url, "--as", there, "--replace")
    assert unasked.code == 1 and "nothing replaced: pass --yes to confirm without a terminal" in unasked.err
    replaced = filled("push", qdrant_url, "--as", there, "--replace", "--yes")
    assert "0 were new or differed, 0 were removed" in replaced.out


@pytest.mark.parametrize("answer", [True, False])
def test_replacing_is_confirmed(filled: Llmrec, qdrant_url: str, there: str, answer: bool) -> None:
    filled("push", qdrant_url, "--as", there)
    pushed = filled("push", qdrant_url, "--as", there, "--replace", stdin="y\n" if answer else "n\n")
    assert f"replace what {qdrant_url} holds of space '{there}'?" in pushed.err
    assert (pushed.code, "nothing replaced" in pushed.err) == ((0, False) if answer else (1, True))


def test_the_key_belongs_to_the_server(filled: Llmrec, run: Llmrec, monkeypatch: pytest.MonkeyPatch) -> None:
    with QdrantServer(api_key="secret") as guarded:
        assert "asks for an API key" in one_sentence(filled("push", guarded.url))
        wrong = one_sentence(filled("push", guarded.url, "--api-key", "wrong-one"))
        assert f"{guarded.url}: Qdrant refused the API key" in wrong and "wrong-one" not in wrong
        assert filled("push", guarded.url, "--api-key", "secret").code == 0
        monkeypatch.setenv("LLMREC_OTHER_API_KEY", "secret")
        assert filled("push", guarded.url, "--as", "second").code == 0
        monkeypatch.delenv("LLMREC_OTHER_API_KEY")
        between = ["push", guarded.url, "--url", guarded.url, "--space", "main", "--api-key", "secret", "--as", "third"]
        assert "asks for an API key" in one_sentence(run(*between))
        assert run(*between, "--other-api-key", "secret").code == 0


def test_what_is_refused(filled: Llmrec, run: Llmrec, qdrant_url: str) -> None:
    assert "must look like http" in one_sentence(filled("push", "localhost:6333"))
    assert "does not answer" in one_sentence(filled("push", "http://127.0.0.1:9"))
    assert "there is no folder 'nowhere'" in one_sentence(run("push", qdrant_url, "--path", "nowhere"))
    assert "bound to tenant 'acme'" in one_sentence(filled("push", qdrant_url, "--tenant", "acme"))
    assert "there is no space 'none'" in one_sentence(run("pull", qdrant_url, "--path", "new", "--space", "none"))
