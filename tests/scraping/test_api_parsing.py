"""What is read from API answers, oddity by oddity."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.scraping.api_parsing import (
    AnswerError,
    BodyKind,
    body_kind,
    parse_posts,
    reason_for_refusal,
)
from pipeline.scraping.posts import Malformed, Page, Post, stray_id

SITE = "https://booru.test"

# A record in the shape of 2025: addresses, int directory, null score.
NEW = {
    "preview_url": "https://booru.test/thumbnails/539/thumbnail_ab.jpg",
    "sample_url": "https://booru.test/samples/539/sample_ab.jpg",
    "file_url": "https://booru.test/images/539/ab.jpg",
    "directory": 539,
    "hash": "563c6fbe5761ac4ba720ae0da9a15b8a",
    "width": 2160,
    "height": 1215,
    "id": 6077620,
    "image": "ab.jpg",
    "change": 1757694622,
    "owner": "danbooru",
    "parent_id": 0,
    "rating": "general",
    "sample": True,
    "score": None,
    "tags": "solo :d 1girl",
    "source": "https://somewhere.test/1",
    "status": "active",
}
POST = Post(
    id=6077620,
    width=2160,
    height=1215,
    file_url="https://booru.test/images/539/ab.jpg",
    md5="563c6fbe5761ac4ba720ae0da9a15b8a",
    rating="general",
    tags=("1girl", ":d", "solo"),
    source="https://somewhere.test/1",
    parent_id=0,
)


def parse_one(**changes: object) -> Post:
    record = {key: value for key, value in (NEW | changes).items() if value is not ...}
    (post,) = parse_posts(json.dumps([record]).encode(), SITE).posts
    return post


def test_a_whole_record() -> None:
    body = json.dumps([NEW]).replace("/", "\\/").encode()
    assert parse_posts(body, SITE) == Page((POST,))


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"file_url": ...}, "file_url", "https://booru.test/images/539/ab.jpg"),
        ({"file_url": "", "directory": "539"}, "file_url", "https://booru.test/images/539/ab.jpg"),
        ({"file_url": None, "image": "a b.png"}, "file_url", SITE + "/images/539/a%20b.png"),
        ({"file_url": "//booru.test//images/1/x.png"}, "file_url", SITE + "//images/1/x.png"),
        ({"file_url": "/images/1/x.png"}, "file_url", SITE + "/images/1/x.png"),
        ({"id": "6077620"}, "id", 6077620),
        ({"width": "2160"}, "width", 2160),
        ({"score": 3}, "id", 6077620),
        ({"parent_id": None}, "parent_id", 0),
        ({"parent_id": ""}, "parent_id", 0),
        ({"parent_id": "77"}, "parent_id", 77),
        ({"parent_id": 2**63}, "parent_id", 0),
        ({"parent_id": -(2**64)}, "parent_id", 0),
        ({"parent_id": -1}, "parent_id", 0),
        ({"parent_id": "-1"}, "parent_id", 0),
        ({"rating": "q"}, "rating", "questionable"),
        ({"rating": "s"}, "rating", "safe"),
        ({"rating": "General"}, "rating", "general"),
        ({"rating": None}, "rating", ""),
        ({"rating": "wonderful"}, "rating", "wonderful"),
        ({"tags": " k&amp;k &gt;_&lt; it&#039;s "}, "tags", (">_<", "it's", "k&k")),
        ({"tags": None}, "tags", ()),
        ({"tags": "b a b"}, "tags", ("a", "b")),
        ({"tags": "a&#13;b\u2028c\x00d \ud800"}, "tags", ("?", "a", "b", "c_d")),
        ({"tags": ["b", "blue hair", "b", "k&amp;k"]}, "tags", ("b", "blue_hair", "k&k")),
        ({"tags": {"general": ["b"], "artist": [], "species": "a c"}}, "tags", ("a", "b", "c")),
        ({"hash": ..., "md5": "AB" * 16}, "md5", "ab" * 16),
        ({"hash": "no checksum"}, "md5", ""),
        ({"hash": None}, "md5", ""),
        ({"source": None}, "source", ""),
        ({"source": "うたわれるもの　公式"}, "source", "うたわれるもの　公式"),
        ({"source": "half \ud800"}, "source", "half ?"),
        ({"source": "a\rb\r\nc\u2028d\x00\x85e\n"}, "source", "a b c d e"),
        ({"source": "https://x.test/?a=1&amp;b=2&#039;s"}, "source", "https://x.test/?a=1&b=2's"),
        (
            {"source": "https://x.test/?a=1&copy=2&lt=3"},
            "source",
            "https://x.test/?a=1&copy=2&lt=3",
        ),
        ({"source": "a&#10;b&#xD800;"}, "source", "a b\ufffd"),
        ({"source": "x" * 9000}, "source", "x" * 4096),
        ({"rating": "g\r"}, "rating", "general"),
        ({"file_url": "/images/1/x.png?a=1&amp;b=2"}, "file_url", SITE + "/images/1/x.png?a=1&b=2"),
    ],
)
def test_odd_fields(changes: dict[str, object], field: str, value: object) -> None:
    assert getattr(parse_one(**changes), field) == value


@pytest.mark.parametrize(
    ("url", "extension"),
    [
        ("https://booru.test/images/1/ab.JPG", "jpg"),
        ("https://booru.test/images/1/ab.png?123", "png"),
        ("https://booru.test/images/1/ab", ""),
        ("https://booru.test/images/1/ab.tar.webp", "webp"),
        ("https://booru.test/images/1/ab.p%2Fng", ""),
        ("https://booru.test/images/1/.png", ""),
    ],
)
def test_extension(url: str, extension: str) -> None:
    assert parse_one(file_url=url).extension == extension


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  \n",
        b"null",
        b"[]",
        b'{"@attributes":{"count":0}}',
        b'{"post":[]}',
        b"\xef\xbb\xbf[]",
        b'<?xml version="1.0" encoding="UTF-8"?><posts count="0" offset="0"></posts>',
    ],
)
def test_no_posts(body: bytes) -> None:
    assert parse_posts(body, SITE) == Page()


# The same post in XML: letters, strings, padding, a source that was escaped once.
XML = b"""<?xml version="1.0" encoding="UTF-8"?><posts count="2249332" offset="0"><post
 height="1215" score="" file_url="https://booru.test/images/539/ab.jpg" parent_id=""
 sample_width="850" rating="g" tags=" solo :d 1girl " id="6077620" width="2160"
 change="1757694622" md5="563c6fbe5761ac4ba720ae0da9a15b8a" creator_id="1" has_children="false"
 created_at="Fri Sep 12 16:30:22 +0000 2025" status="active" source="https://somewhere.test/1"/>
</posts>"""


def test_xml_tells_the_same_post() -> None:
    assert parse_posts(XML, SITE) == Page((POST,))


@pytest.mark.parametrize(
    ("old", "new", "field", "value"),
    [
        (b'rating="g"', b'rating="s"', "rating", "safe"),
        (b'rating="g"', b'rating="q"', "rating", "questionable"),
        (b'rating="g"', b'rating="w"', "rating", "w"),
        (b":d", b"k&amp;k it&#039;s", "tags", ("1girl", "it's", "k&k", "solo")),
        (b":d", b"k&amp;amp;k", "tags", ("1girl", "k&k", "solo")),
        (b'somewhere.test/1"', b'x.test/?a=1&amp;b="', "source", "https://x.test/?a=1&b="),
        (b'somewhere.test/1"', b'x.test/?a=1&b=2"', "source", "https://x.test/?a=1&b=2"),
        (b'parent_id=""', b'parent_id="77"', "parent_id", 77),
        (b"<post\n", b"<!-- c --><post\n", "id", 6077620),
        (b'id="6077620"', b"id='5'", "id", 5),
    ],
)
def test_odd_xml(old: bytes, new: bytes, field: str, value: object) -> None:
    assert old in XML
    (post,) = parse_posts(XML.replace(old, new), SITE).posts
    assert getattr(post, field) == value


CHILDREN = b"""<?xml version="1.0" encoding="UTF-8"?><posts limit="1"><post><id>6077620</id>
<created_at>Fri Sep 12 16:30:22 +0000 2025</created_at><width>2160</width><height>1215</height>
<md5>563c6fbe5761ac4ba720ae0da9a15b8a</md5><directory>539</directory><image>ab.jpg</image>
<rating>general</rating><source>https://somewhere.test/1</source><parent_id>0</parent_id>
<tags>solo :d 1girl</tags><file_url>https://booru.test/images/539/ab.jpg</file_url></post></posts>"""


def test_xml_with_child_elements_tells_the_same_post() -> None:
    assert parse_posts(CHILDREN, SITE) == Page((POST,))
    elements = CHILDREN.replace(b"solo :d 1girl", b"<tag>solo</tag><tag>:d</tag><tag>1girl</tag>")
    assert parse_posts(elements, SITE) == Page((POST,))
    source = CHILDREN.replace(b"https://somewhere.test/1", b"<![CDATA[https://somewhere.test/1]]>")
    assert parse_posts(source, SITE) == Page((POST,))


def test_xml_with_a_section_of_an_unknown_kind_keeps_its_posts() -> None:
    assert parse_posts(XML.replace(b"</posts>", b"<![x y]></posts>"), SITE) == Page((POST,))


def test_xml_that_breaks_off_in_a_child_element_has_no_cut_tags() -> None:
    moved = CHILDREN.replace(b"<tags>solo :d 1girl</tags>", b"")
    cut = moved.replace(b"</post></posts>", b"<tags>solo low")
    assert parse_posts(cut, SITE) == Page()


def test_xml_that_breaks_off_keeps_what_is_whole() -> None:
    second = XML.replace(b"</posts>", b'<post id="9" width="100" hei')
    assert parse_posts(second, SITE) == Page((POST,))
    assert parse_posts(b'<?xml version="1.0" encoding="UTF-8"?><posts>', SITE) == Page()


@pytest.mark.parametrize(
    "answer", [NEW, {"post": NEW}, {"post": [NEW]}, {"@attributes": {"count": 1}, "post": [NEW]}]
)
def test_other_shapes_of_one_post(answer: object) -> None:
    assert parse_posts(json.dumps(answer).encode(), SITE) == Page((POST,))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (
            b'<?xml version="1.0"?>\n<response success="false" reason="Search error: API limited '
            b'due to abuse."/>',
            "refused the request: Search error: API limited due to abuse.",
        ),
        (b'<response success="false"/>', "answered with an error: no reason"),
        (
            b"<error>API &amp; all disabled</error>",
            "answered with an error: API & all disabled",
        ),
        (b'{"success":"false","reason":"search down"}', "refused the request: search down"),
        (b"<!DOCTYPE html><html></html>", "answered with a web page instead of posts"),
        (b"\x89PNG", "answered with something else instead of posts"),
        (b'"Missing authentication."', "answered: Missing authentication."),
        (b"Search\n is down", "answered: Search is down"),
        (b'{"a":1}', 'answered with JSON that holds no posts: {"a": 1}'),
        (
            b'{"post":{"post":[{"id":1}]}}',
            'answered with JSON that holds no posts: {"post": [{"id": 1}]}',
        ),
        (b"\x1b[2JSearch\xc2\x85is\xe2\x80\xae down\x07", "answered: [2JSearch is down"),
        (b'{"reason":"\\u001b[31mdown"}', "refused the request: [31mdown"),
        (b"so" + b" it is" * 40, "answered: so" + " it is" * 33),
        (b"." * 300, "answered: " + "." * 200),
    ],
)
def test_answers_that_hold_no_posts(body: bytes, problem: str) -> None:
    with pytest.raises(AnswerError) as error:
        parse_posts(body, SITE)
    assert str(error.value) == problem


@pytest.mark.parametrize("body", [b'[{"id":1,', b"[" * 100_000])
def test_broken_json(body: bytes) -> None:
    with pytest.raises(AnswerError, match="broken JSON"):
        parse_posts(body, SITE)


@pytest.mark.parametrize("depth", [150, 400, 990, 1500, 5000])
@pytest.mark.parametrize("name", [b"post", b"reason"])
def test_deep_json(name: bytes, depth: int) -> None:
    """Versions of Python differ in how deep they parse it, and in what they do with it then."""
    body = b'{"%s":' % name * depth + b"1" + b"}" * depth
    assert isinstance(reason_for_refusal(body), str)
    with pytest.raises(AnswerError):
        parse_posts(body, SITE)


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 0},
        {"height": -1},
        {"width": None},
        {"width": True},
        {"width": 12.5},
        {"height": "tall"},
        {"file_url": None, "image": None},
        {"file_url": None, "directory": None},
        {"file_url": "http://[bad/x.png"},
        {"file_url": "/" + "x" * 5000},
        {"width": 2**31},
        {"tags": 42},
        {"tags": ["1girl", None]},
        {"tags": {"general": 7}},
        {"tags": {"general": {"1girl": 1}}},
        {"tags": [f"tag_{number}" for number in range(20_000)]},
        {"file_url": "javascript:alert(1)"},
        {"file_url": "data:image/png;base64,iVBORw0KGgo="},
        {"file_url": "file:///etc/1.png"},
    ],
)
def test_a_record_that_is_no_whole_post(changes: dict[str, object]) -> None:
    body = json.dumps([NEW | changes, NEW | {"id": 5}]).encode()
    page = parse_posts(body, SITE)
    assert ([post.id for post in page.posts], page.malformed) == ([5], (Malformed(6077620),))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"width": None}, "width: missing"),
        ({"width": "6x"}, "width: no whole number"),
        ({"height": 0}, "height: should be greater than 0"),
        ({"width": 2**31}, "width: should be less than or equal to 2147483647"),
        ({"tags": 42}, "tags: neither a text nor lists of texts"),
        ({"tags": "a" * 100_000}, "tags: should have at most 100000 letters in all"),
        ({"file_url": "data:,"}, "file_url: no http(s) address"),
        ({"file_url": None, "directory": None}, "file_url: missing"),
        ({"file_url": f"/{'a' * 4096}.png"}, "file_url: should have at most 4096 characters"),
    ],
)
def test_the_fault_of_a_record(changes: dict[str, object], fault: str) -> None:
    (record,) = parse_posts(json.dumps([NEW | changes]).encode(), SITE).malformed
    assert record.fault == fault


def test_whole_numbers_may_have_a_fraction_of_zero() -> None:
    (post,) = parse_posts(json.dumps([NEW | {"id": 5.0, "width": 640.0}]).encode(), SITE).posts
    assert (post.id, post.width) == (5, 640)


@pytest.mark.parametrize("field", [b'"width": 2160', b'"id": 6077620', b'"change": 1757694622'])
def test_a_number_of_many_digits_costs_no_other_record(field: bytes) -> None:
    huge = json.dumps([NEW]).encode().replace(field, field.split(b" ")[0] + b" " + b"9" * 5000)
    body = huge[:-1] + b", " + json.dumps(NEW | {"id": 5}).encode() + b"]"
    assert parse_posts(body, SITE).posts[-1].id == 5


def test_raw_control_characters_are_read() -> None:
    body = json.dumps([NEW]).replace("somewhere", "some\r\nwhere").encode()
    assert parse_posts(body, SITE).posts[0].source == "https://some where.test/1"


def test_the_order_of_the_site_is_known() -> None:
    records = [NEW | {"id": number} for number in (9, 3, 5, 5)]
    assert parse_posts(json.dumps(records).encode(), SITE).order == (9, 3, 5, 5)


@pytest.mark.parametrize(
    ("ids", "stray"),
    [
        ((9, 5, 8, 7), 5),
        ((9, 8, 70, 7), 70),
        ((5, 9, 8, 7), 5),
        ((9, 8, 7, 70), 70),
        ((5, 9, 4, 8, 3), None),
    ],
)
def test_a_single_id_out_of_order(ids: tuple[int, ...], stray: int | None) -> None:
    assert stray_id(ids) == stray


def test_records_without_id_are_counted_and_ids_come_once_in_order() -> None:
    records = [NEW | {"id": 3}, 7, None, {}, NEW | {"id": 0}, NEW | {"id": 9}, NEW | {"id": 3}]
    records.append(NEW | {"id": 2**63})
    page = parse_posts(json.dumps(records).encode(), SITE)
    assert [post.id for post in page.posts] == [9, 3]
    assert page.nameless == 5
    assert page.ids == (9, 3)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b" \r\n", BodyKind.EMPTY),
        (b"\xef\xbb\xbf {", BodyKind.JSON),
        (b"\n<!doctype HTML>", BodyKind.HTML),
        (b"<HTML lang=en>", BodyKind.HTML),
        (b"<?xml version", BodyKind.XML),
        (b"\xff\xd8\xff", BodyKind.OTHER),
    ],
)
def test_body_kind(body: bytes, kind: BodyKind) -> None:
    assert body_kind(body) is kind


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from([*NEW, "post", "reason", "@attributes"]), inner, max_size=8
                )
            ),
            max_leaves=20,
        ).map(lambda answer: json.dumps(answer).encode()),
    )
)
def test_any_answer_has_a_named_outcome(body: bytes) -> None:
    try:
        page = parse_posts(body, SITE)
    except AnswerError:
        return
    assert all(post.width > 0 and post.height > 0 and post.file_url for post in page.posts)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"success": false, "message": "Log in"}', "Log in"),
        (b'{"error": {"code": 7, "message": "Log in"}}', "Log in"),
        (b'{"status": "forbidden"}', "forbidden"),
        (b'"Log in"', "Log in"),
        (b'<response success="false" reason="Log in"/>', "Log in"),
        (b"<Error><Code>403</Code><Message>Log in</Message></Error>", "403 Log in"),
        (b"<center><h1>Log in</h1></center>", "Log in"),
        ("\ufeffHotlinks\nare für niemand".encode(), "Hotlinks are für niemand"),
        ("Für niemand".encode()[:2], "F\ufffd"),
        (b'{"message": "cut o', ""),
        (b"<!-- a page --><html><p>Log in</p></html>", ""),
        (b"<!doctype html><p>Log in</p>", ""),
        (b"<!doctype html><title>Log\n in</title><p>Or leave</p>", "Log in"),
        (b"\x89PNG\r\n\x1a\n", ""),
        (b"a picture\0", ""),
        (b"", ""),
    ],
)
def test_the_reason_for_a_refusal(body: bytes, reason: str) -> None:
    assert reason_for_refusal(body) == reason
