"""`pipeline card` as a user types it."""

import json
from pathlib import Path

from tests.stages.program import pipeline


def test_a_card_is_printed_or_written(tmp_path: Path) -> None:
    printed = pipeline(tmp_path, "card", "web")
    assert (printed.code, printed.err) == (0, "")
    assert printed.out.startswith("---\nlibrary_name: anime-sr-pipeline\n")
    written = pipeline(tmp_path, "card", "web", "-o", "a/README.md")
    assert (written.code, written.out) == (0, "a/README.md: the card of 4x-web\n")
    assert (tmp_path / "a/README.md").read_text() == printed.out


def test_openmodeldb_gets_json(tmp_path: Path) -> None:
    result = pipeline(tmp_path, "card", "web", "--openmodeldb")
    assert (result.code, json.loads(result.out)["name"]) == (0, "web")


def test_mistakes_are_named(tmp_path: Path) -> None:
    (tmp_path / "old.md").write_text("mine")
    for arguments, code, message in (
        (["web", "-o", ".", "--overwrite"], 2, ".: is a folder; name a file"),
        (["web", "-o", "old.md"], 2, "old.md: exists; --overwrite replaces it"),
        (["web", "-o", "old.md/new.md"], 2, "old.md/new.md: old.md is a file, and no folder"),
        (["old.md"], 2, "MODEL: old.md: is text, not a model; it begins: mine"),
        (["best"], 2, "MODEL: best is no file"),
    ):
        result = pipeline(tmp_path, "card", *arguments)
        assert (result.code, len(result.problems)) == (code, 1)
        assert message in result.err
    assert (tmp_path / "old.md").read_text() == "mine"
