"""The wheel holds `llmrec_qdrant` and nothing else, and works where torch and the workers are not."""

from __future__ import annotations

import subprocess
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path
from textwrap import dedent

import pytest

from llmrec_qdrant import Event, Item, Recommender, SpaceConfig
from tests.services import ROOT
from tests.spaces import drop, fresh_name

pytestmark = pytest.mark.slow

HEAVY = ("torch", "transformers", "sentence_transformers", "sklearn", "scipy", "workers")

BLOCK_HEAVY = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ImportError(f"{{name}} is blocked: the adapter must not import it")

sys.meta_path.insert(0, Blocked())
"""


def run_clean(python: Path, code: str, folder: Path) -> str:
    """What `code` prints under `python`, away from the source tree, with the heavy packages blocked."""
    done = subprocess.run(
        [str(python), "-I", "-W", "error", "-c", BLOCK_HEAVY + dedent(code)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_holds_the_package_and_its_metadata_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names} == {"llmrec_qdrant", "llmrec_qdrant-0.1.0.dist-info"}
    assert "llmrec_qdrant/py.typed" in names
    assert "llmrec_qdrant-0.1.0.dist-info/licenses/LICENSE" in names
    assert wheel.name == "llmrec_qdrant-0.1.0-py3-none-any.whl"


def test_asks_for_light_packages_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read("llmrec_qdrant-0.1.0.dist-info/METADATA").decode())
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(line.replace(" ", "") for line in required) == sorted(
        ["numpy", "pydantic-settings", "pydantic<3,>=2.11", "qdrant-client<1.18,>=1.17.1"]
    )
    assert metadata["License-Expression"] == "Apache-2.0"


def test_imports_where_the_heavy_packages_are_blocked(clean_python: Path, tmp_path: Path) -> None:
    code = """
    import llmrec_qdrant
    print(llmrec_qdrant.__file__)
    for name in llmrec_qdrant.__all__:
        getattr(llmrec_qdrant, name)
    """
    printed = run_clean(clean_python, code, tmp_path)
    assert Path(printed.strip()).is_relative_to(clean_python.parents[1])


@pytest.mark.parametrize("name", HEAVY)
def test_the_block_blocks(clean_python: Path, tmp_path: Path, name: str) -> None:
    code = f"""
    try:
        import {name}.anything
    except ImportError as error:
        print(error)
    """
    printed = run_clean(clean_python, code, tmp_path)
    assert printed == f"{name} is blocked: the adapter must not import it\n"


def test_the_clean_environment_has_no_heavy_package(clean_python: Path) -> None:
    listed = subprocess.run(
        [str(clean_python), "-m", "pip", "list", "--format=freeze"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    installed = {line.partition("==")[0].lower().replace("_", "-") for line in listed.splitlines()}
    assert installed & {"torch", "transformers", "sentence-transformers", "scikit-learn", "scipy", "celery"} == set()
    assert "qdrant-client" in installed


def test_every_dependency_is_pinned() -> None:
    """What `make install` and the image install is what `constraints.txt` says."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {normal(line.partition("==")[0]) for line in lines if "==" in line}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    requirements = [
        *project["project"]["dependencies"],
        *(line for extra in project["project"]["optional-dependencies"].values() for line in extra),
        *(
            line
            for name, group in project["dependency-groups"].items()
            if name != "peers"  # others' recommenders, for one benchmark; nothing installs them
            for line in group
            if isinstance(line, str)
        ),
    ]
    named = {normal(line) for line in requirements} - {"llmrec-qdrant"}
    assert named - pinned == set()


def normal(requirement: str) -> str:
    name = requirement.split("[")[0]
    for mark in "<>=!~; ":
        name = name.partition(mark)[0]
    return name.strip().lower().replace("_", "-").replace(".", "-")


@pytest.mark.qdrant
def test_recommends_and_writes_where_the_heavy_packages_are_blocked(
    clean_python: Path, tmp_path: Path, qdrant_url: str
) -> None:
    rec = Recommender.connect(qdrant_url, space=fresh_name())
    rec.create(SpaceConfig(model="hash", size=32))
    rec.upsert_items([Item(id=f"i{k}", title=f"{'space war' if k % 2 else 'garden love'} {k}") for k in range(8)])
    rec.track([Event(user="ann", item="i1", type="view", ts=1)])
    code = f"""
    import sys, warnings
    from llmrec_qdrant import Item, Recommender, WorkPendingWarning
    rec = Recommender.connect({qdrant_url!r}, space={rec._space.name!r})
    print([one.id for one in rec.recommend("ann", 3)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        receipt = rec.upsert_items([Item(id="new", title="more space war")])
    print(receipt.written, receipt.queued, caught[0].category.__name__)
    print(sorted({{"torch", "transformers", "sklearn", "workers", "celery"}} & set(sys.modules)))
    """
    printed = run_clean(clean_python, code, tmp_path).splitlines()
    assert printed == [str([one.id for one in rec.recommend("ann", 3)]), "1 False WorkPendingWarning", "[]"]
    assert (rec.status().items, rec.status().items_stale) == (9, 1)
    drop(rec)
