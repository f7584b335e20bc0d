"""What is read from list and view pages."""

import pytest

from pipeline.scraping.api_parsing import AnswerError
from pipeline.scraping.html_listing import listed_ids, parse_view
from pipeline.scraping.posts import Malformed, Page, Post, TagCategories

SITE = "https://booru.test"
HEAD = "<!DOCTYPE html>\n<html><head><title>x</title></head><body>"
THUMB = (
    '<span id="s{0}" class="thumb"><a id="p{0}" '
    'href="index.php?page=post&amp;s=view&amp;id={0}" ><img src="//booru.test/t.jpg"></a></span>'
)
FILE = "//booru.test//images/1361/1c1c.png"
PAGER = '<div id="paginator"><div class="pagination"><b>1</b></div></div>'
# As on the site: scheme-relative addresses with a doubled slash, the sample shown, rating in words.
VIEW = (
    HEAD
    + """
<ul id="tag-sidebar">
<li class="tag-type-artist tag"><a href="index.php?page=wiki&amp;s=list&amp;search=a">?</a>
<a href="index.php?page=post&amp;s=list&amp;tags=k%26k">k&amp;k</a> <span>3</span></li>
<li class="tag-type-general tag"><a href="?page=post&amp;s=list&amp;tags=1girl">1girl</a></li>
<li class="tag-type-metadata tag"><a href="?page=post&amp;s=list&amp;tags=high_res">high res</a>
</li>
</ul>
<div id="stats"><ul><li>Id: 3568555</li><li>Posted: 2021-08-01<br> by <a href="#">x</a></li>
<li>Size: 1240x1754</li><li>Source: <a href="https://a.test/1">https://a.test/1</a></li>
<li>Rating: Safe</li><li>Score: <span>3</span></li></ul></div>
<ul><li><a href="//booru.test//images/1361/1c1c.png" style="font-weight: bold;">Original image</a>
</li></ul>
<img alt="1girl" height="1202" src="//booru.test//samples/1361/sample_1c1c.jpg?3568555" id="image"
 width="850"/></body></html>"""
)
POST = Post(
    id=3568555,
    width=1240,
    height=1754,
    file_url="https://booru.test//images/1361/1c1c.png",
    md5="",
    rating="safe",
    tags=("1girl", "high_res", "k&k"),
    source="https://a.test/1",
    parent_id=0,
    score=3,
    tag_categories=TagCategories(artist=("k&k",), meta=("high_res",)),
)


def view(old: str = "", new: str = "") -> Page:
    assert old in VIEW
    return parse_view(VIEW.replace(old, new).encode() if old else VIEW.encode(), 3568555, SITE)


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ("".join(THUMB.format(number) for number in (9, 7, 8, 7)) + PAGER, [9, 7, 8]),
        ('<span class="thumb"><a href="x">1</a></span>' + PAGER, []),
        (THUMB.format("x") + THUMB.format(5), [5]),
        ('<span class="thumb"><a href="//b.test/index.php?id=12&page=post&s=view">', [12]),
        ('<span class="thumb"><a href="//[bad?id=12">' + PAGER, []),
        ("<h1>Nobody here but us chickens!</h1>", []),
        (PAGER, []),
        ("<![x y]>" + THUMB.format(9), [9]),
    ],
)
def test_ids_of_a_list_page(body: str, ids: list[int]) -> None:
    assert listed_ids((HEAD + body).encode()) == ids


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (HEAD + "<h1>Oh</h1>", "answered with a web page that lists no posts"),
        (
            HEAD
            + '<span class="thumb"></span><span class="thumb"><a href="x">1</a></span>'
            + PAGER,
            "answered with a web page that lists posts without ids",
        ),
        ("", "answered with empty instead of a web page"),
        ("[]", "answered with JSON instead of a web page"),
        ('<?xml version="1.0"?><response/>', "answered with XML instead of a web page"),
    ],
)
def test_what_is_no_list_page(body: str, problem: str) -> None:
    with pytest.raises(AnswerError, match=f"^{problem}$"):
        listed_ids(body.encode())


def test_a_view_page() -> None:
    assert view() == Page((POST,))


@pytest.mark.parametrize(
    ("old", "new", "field", "value"),
    [
        ("Rating: Safe", "Rating: General", "rating", "general"),
        ("Rating: Safe", "Rating: Lovely", "rating", "lovely"),
        ("<li>Rating: Safe</li>", "", "rating", ""),
        (FILE, "/images/1/x.jpg", "file_url", "https://booru.test/images/1/x.jpg"),
        ("images/1361/1c1c.png", "images/1361/1c1c.mp4", "extension", "mp4"),
        ('<img alt="1girl"', '<video data="1girl"', "width", 1240),
        ("<span>3</span>", "-3 (vote up/down)", "score", -3),
        ("Score: <span>3</span>", "Votes: 3", "score", None),
    ],
)
def test_odd_view_pages(old: str, new: str, field: str, value: object) -> None:
    (post,) = view(old, new).posts
    assert getattr(post, field) == value


def test_without_its_size_the_picture_that_is_shown_tells_it() -> None:
    original = VIEW.replace("<li>Size: 1240x1754</li>", "").replace("/samples/", "/images/")
    (post,) = parse_view(original.encode(), POST.id, SITE).posts
    assert (post.width, post.height) == (850, 1202)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Id: 3568555", "Id: 3568556"),
        ("Original image", "Resized image"),
        ("Size: 1240x1754", "Size: large"),
        ("Size: 1240x1754", "Size: 0x1754"),
        (FILE, "http://[bad/1.png"),
    ],
)
def test_a_page_that_shows_another_post_or_not_all_of_it(old: str, new: str) -> None:
    assert view(old, new) == Page(malformed=(Malformed(POST.id),))


def test_a_vanished_post_leads_to_a_list() -> None:
    body = HEAD + THUMB.format(9) + PAGER
    assert parse_view(body.encode(), 5, SITE) == Page(malformed=(Malformed(5),))


def test_any_other_page_is_no_answer() -> None:
    with pytest.raises(AnswerError, match="shows no post"):
        parse_view((HEAD + "Maintenance").encode(), 5, SITE)
