"""Texts from outside, as the types of fields make them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pipeline.fields import MAX_LINE, Address, Line, Tags

LINE, TAGS, ADDRESS = TypeAdapter(Line), TypeAdapter(Tags), TypeAdapter(Address)
# Halves of surrogate pairs too, which JSON may hold.
TEXTS = st.text(st.characters(codec=None)) | st.text("a\r\n\u2028\x85\0\ud800 ", max_size=20)


@given(TEXTS)
def test_a_line_is_one_line_that_any_file_holds(text: str) -> None:
    line = LINE.validate_python(text)
    assert len(line.splitlines()) <= 1
    assert "\0" not in line
    assert line.encode().decode() == line
    assert LINE.validate_json(json.dumps(line)) == LINE.validate_python(line) == line


@given(st.lists(TEXTS, max_size=6))
def test_tags_are_the_same_after_a_file_has_them_as_words(texts: list[str]) -> None:
    tags = TAGS.validate_python(texts)
    assert tuple(" ".join(tags).split()) == tags == tuple(sorted(set(tags)))
    assert TAGS.validate_json(json.dumps(tags)) == tags


def test_a_long_text_is_cut_and_a_long_address_refused() -> None:
    assert LINE.validate_python("x" * (MAX_LINE + 1)) == "x" * MAX_LINE
    with pytest.raises(ValidationError):
        ADDRESS.validate_python("x" * (MAX_LINE + 1))


@pytest.mark.parametrize("tags", ["a b", 42, ["a", 42], [["a"]], ["x" * 100_001]])
def test_what_is_no_list_of_tags_is_refused(tags: object) -> None:
    with pytest.raises(ValidationError):
        TAGS.validate_python(tags)
