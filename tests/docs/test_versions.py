"""The program's version and address, which stand in several files."""

import re
import tomllib
from typing import Any

from ruamel.yaml import YAML

from tests.docs.pages import PAGES, ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
CITATION = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
WHEEL = re.compile(r"anime_sr_pipeline-([\w.]+)-py3")


def test_citation_and_wheels_have_the_projects_version() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in PAGES}
    found = {version for text in texts.values() for version in WHEEL.findall(text)}
    assert found | {CITATION["version"]} == {PROJECT["version"]}


def test_the_changelog_begins_with_what_is_unreleased_or_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    released = [heading for heading in headings if heading != "Unreleased"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)", one) for one in released)
    assert "Unreleased" not in headings[1:]
    assert released == [] or released[0].startswith(f"{PROJECT['version']} (")


def test_every_python_of_the_classifiers_is_tested() -> None:
    prefix = "Programming Language :: Python :: "
    named = {one.removeprefix(prefix) for one in PROJECT["classifiers"] if one.startswith(prefix)}
    workflow = YAML(typ="safe").load(ROOT / ".github/workflows/ci.yml")
    assert set(workflow["jobs"]["test"]["strategy"]["matrix"]["python"]) == named
    assert f">={min(named, key=lambda text: int(text.split('.')[1]))}" == PROJECT["requires-python"]


def test_an_address_that_is_set_is_set_everywhere() -> None:
    repository = PROJECT.get("urls", {}).get("Repository")
    assert CITATION.get("repository-code") == repository
    if repository is not None:
        install = [ROOT / "README.md", ROOT / "docs/howto/install.md"]
        assert [path for path in install if "REPOSITORY" in path.read_text("utf-8")] == []
