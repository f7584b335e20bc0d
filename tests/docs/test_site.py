"""What a page of the documentation must hold, beside commands that work."""

import re

import pytest
from ruamel.yaml import YAML

from pipeline.shipped import shipped_models
from tests.docs.pages import PAGES, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAPER = re.compile(r"([A-Z][^\W\d]+)(?: et al\.| (?:and|&) [A-Z][^\W\d]+),?\s+((?:19|20)\d\d)")


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= 1500
    assert [line for line in README.splitlines() if len(line) > 120] == []


def test_the_readme_names_the_commands_that_set_up_and_reproduce() -> None:
    for command in (
        "make demo",
        "make test",
        "dvc repro",
        "dvc exp run -S train.adv_weight=0",
        "pipeline scrape --limit 18000",
    ):
        assert re.search(rf"^{command}( |$)", README, re.MULTILINE)


def test_the_readme_lists_every_shipped_model() -> None:
    for name in shipped_models():
        assert f"[{name}]: pipeline/shipped/{name}.md" in README


def test_every_paper_of_the_code_is_cited() -> None:
    references = (ROOT / "docs/explanation/references.md").read_text(encoding="utf-8")
    listed = set(PAPER.findall(references))
    sources = [*ROOT.glob("pipeline/**/*.py"), ROOT / "docs/decisions.md"]
    texts = {str(path): " ".join(path.read_text(encoding="utf-8").split()) for path in sources}
    cited = {(paper, name) for name, text in texts.items() for paper in PAPER.findall(text)}
    assert cited
    assert sorted(one for one in cited if one[0] not in listed) == []


def test_every_paper_of_the_references_is_in_the_citation_file() -> None:
    references = (ROOT / "docs/explanation/references.md").read_text(encoding="utf-8")
    titles = set(re.findall(r"^\| [^|“]+“([^”]+)”", references, re.MULTILINE))
    citation = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert titles
    assert titles <= {one["title"] for one in citation["references"]}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_page_is_in_the_site(path: object) -> None:
    """The site lists its pages by hand, so a new one could be left out."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    name = str(path).removeprefix(f"{ROOT}/")
    moved = {
        "README.md": "index.md",
        "CONTRIBUTING.md": "contributing.md",
        "stages/project_readme.md": None,
        "stages/project_readme_of_pairs.md": None,
    }
    uri = moved.get(name, name.removeprefix("docs/"))
    if uri is not None:
        assert f": {uri.replace('pipeline/shipped/', 'results/cards/')}\n" in navigation
