"""How many bytes a dry run says that a scrape would fetch."""

import pytest

from pipeline.scraping.dry_run import Plan, PlannedFile
from pipeline.scraping.posts import Post


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], (0, 0)),
        ([(100, True, False)], (0, 0)),
        ([(100, False, False)], (100, 100)),
        ([(100, False, True)], (50, 200)),
        ([(7, True, False), (100, False, False), (30, False, True)], (115, 160)),
    ],
)
def test_what_is_guessed_may_be_half_or_double(
    files: list[tuple[int, bool, bool]], expected: tuple[int, int]
) -> None:
    post = Post(1, 40, 32, "http://b.test/1.png", "", "safe", (), "", 0)
    accepted = tuple(PlannedFile(post, *file) for file in files)
    assert Plan(accepted, {}, None).bytes_to_fetch == expected
