"""What is read from the list and post pages of Danbooru 2 sites."""

import dataclasses

import pytest

from pipeline.scraping.api_parsing import AnswerError
from pipeline.scraping.danbooru_pages import listed_ids, parse_view
from pipeline.scraping.posts import Malformed, Page, TagCategories
from tests.scraping.test_danbooru import MD5, POST, SITE

HEAD = "<!DOCTYPE html>\n<html><head><title>x</title></head>"
LIST = """<body><div id="posts"><div class="posts-container">
<article id="post_9" class="post-preview post-status-pending" data-id="9" data-rating="g"></article>
<article id="post_7" class="post-preview" data-id="7"></article>
<article id="post_x" class="post-preview" data-id="x"></article>
</div></div><article class="post-preview" data-id="7"></article></body></html>"""
FILE = f"https://cdn.booru.test/original/ac/8e/{MD5}.jpg"
# As in the published source: tags by category in the sidebar, the rest in data attributes.
VIEW = (
    HEAD
    + f"""
<body class="c-posts" data-post-id="294929" data-post-fav-count="11" data-post-parent-id="7">
<section id="tag-list"><div class="tag-list categorized-tag-list">
<h3 class="artist-tag-list">Artist</h3><ul class="artist-tag-list">
<li class="flex tag-type-1" data-tag-name="bonocho"><a class="search-tag">bonocho</a></li></ul>
<ul class="character-tag-list"><li data-tag-name="batman"></li><li data-tag-name="joker_(dc)"></li>
</ul><ul class="general-tag-list"><li data-tag-name="sketch"></li></ul></div></section>
<section class="image-container note-container" data-id="294929"
 data-tags="batman bonocho joker_(dc) sketch" data-rating="s" data-width="895" data-height="687"
 data-score="-2" data-source="https://a.test/?a=1&amp;amp=2" data-file-url="{FILE}"></section>
</body></html>"""
)
SHOWN = dataclasses.replace(
    POST,
    tags=("batman", "bonocho", "joker_(dc)", "sketch"),
    tag_categories=TagCategories(artist=("bonocho",), character=("batman", "joker_(dc)")),
)


def view(old: str = "", new: str = "") -> Page:
    assert old in VIEW
    return parse_view((VIEW.replace(old, new) if old else VIEW).encode(), POST.id, SITE)


def test_ids_of_a_list_page() -> None:
    assert listed_ids((HEAD + LIST).encode()) == [9, 7]
    empty = '<div id="posts"><p>No posts found.</p></div>'
    assert listed_ids((HEAD + empty).encode()) == []


def test_a_post() -> None:
    assert view() == Page((SHOWN,))


@pytest.mark.parametrize(
    ("old", "new", "field", "value"),
    [
        (f' data-file-url="{FILE}"', "", "file_url", ""),
        (f' data-file-url="{FILE}"', "", "md5", ""),
        (MD5, "picture", "md5", ""),
        (' data-post-parent-id="7"', ' data-post-parent-id=""', "parent_id", 0),
        ('data-post-id="294929"', "", "favourites", None),
        (' data-rating="s"', "", "rating", ""),
    ],
)
def test_odd_posts(old: str, new: str, field: str, value: object) -> None:
    assert getattr(view(old, new).posts[0], field) == value


@pytest.mark.parametrize(
    ("old", "new"),
    [('data-id="294929"', 'data-id="1"'), (' data-width="895"', ""), ("687", "0")],
)
def test_a_page_that_shows_another_post_or_not_all_of_it(old: str, new: str) -> None:
    assert view(old, new) == Page(malformed=(Malformed(POST.id),))


def test_any_other_page_is_no_answer() -> None:
    other = (HEAD + "<h1>Down</h1>").encode()
    with pytest.raises(AnswerError, match=r"^answered with a web page that lists no posts$"):
        listed_ids(other)
    without_ids = HEAD + LIST.replace("data-id", "data-number")
    with pytest.raises(AnswerError, match="lists posts without ids"):
        listed_ids(without_ids.encode())
    with pytest.raises(AnswerError, match=r"^answered with a web page that shows no post$"):
        parse_view(other, 5, SITE)
    with pytest.raises(AnswerError, match=r"^answered with JSON instead of a web page$"):
        listed_ids(b"[]")
