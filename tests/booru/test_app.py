"""The embedded booru over real HTTP: its responses, byte for byte where clients rely on them."""

import dataclasses
import hashlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import requests
from bs4 import BeautifulSoup
from PIL import Image

from pipeline.booru.app import Site
from pipeline.errors import UsageError
from pipeline.images.collection import BooruPicture, collect_folder
from pipeline.wsgi import Server

COUNT = 100
API = "/index.php?page=dapi&s=post&q=index"
LIST = "/index.php?page=post&s=list"


def make_pictures(folder: Path) -> list[BooruPicture]:
    """A hundred small pictures; post 1 has a sample, odd ones are `odd`, some things are odder."""
    folder.mkdir()
    for number in range(1, COUNT + 1):
        size = (1000, 300) if number == 1 else (16, 12)
        Image.new("RGB", size, (number, 0, 255 - number)).save(folder / f"{number:03d}.png")
    pictures = [
        dataclasses.replace(picture, tags=("solo", *(["odd"] if picture.id % 2 else [])))
        for picture in collect_folder(folder)
    ]
    pictures[6] = dataclasses.replace(
        pictures[6],
        tags=("&_<b>", "d'arc", "solo"),
        source='https://example.org/ü?a=1&b="2"',
        rating="questionable",
        parent_id=3,
        change=1_757_694_622,
    )
    return pictures


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[BooruPicture]:
    return make_pictures(tmp_path_factory.mktemp("booru") / "pictures")


@pytest.fixture(scope="module")
def url(pictures: list[BooruPicture]) -> Iterator[str]:
    with Server(Site(pictures)) as booru:
        yield booru.url


def get_xml(address: str) -> ElementTree.Element:
    return ElementTree.fromstring(requests.get(address, timeout=10).content)


def test_json_record(url: str, pictures: list[BooruPicture]) -> None:
    answer = requests.get(f"{url}{API}&json=1&id=7", timeout=10)
    assert answer.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert r'"source":"https:\/\/example.org\/\u00fc?a=1&b=\"2\""' in answer.text
    (post,) = answer.json()
    stem = post["image"].removesuffix(".png")
    assert len(stem) == 40
    assert int(stem, 16) > 0
    assert post == {
        "preview_url": f"{url}/thumbnails/1/thumbnail_{stem}.jpg",
        "sample_url": f"{url}/images/1/{stem}.png",
        "file_url": f"{url}/images/1/{stem}.png",
        "directory": 1,
        "hash": pictures[6].md5,
        "width": 16,
        "height": 12,
        "id": 7,
        "image": f"{stem}.png",
        "change": 1_757_694_622,
        "owner": "pipeline",
        "parent_id": 3,
        "rating": "questionable",
        "sample": False,
        "sample_height": 12,
        "sample_width": 16,
        "score": 0,
        "tags": "&amp;_&lt;b&gt; d&#039;arc solo",
        "source": 'https://example.org/ü?a=1&b="2"',
        "status": "active",
        "has_notes": False,
        "comment_count": 0,
    }


def test_xml_record(url: str, pictures: list[BooruPicture]) -> None:
    answer = requests.get(f"{url}{API}&id=7", timeout=10)
    assert answer.headers["Content-Type"] == "text/xml;charset=UTF-8"
    assert answer.text.startswith('<?xml version="1.0" encoding="UTF-8"?><posts count="1"')
    root = ElementTree.fromstring(answer.content)
    assert root.attrib == {"count": "1", "offset": "0"}
    attributes = root[0].attrib
    assert (root[0].tag, len(root)) == ("post", 1)
    expected = {
        "id": "7",
        "md5": pictures[6].md5,
        "rating": "q",
        "tags": " &_<b> d'arc solo ",
        "created_at": "Fri Sep 12 16:30:22 +0000 2025",
        "source": 'https://example.org/ü?a=1&b="2"',
        "parent_id": "3",
        "score": "0",
        "width": "16",
        "height": "12",
        "has_notes": "false",
    }
    assert {name: attributes[name] for name in expected} == expected
    assert get_xml(f"{url}{API}&id=3")[0].attrib["score"] == ""
    assert get_xml(f"{url}{API}&id=3")[0].attrib["parent_id"] == ""


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", list(range(100, 0, -1))),
        ("&limit=3", [100, 99, 98]),
        ("&limit=3&pid=2", [94, 93, 92]),
        ("&limit=3&pid=33", [1]),
        ("&limit=5000", list(range(100, 0, -1))),
        ("&limit=x&pid=-1", list(range(100, 0, -1))),
        ("&tags=solo+-odd&limit=2", [100, 98]),
        ("&tags=id:%3C3", [2, 1]),
        ("&tags=rating:questionable", [7]),
        ("&tags=%26_%3Cb%3E", [7]),
        ("&tags=all+sort:id:asc&limit=2", [1, 2]),
        ("&id=7&cid=0", [7]),
        ("&cid=1757694622&id=0", [7]),
        ("&id=7&tags=odd", []),
    ],
)
def test_posts_in_both_forms(url: str, query: str, ids: list[int]) -> None:
    answer = requests.get(f"{url}{API}&json=1{query}", timeout=10)
    assert [post["id"] for post in answer.json()] == ids if ids else answer.content == b""
    assert [int(post.attrib["id"]) for post in get_xml(f"{url}{API}{query}")] == ids


def test_page_of_xml_tells_count_and_offset(url: str) -> None:
    assert get_xml(f"{url}{API}&limit=3&pid=2").attrib == {"count": "100", "offset": "6"}


def test_hard_limit(tmp_path: Path, pictures: list[BooruPicture]) -> None:
    many = [dataclasses.replace(pictures[0], id=number) for number in range(1, 1501)]
    with Server(Site(many)) as booru:
        assert len(requests.get(f"{booru.url}{API}&json=1&limit=1400", timeout=10).json()) == 1000


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("&tags=nope&json=1", ""),
        (
            "&tags=nope",
            '<?xml version="1.0" encoding="UTF-8"?><posts count="0" offset="0"></posts>',
        ),
        ("&limit=1000&pid=200&json=1", ""),
        (
            "&limit=1000&pid=201&json=1",
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<response success="false" reason="Search error: API limited due to abuse."/>',
        ),
        (
            "&limit=9999&pid=201",
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<response success="false" reason="Search error: API limited due to abuse."/>',
        ),
    ],
)
def test_empty_and_refused(url: str, query: str, body: str) -> None:
    answer = requests.get(f"{url}{API}{query}", timeout=10)
    assert (answer.status_code, answer.text) == (200, body)


def test_files_are_the_announced_bytes(url: str) -> None:
    session = requests.Session()
    for post in session.get(f"{url}{API}&json=1", timeout=10).json():
        answer = session.get(post["file_url"], timeout=10)
        assert answer.headers["Content-Type"] == "image/png"
        assert hashlib.md5(answer.content).hexdigest() == post["hash"]


@pytest.mark.parametrize("prefix", ["/images", "//images"])
def test_an_image_has_other_addresses(url: str, prefix: str) -> None:
    (post,) = requests.get(f"{url}{API}&json=1&id=5", timeout=10).json()
    answer = requests.get(f"{url}{prefix}/{post['directory']}/{post['image']}?5", timeout=10)
    assert hashlib.md5(answer.content).hexdigest() == post["hash"]


def test_samples_and_thumbnails_are_small_jpegs(url: str) -> None:
    (post,) = requests.get(f"{url}{API}&json=1&id=1", timeout=10).json()
    assert (post["sample"], post["sample_width"], post["sample_height"]) == (True, 850, 255)
    for address, size in ((post["sample_url"], (850, 255)), (post["preview_url"], (150, 45))):
        with requests.get(address, timeout=10, stream=True) as answer:
            image = Image.open(answer.raw)
            assert (image.format, image.size) == ("JPEG", size)


@pytest.mark.parametrize(
    ("headers", "status", "part"),
    [
        ({}, 200, slice(None)),
        ({"Range": "bytes=10-"}, 206, slice(10, None)),
        ({"Range": "bytes=10-19"}, 206, slice(10, 20)),
        ({"Range": "bytes=-5"}, 206, slice(-5, None)),
        ({"Range": "bytes=99999-"}, 416, None),
        ({"Range": "bytes=10-", "If-Range": "ETAG"}, 206, slice(10, None)),
        ({"Range": "bytes=10-", "If-Range": "DATE"}, 206, slice(10, None)),
        ({"Range": "bytes=10-", "If-Range": '"another"'}, 200, slice(None)),
        ({"If-None-Match": "ETAG"}, 304, slice(0, 0)),
    ],
)
def test_ranges(
    url: str, pictures: list[BooruPicture], headers: dict[str, str], status: int, part: slice | None
) -> None:
    address = requests.get(f"{url}{API}&json=1&id=1", timeout=10).json()[0]["file_url"]
    whole = requests.get(address, timeout=10)
    known = {"ETAG": whole.headers["ETag"], "DATE": whole.headers["Last-Modified"]}
    sent = {name: known.get(value, value) for name, value in headers.items()}
    answer = requests.get(address, headers=sent, timeout=10)
    data = pictures[0].path.read_bytes()
    assert answer.status_code == status
    if part is None:
        assert answer.headers["Content-Range"] == f"bytes */{len(data)}"
    else:
        assert answer.content == data[part]


def test_head_has_the_length_and_no_body(url: str, pictures: list[BooruPicture]) -> None:
    address = requests.get(f"{url}{API}&json=1&id=1", timeout=10).json()[0]["file_url"]
    session = requests.Session()
    for _ in range(2):
        answer = session.head(address, timeout=10)
        assert int(answer.headers["Content-Length"]) == pictures[0].path.stat().st_size
        assert answer.content == b""


def test_list_pages_show_every_post_once(url: str) -> None:
    ids, address = [], f"{url}{LIST}&tags=all"
    sizes = []
    while address:
        page = BeautifulSoup(requests.get(address, timeout=10).text, "html.parser")
        thumbs = page.select("span.thumb > a[id]")
        sizes.append(len(thumbs))
        ids += [int(str(thumb["id"]).removeprefix("p")) for thumb in thumbs]
        next_link = page.select_one('div.pagination a[alt="next"]')
        address = f"{url}/index.php{next_link['href']}" if next_link else ""
    assert ids == list(range(100, 0, -1))
    assert sizes == [42, 42, 16]


def test_list_page_of_a_search(url: str) -> None:
    page = BeautifulSoup(
        requests.get(f"{url}{LIST}&tags=odd&pid=42", timeout=10).text, "html.parser"
    )
    assert len(page.select("span.thumb")) == 7
    assert page.select_one("div.pagination b").get_text() == "2"
    assert page.select_one('a[alt="back"]')["href"] == "?page=post&s=list&tags=odd&pid=0"
    image = page.select_one("span.thumb img")
    assert image["title"] == " solo odd score:0 rating:general"
    assert requests.get(f"http:{image['src']}", timeout=10).headers["Content-Type"] == "image/jpeg"


def test_list_page_of_nothing(url: str) -> None:
    answer = requests.get(f"{url}{LIST}&tags=nope%22%3E%3Cscript%3E", timeout=10)
    assert "Nobody here but us chickens!" in answer.text
    assert "<script>" not in answer.text


def test_view_page(url: str, pictures: list[BooruPicture]) -> None:
    answer = requests.get(f"{url}/index.php?page=post&s=view&id=1", timeout=10)
    page = BeautifulSoup(answer.text, "html.parser")
    image = page.select_one("img#image")
    assert (image["width"], image["height"]) == ("850", "255")
    (original,) = [link for link in page.find_all("a") if link.get_text() == "Original image"]
    assert original["href"].startswith(f"//{urlsplit(url).netloc}//images/1/")
    content = requests.get(f"http:{original['href']}", timeout=10).content
    assert hashlib.md5(content).hexdigest() == pictures[0].md5
    stats = [item.get_text() for item in page.select("#stats li")]
    assert {"Id: 1", "Size: 1000x300", "Rating: General"} <= set(stats)
    tags = page.select("ul#tag-sidebar li.tag-type-general a")
    assert [tag.get_text() for tag in tags] == ["solo", "odd"]


def test_unknown_post_leads_to_the_list(url: str) -> None:
    answer = requests.get(f"{url}/index.php?page=post&s=view&id=12345", timeout=10)
    assert [response.status_code for response in answer.history] == [302]
    assert "id=100" in answer.text


def test_random_leads_to_a_post(url: str) -> None:
    answer = requests.get(f"{url}/index.php?page=post&s=random", timeout=10)
    assert 'id="image"' in answer.text


def test_tags_come_as_xml_even_for_json(url: str) -> None:
    root = get_xml(f"{url}/index.php?page=dapi&s=tag&q=index&json=1&name=odd")
    assert root.attrib == {"type": "array"}
    assert [(tag.attrib["name"], tag.attrib["count"]) for tag in root] == [("odd", "49")]
    everything = get_xml(f"{url}/index.php?page=dapi&s=tag&q=index&id=&name=&limit=2&pid=1")
    assert [tag.attrib["id"] for tag in everything] == ["3", "4"]


def test_api_at_the_root_and_robots(url: str) -> None:
    assert get_xml(f"{url}/?page=dapi&s=post&q=index&limit=1").attrib["count"] == "100"
    assert requests.get(f"{url}/robots.txt", timeout=10).text == "User-agent: *\nDisallow:\n"


@pytest.mark.parametrize(
    "target",
    [
        "/nothing",
        "/index.php?page=account&s=home",
        "/images/1/",
        "/images/1/001.png",
        "/images/1/../../001.png",
        "/images/../../../../etc/passwd",
        "/images/1/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/images/1/..%2f..%2f..%2fetc%2fpasswd",
        "/images/1/%00",
        "//etc/passwd",
        "/images//etc/passwd",
        "/thumbnails/1/thumbnail_../../001.png",
    ],
)
def test_no_other_file_is_served(url: str, target: str) -> None:
    assert raw_request(
        url, f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close"
    ).startswith(b"HTTP/1.1 404")


def test_only_reading_is_allowed(url: str) -> None:
    assert requests.post(f"{url}/index.php", data={"page": "post"}, timeout=10).status_code == 405


@pytest.mark.parametrize("request_line", ["nonsense", "GET /\x00 HTTP/9.9", "GET"])
def test_bad_requests_do_no_harm(url: str, request_line: str) -> None:
    raw_request(url, request_line)
    assert requests.get(f"{url}/robots.txt", timeout=10).status_code == 200


def test_a_client_that_leaves_does_no_harm(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    host, port = urlsplit(url).hostname, urlsplit(url).port
    for _ in range(5):
        with socket.create_connection((host, port), timeout=10) as connection:
            connection.sendall(f"GET {API} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 20)
    assert requests.get(f"{url}/robots.txt", timeout=10).status_code == 200
    assert capfd.readouterr().err == ""


def test_connections_are_kept_and_requests_answered_in_turn(url: str) -> None:
    answers = raw_request(
        url,
        "GET /robots.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"
        "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
        "HEAD /robots.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"
        "GET /robots.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close",
    )
    assert answers.count(b"HTTP/1.1 200") == 3
    assert answers.count(b"HTTP/1.1 404") == 1
    assert answers.count(b"Disallow:") == 2


def test_many_clients_at_once(url: str) -> None:
    posts = requests.get(f"{url}{API}&json=1", timeout=10).json()

    def is_right(post: dict[str, str]) -> bool:
        content = requests.get(post["file_url"], timeout=10).content
        return hashlib.md5(content).hexdigest() == post["hash"]

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(is_right, posts))


def test_a_file_that_has_gone_is_not_found(tmp_path: Path) -> None:
    Image.new("RGB", (900, 9)).save(tmp_path / "a.png")
    with Server(Site(collect_folder(tmp_path))) as booru:
        (post,) = requests.get(f"{booru.url}{API}&json=1", timeout=10).json()
        (tmp_path / "a.png").unlink()
        for name in ("file_url", "sample_url", "preview_url"):
            assert requests.get(post[name], timeout=10).status_code == 404


def test_closing_ends_idle_connections_and_frees_the_port(pictures: list[BooruPicture]) -> None:
    session = requests.Session()
    with Server(Site(pictures)) as booru:
        address = booru.url
        assert session.get(f"{address}/robots.txt", timeout=10).status_code == 200
    with pytest.raises(requests.ConnectionError):
        session.get(f"{address}/robots.txt", timeout=10)
    port = urlsplit(address).port
    assert port is not None
    with Server(Site(pictures), port=port) as again:
        assert again.url == address


def test_a_port_in_use_is_reported(pictures: list[BooruPicture]) -> None:
    with Server(Site(pictures)) as booru:
        port = urlsplit(booru.url).port
        assert port is not None
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{port}: .*in use\); choose another"):
            Server(Site(pictures), port=port)
    with pytest.raises(UsageError, match="cannot listen there"):
        Server(Site(pictures), host="192.0.2.1")


def raw_request(url: str, text: str) -> bytes:
    """Send `text` and an empty line as they are, and read all that comes back."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(f"{text}\r\n\r\n".encode())
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return received
