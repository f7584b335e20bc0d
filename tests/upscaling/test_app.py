"""The upscaling page: its responses, and the page in a real browser."""

import io
import json
import re
import select
import socket
import tracemalloc
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIEnvironment

import numpy as np
import pytest
import requests
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from werkzeug.wrappers import Response

from pipeline.networks.files import save_generator
from pipeline.shipped import AUTO, FOR_JPEG
from pipeline.upscaling.app import UpscaleApp
from pipeline.upscaling.encoding import encode_picture
from pipeline.upscaling.pictures import Picture, decode_picture
from pipeline.wsgi import Server
from tests.chromium import chromium, needs_chromium
from tests.stages.program import wait_until
from tests.upscaling.small import generator, noise

expect.set_options(timeout=60_000)
CHOICES = {"model": "small", "scale": "4", "format": "png"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save_generator(path, generator(), {})
    app = UpscaleApp({"small": str(path), "auto": AUTO, "web": FOR_JPEG}, "cpu")
    with Server(app) as server:
        yield server.url


def post(url: str, data: bytes, **choices: str) -> requests.Response:
    return requests.post(f"{url}/upscale", params=CHOICES | choices, data=data, timeout=60)


@pytest.fixture(scope="module")
def restoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of a model that makes pictures no larger, beside one that does."""
    folder = tmp_path_factory.mktemp("model")
    models = {"clean <1>": str(folder / "1.safetensors"), "small": str(folder / "4.safetensors")}
    for path, scale in zip(models.values(), (1, 4), strict=True):
        save_generator(Path(path), generator(scale), {})
    with Server(UpscaleApp(models, "cpu", ["clean <1>"])) as server:
        yield server.url


def test_a_model_that_restores_has_scale_1_alone(restoring: str) -> None:
    data = encode_picture(Picture((noise(9, 12),)), "png")
    answer = post(restoring, data, model="clean <1>", scale="1")
    assert Image.open(io.BytesIO(answer.content)).size == (12, 9)
    for model, scale, scales in (("clean <1>", "4", "1"), ("small", "1", "2, 3, 4, 8")):
        answer = post(restoring, data, model=model, scale=scale)
        assert (answer.status_code, answer.text) == (
            400,
            f"scale: {scale!r} is none of {scales}.\n",
        )


@pytest.mark.parametrize(
    ("choices", "size", "kind"),
    [
        ({}, (48, 36), "PNG"),
        ({"scale": "2", "format": "webp"}, (24, 18), "WEBP"),
        ({"model": "web", "format": "jpg"}, (48, 36), "JPEG"),
    ],
)
def test_a_picture_comes_back_enlarged(
    url: str, choices: dict[str, str], size: tuple[int, int], kind: str
) -> None:
    answer = post(url, encode_picture(Picture((noise(9, 12),)), "png"), **choices)
    image = Image.open(io.BytesIO(answer.content))
    assert (answer.status_code, image.size, image.format) == (200, size, kind)
    assert answer.headers["Content-Type"] == f"image/{kind.lower()}"


def test_every_frame_of_an_animation_comes_back(url: str) -> None:
    frames = tuple(noise(9, 12) // (number + 1) for number in range(3))
    data = encode_picture(Picture(frames, frame_durations_ms=(40, 50, 60)), "png")
    for format in ("png", "webp"):
        large = decode_picture(post(url, data, format=format).content)
        assert (large.size, large.frame_durations_ms) == ((48, 36), (40, 50, 60))


def test_auto_takes_the_model_that_suits_the_picture(url: str) -> None:
    file = io.BytesIO()
    Image.fromarray(noise(9, 12)).save(file, "JPEG", quality=50)
    chosen, named = (post(url, file.getvalue(), model=model) for model in ("auto", "web"))
    assert Image.open(io.BytesIO(chosen.content)).size == (48, 36)
    assert chosen.content == named.content
    assert (chosen.headers.get("X-Model"), named.headers.get("X-Model")) == ("web", None)


def test_what_a_result_lacks_of_its_file_is_said(url: str) -> None:
    data = encode_picture(Picture((noise(9, 12),)), "png")[:-12]
    notice = "the marker of its end is missing; the picture is whole"
    assert post(url, data).headers["X-Notices"] == notice
    last, *_ = (
        line for line in post(url, data, progress="1").content.split(b"\n") if b"bytes" in line
    )
    assert json.loads(last)["notices"] == [notice]


@pytest.mark.parametrize(
    ("data", "choices", "status", "message"),
    [
        (b"", {}, 422, "No picture that can be read: the file has no bytes.\n"),
        (b"text", {}, 422, "No picture that can be read: no image of a known format.\n"),
        (
            b"8BPS\0\1",
            {},
            422,
            "No picture that can be read: Photoshop is not read; convert it to PNG.\n",
        ),
        (b"", {"model": ""}, 400, "model: is missing or empty; name one of small, auto, web.\n"),
        (
            b"",
            {"model": "/etc/passwd"},
            400,
            "model: '/etc/passwd' is none of small, auto, web.\n",
        ),
        (b"", {"scale": "100"}, 400, "scale: '100' is none of 2, 3, 4, 8.\n"),
        (b"", {"format": "exe"}, 400, "format: 'exe' is none of png, webp, jpg.\n"),
        (
            encode_picture(Picture((noise(4, 4, 4),)), "png"),
            {"format": "jpg"},
            422,
            "JPEG has no transparency; choose png or webp.\n",
        ),
    ],
)
def test_wrong_requests_are_answered_with_the_problem(
    url: str, data: bytes, choices: dict[str, str], status: int, message: str
) -> None:
    answer = post(url, data, **choices)
    assert (answer.status_code, answer.text) == (status, message)
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_what_is_too_large_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.upscaling.app.MAX_PIXELS", 100)
    answer = post(url, encode_picture(Picture((noise(11, 10),)), "png"))
    assert (answer.status_code, "10×11 are more than 100 pixels" in answer.text) == (422, True)
    monkeypatch.undo()
    frames = tuple(np.full((200, 100, 3), number, np.uint8) for number in range(201))
    animation = encode_picture(Picture(frames, frame_durations_ms=(40,) * 201), "png")
    answer = post(url, animation, scale="8")
    assert (answer.status_code, answer.text) == (
        422,
        "201 frames of 100×200 are more than 4 megapixels, the limit for 8 times as large. "
        "The command “pipeline upscale” takes larger ones.\n",
    )
    monkeypatch.setattr("pipeline.upscaling.app.MAX_BYTES", 1_000_000)
    answer = post(url, bytes(1_000_001))
    assert (answer.status_code, answer.text) == (413, "The file has more than 1 MB.\n")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "upscale", 405), ("POST", "", 405), ("GET", "../etc/passwd", 404), ("HEAD", "", 200)],
)
def test_nothing_else_is_served(url: str, method: str, path: str, status: int) -> None:
    assert requests.request(method, f"{url}/{path}", timeout=60).status_code == status


def test_another_sites_page_is_refused(url: str) -> None:
    """A page from elsewhere can send a request here, in the name of whoever looks at it."""
    for origin, status in ((url, 422), ("http://elsewhere.example", 403)):
        answer = requests.post(
            f"{url}/upscale", params=CHOICES, headers={"Origin": origin}, timeout=60
        )
        assert answer.status_code == status


def test_a_page_behind_a_proxy_takes_pictures() -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "upscale.example"}
    app = UpscaleApp({"web": FOR_JPEG}, "cpu")
    for proxy, status in ((None, 403), ("upscale.example", 422)):
        with Server(app, proxy=proxy) as server:
            answer = requests.post(
                f"{server.url}/upscale",
                params=CHOICES | {"model": "web"},
                headers=forwarded | {"Origin": "https://upscale.example"},
                timeout=60,
            )
        assert answer.status_code == status


def test_the_page_runs_its_own_scripts_only(url: str) -> None:
    answer = requests.get(url, timeout=60)
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    for name, kind in (("page.js", "text/javascript"), ("page.css", "text/css")):
        assert f'"{name}"' in answer.text
        file = requests.get(f"{url}/{name}", timeout=60)
        assert file.headers["Content-Type"].startswith(kind)
        assert file.headers["X-Content-Type-Options"] == "nosniff"


def test_progress_comes_before_the_result(url: str) -> None:
    """Tiles of a picture that is larger than one, then as many bytes as were announced."""
    data = encode_picture(Picture((noise(600, 500),)), "png")
    answer = post(url, data, progress="1")
    assert answer.headers["X-Accel-Buffering"] == "no"
    head, lines = answer.content, []
    while not lines or "bytes" not in lines[-1]:
        line, _, head = head.partition(b"\n")
        lines.append(json.loads(line))
    last = lines.pop()
    assert Image.open(io.BytesIO(head)).size == (2000, 2400)
    assert last == {
        "bytes": len(head),
        "type": "image/png",
        "model": None,
        "width": 2000,
        "height": 2400,
        "notices": [],
    }
    tiles = [line for line in lines if line["phase"] == "upscale"]
    assert all(0 <= line["done"] <= line["total"] for line in tiles)
    assert tiles[-1]["unit"] == "tile"
    assert tiles[-1]["done"] > 0


@pytest.mark.parametrize(
    ("data", "choices", "error"),
    [
        (b"text", {}, "No picture that can be read: no image of a known format."),
        (
            encode_picture(Picture((noise(4, 4, 4),)), "png"),
            {"format": "jpg"},
            "JPEG has no transparency; choose png or webp.",
        ),
    ],
)
def test_errors_after_the_status_are_the_last_line(
    url: str, data: bytes, choices: dict[str, str], error: str
) -> None:
    answer = post(url, data, progress="1", **choices)
    assert answer.status_code == 200
    assert json.loads(answer.content.splitlines()[-1]) == {"error": error}


@pytest.mark.parametrize(
    ("lines", "status", "message"),
    [
        (["Transfer-Encoding: chunked"], 411, b"A picture's length must come before it"),
        ([], 411, b"A picture's length must come before it"),
        (["Content-Length: 9"], 400, b"The upload ended before the picture's last byte."),
        (["Content-Length: 4"], 422, b"No picture that can be read"),
        (["Content-Length: 64000001"], 413, b"The file has more than 64 MB."),
        (["Content-Length: 4", "Origin: null"], 403, b"takes pictures from itself alone"),
        (["Content-Length: 4", "Expect: 100-continue"], 422, b"No picture that can be read"),
    ],
)
def test_uploads_that_are_not_what_they_say(
    url: str, lines: list[str], status: int, message: bytes
) -> None:
    """Four bytes are sent, after which nothing comes."""
    query = "model=small&scale=4&format=png"
    head = "\r\n".join(
        [f"POST /upscale?{query} HTTP/1.1", "Host: localhost", "Connection: close", *lines]
    )
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as connection:
        connection.settimeout(60)
        connection.sendall(head.encode() + b"\r\n\r\n" + b"text")
        if "Content-Length: 9" in lines:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    if "Expect: 100-continue" in lines:
        received = received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert received.startswith(f"HTTP/1.1 {status} ".encode())
    assert message in received


def test_pictures_at_once_are_computed_one_after_the_other(url: str) -> None:
    pictures = [encode_picture(Picture((noise(40 + n, 40),)), "png") for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(partial(post, url), pictures))
    heights = [Image.open(io.BytesIO(answer.content)).height for answer in answers]
    assert heights == [4 * (40 + n) for n in range(6)]


def test_a_browser_that_has_gone_keeps_nobody_waiting() -> None:
    """A closed connection aborts the computation."""
    app = UpscaleApp({"perception": "perception"}, "cpu")
    data = encode_picture(Picture((noise(2000, 2000, 1),)), "png")
    with Server(app, on_close=app.close) as server:
        with pytest.raises(requests.Timeout):
            requests.post(
                f"{server.url}/upscale",
                params=CHOICES | {"model": "perception"},
                data=data,
                timeout=1,
            )
        small = encode_picture(Picture((noise(4, 4),)), "png")
        assert post(server.url, small, model="perception").status_code == 200


def test_an_upload_that_trickles_frees_its_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.upscaling.app.MAX_WAITING_BYTES", 50_000_000)
    monkeypatch.setattr("pipeline.upscaling.uploads.GRACE_SECONDS", 0)
    app = UpscaleApp({"web": FOR_JPEG}, "cpu")
    head = (
        "POST /upscale?model=web&scale=4&format=png HTTP/1.1\r\n"
        "Host: localhost\r\nContent-Length: 50000000\r\n\r\n"
    )
    with (
        Server(app) as server,
        socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as trickle,
    ):
        trickle.sendall(head.encode())
        while not select.select([trickle], [], [], 0.05)[0]:
            trickle.sendall(b"\0")
        answer = trickle.recv(65536)
        monkeypatch.undo()
        assert post(server.url, b"text", model="web").status_code == 422
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"The upload is too slow: less than 5 kB per second." in answer


def test_page_and_program_are_of_one_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Files that an upgrade replaces, or removes, while the program runs."""
    with Server(UpscaleApp({"web": FOR_JPEG}, "cpu")) as server:
        for name in ("", "page.js", "page.css"):
            before = requests.get(f"{server.url}/{name}", timeout=60).text
            with monkeypatch.context() as patched:
                patched.setattr("pipeline.upscaling.app.files", lambda _: tmp_path)
                assert requests.get(f"{server.url}/{name}", timeout=60).text == before


def begin(url: str, data: bytes, phase: str) -> socket.socket:
    """Send a picture, and return the connection when the picture has reached that phase."""
    query = "model=perception&scale=4&format=png&progress=1"
    head = (
        f"POST /upscale?{query} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    connection = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=60)
    connection.sendall(head.encode() + data)
    received = b""
    while b'{"phase": "%s"' % phase.encode() not in received:
        chunk = connection.recv(65536)
        assert chunk, received
        received += chunk
    return connection


def test_what_waits_is_bounded_and_dropped_when_the_client_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.upscaling.app.MAX_WAITING_BYTES", 50_000_000)
    app = UpscaleApp({"perception": "perception"}, "cpu")
    large = encode_picture(Picture((noise(2000, 2000, 1),)), "png")
    file = bytes(30_000_000)
    with Server(app, on_close=app.close) as server, begin(server.url, large, "upscale"):
        tracemalloc.start()
        try:
            with begin(server.url, file, "wait"):
                refused = post(server.url, file, model="perception")
                assert tracemalloc.get_traced_memory()[0] > len(file)
            wait_until(lambda: tracemalloc.get_traced_memory()[0] < len(file) / 2)
        finally:
            tracemalloc.stop()
        begin(server.url, file, "wait").close()
    assert (refused.status_code, refused.text) == (
        503,
        "Too many pictures wait here; send this one later.\n",
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(params=[(1280, 800, "light"), (390, 800, "dark")], ids=["wide", "narrow"])
def page(browser: Browser, url: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The opened page; at the end it has requested nothing from elsewhere."""
    width, height, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
    )
    opened = context.new_page()
    problems: list[str] = []
    requested: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("request", lambda sent: requested.append(sent.url))
    opened.goto(url)
    yield opened
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()
    assert problems == []
    assert [each for each in requested if not each.startswith((url, "blob:", "data:"))] == []


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray(noise(90, 120)).save(tmp_path / "drawing.png")
    return tmp_path / "drawing.png"


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in ("a.png", ODD_NAME, "b.png")]
    for path in paths:
        Image.fromarray(noise(30, 40)).save(path)
    return paths


ODD_NAME = "100% #1 'ü' <b>&.final.png"


def item(page: Page, number: int = 0) -> Locator:
    return page.locator("#queue > li").nth(number)


def captions(page: Page) -> Locator:
    return page.locator(".caption")


@needs_chromium
def test_a_chosen_picture_is_shown_beside_its_enlargement(
    page: Page, picture: Path, tmp_path: Path
) -> None:
    page.set_input_files("#file", picture)
    expect(page.locator(".result")).to_be_visible()
    expect(captions(page)).to_contain_text("480 × 360")
    page.locator(".divider").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert page.locator(".stage").evaluate("s => s.style.getPropertyValue('--at')") == "0.5%"
    with page.expect_download() as download:
        page.get_by_text("Save the result").click()
    assert download.value.suggested_filename == "drawing_x4.png"
    download.value.save_as(tmp_path / "saved.png")
    assert Image.open(tmp_path / "saved.png").size == (480, 360)
    warnings: list[str] = []
    page.on("dialog", lambda dialog: (warnings.append(dialog.type), dialog.accept()))
    page.reload()
    assert warnings == []
    page.set_input_files("#file", picture)
    expect(page.locator(".result")).to_be_visible()
    page.locator(".divider").click()
    page.reload()
    assert warnings == ["beforeunload"]


@needs_chromium
def test_save_is_beside_the_picture(page: Page, picture: Path) -> None:
    page.set_input_files("#file", picture)
    expect(page.locator(".result")).to_be_visible()
    save, after = page.locator(".save").bounding_box(), page.locator(".after").bounding_box()
    assert save is not None
    assert after is not None
    assert 0 <= after["y"] - save["y"] - save["height"] < 40
    assert save["x"] < after["x"] + after["width"]


@needs_chromium
def test_several_pictures_are_enlarged_one_after_the_other(
    page: Page, pictures: list[Path], tmp_path: Path
) -> None:
    page.set_input_files("#file", pictures)
    expect(page.locator("#status")).to_have_text("3 of 3 done")
    assert page.locator(".name").all_inner_texts() == [path.name for path in pictures]
    expect(captions(page)).to_have_text([re.compile(r"^160 × 120, [\d.]+\ss$")] * 3)
    expect(page.locator(".result:visible")).to_have_count(1)
    names = []
    page.on("download", lambda download: names.append(download.suggested_filename))
    with page.expect_event("download", lambda _: len(names) == 3):
        page.get_by_text("Save all").click()
    assert names == ["a_x4.png", "100% #1 'ü' _b_&.final_x4.png", "b_x4.png"]
    with page.expect_download() as download:
        item(page, 1).get_by_text("Save the result").click()
    download.value.save_as(tmp_path / "saved.png")
    assert Image.open(tmp_path / "saved.png").size == (160, 120)
    item(page, 2).get_by_text("Compare").click()
    expect(item(page, 2).locator(".result")).to_be_visible()
    expect(page.locator(".result:visible")).to_have_count(1)
    item(page, 1).get_by_text("Remove").click()
    assert page.locator(".name").all_inner_texts() == ["a.png", "b.png"]
    page.get_by_text("Clear the list").click()
    expect(page.locator("#queue > li")).to_have_count(0)


@needs_chromium
def test_a_choice_enlarges_again(page: Page, picture: Path) -> None:
    page.set_input_files("#file", picture)
    expect(captions(page)).to_contain_text("480 × 360")
    page.select_option("#scale", "2")
    expect(captions(page)).to_contain_text("240 × 180")
    assert page.locator(".save").get_attribute("download") == "drawing_x2.png"


@needs_chromium
def test_a_model_offers_the_scales_that_it_has(browser: Browser, restoring: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(restoring)
    offered = "[...document.querySelectorAll('#scale option:enabled')].map(each => each.value)"
    expect(page.locator("#scale")).to_have_value("1")
    assert page.evaluate(offered) == ["1"]
    page.select_option("#model", "small")
    expect(page.locator("#scale")).to_have_value("4")
    assert page.evaluate(offered) == ["2", "3", "4", "8"]
    page.select_option("#scale", "3")
    page.select_option("#model", "clean <1>")
    expect(page.locator("#scale")).to_have_value("1")
    context.close()


@needs_chromium
def test_of_several_pictures_a_choice_keeps_the_results(page: Page, pictures: list[Path]) -> None:
    page.set_input_files("#file", pictures)
    expect(page.locator("#status")).to_have_text("3 of 3 done")
    page.select_option("#scale", "2")
    item(page, 1).get_by_text("Enlarge again").click()
    expect(item(page, 1).locator(".caption")).to_contain_text("80 × 60")
    for other in (0, 2):
        expect(item(page, other).locator(".caption")).to_contain_text("160 × 120")
        expect(item(page, other).get_by_text("Enlarge again")).to_be_visible()
    expect(item(page, 1).get_by_text("Enlarge again")).to_be_hidden()


@needs_chromium
def test_the_caption_says_what_a_result_lacks_of_its_file(page: Page, picture: Path) -> None:
    picture.write_bytes(picture.read_bytes()[:-12])
    page.set_input_files("#file", picture)
    notice = "the marker of its end is missing; the picture is whole"
    expect(captions(page)).to_have_text(re.compile(rf"^480 × 360, [\d.]+\ss\. Note: {notice}$"))


@needs_chromium
def test_the_caption_names_the_model_of_auto(page: Page, picture: Path) -> None:
    page.set_input_files("#file", picture)
    expect(captions(page)).to_have_text(re.compile(r"^480 × 360, [\d.]+\ss$"))
    page.select_option("#model", "auto")
    expect(captions(page)).to_contain_text("480 × 360, by perception, ")


@needs_chromium
def test_a_picture_that_the_browser_cannot_show_leaves_the_result_alone(
    page: Page, picture: Path, tmp_path: Path
) -> None:
    with Image.open(picture) as image:
        image.save(tmp_path / "drawing.tif")
    for number, (file, is_shown) in enumerate(((tmp_path / "drawing.tif", False), (picture, True))):
        page.set_input_files("#file", file)
        expect(item(page, number).locator(".caption")).to_contain_text("480 × 360")
        if number:
            item(page, number).get_by_text("Compare").click()
        expect(item(page, number).locator(".after")).to_be_visible()
        for part in (".before", ".divider"):
            expect(item(page, number).locator(part)).to_be_visible(visible=is_shown)
        line = "stage => getComputedStyle(stage, '::after').display"
        assert (item(page, number).locator(".stage").evaluate(line) != "none") == is_shown


@needs_chromium
def test_very_long_pictures_are_compared_at_their_size(page: Page, tmp_path: Path) -> None:
    for name, size in (("tall.png", (6, 2000)), ("wide.png", (2000, 6))):
        Image.new("RGB", size, "teal").save(tmp_path / name)
        page.set_input_files("#file", tmp_path / name)
    for number, size in enumerate([(24, 8000), (8000, 24)]):
        expect(item(page, number).locator(".caption")).to_contain_text(f"{size[0]} × {size[1]}")
        if number:
            item(page, number).get_by_text("Compare").click()
        after = item(page, number).locator(".after")
        expect(after).to_be_visible()
        box, figure = after.bounding_box(), item(page, number).locator(".result").bounding_box()
        assert box is not None
        assert figure is not None
        assert (round(box["width"]), round(box["height"])) == size
        assert figure["height"] <= 0.8 * 800
        # The divider, in the middle, is in sight.
        assert figure["x"] < box["x"] + size[0] / 2 < figure["x"] + figure["width"]


@needs_chromium
def test_a_result_that_the_browser_cannot_show_can_be_saved(page: Page, tmp_path: Path) -> None:
    Image.new("RGB", (260_000, 1), "teal").save(tmp_path / "wide.png")
    page.set_input_files("#file", tmp_path / "wide.png")
    expect(captions(page)).to_contain_text("1040000 × 4")
    expect(captions(page)).to_contain_text("The browser cannot show a picture of this size")
    expect(page.locator(".result")).to_be_hidden()
    with page.expect_download() as download:
        page.get_by_text("Save the result").click()
    download.value.save_as(tmp_path / "saved.png")
    assert Image.open(tmp_path / "saved.png").size == (1_040_000, 4)


def test_the_page_names_both_limits(url: str) -> None:
    text = " ".join(requests.get(url, timeout=60).text.split())
    assert "up to 64 MB and 16 megapixels, or 4 megapixels to become 8 times as large" in text


DROP = """files => {
  const data = new DataTransfer();
  for (const {name, bytes} of files) data.items.add(new File([new Uint8Array(bytes)], name));
  document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
}"""
PASTE = DROP.replace('DragEvent("drop", {dataTransfer', 'ClipboardEvent("paste", {clipboardData')


@needs_chromium
@pytest.mark.parametrize("how", [DROP, PASTE], ids=["dropped", "pasted"])
def test_dropped_and_pasted_pictures_are_taken(page: Page, pictures: list[Path], how: str) -> None:
    files = [{"name": path.name, "bytes": list(path.read_bytes())} for path in pictures]
    page.evaluate(how, files)
    expect(page.locator("#status")).to_have_text("3 of 3 done")
    assert page.locator(".name").all_inner_texts() == [path.name for path in pictures]


@needs_chromium
def test_the_pictures_of_a_dropped_folder_are_taken(
    page: Page, pictures: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "album/part 2").mkdir(parents=True)
    for number, path in enumerate(pictures):
        path.rename(tmp_path / "album" / ("part 2" if number == 1 else ".") / path.name)
    (tmp_path / "album/notes.txt").write_text("no picture")
    (tmp_path / "empty").mkdir()
    drop(page, [tmp_path / "album"])
    expect(page.locator("#status")).to_have_text("3 of 3 done")
    names = ["album/a.png", "album/b.png", f"album/part 2/{ODD_NAME}"]
    assert page.locator(".name").all_inner_texts() == names
    expect(page.locator("#problem")).to_have_text("Left out, as no pictures: album/notes.txt.")
    drop(page, [tmp_path / "empty"])
    expect(page.locator("#problem")).to_have_text("The folder holds no pictures.")


def drop(page: Page, paths: list[Path]) -> None:
    """Drop files and folders as a file manager does."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 100, "y": 100, "data": data})
    session.detach()


@needs_chromium
def test_the_page_rejects_a_file_that_is_no_picture(
    page: Page, picture: Path, tmp_path: Path
) -> None:
    (tmp_path / "note.png").write_text("no picture")
    named_otherwise = picture.rename(tmp_path / "drawing.svg")
    page.set_input_files("#file", [named_otherwise, tmp_path / "note.png"])
    expect(page.get_by_role("alert")).to_have_text(
        "No picture that can be read: no image of a known format."
    )
    expect(page.locator("#status")).to_have_text("1 of 2 done, 1 failed")
    expect(item(page, 1).locator(".result")).to_be_hidden()
    # The same would fail in the same way.
    again = item(page, 1).get_by_role("button", name="Try again")
    expect(again).to_be_hidden()
    page.select_option("#scale", "2")
    expect(again).to_be_visible()


@needs_chromium
def test_what_cannot_be_enlarged_is_named_before_the_upload(page: Page, tmp_path: Path) -> None:
    Image.new("1", (5000, 4000)).save(tmp_path / "phone.png")
    Image.new("1", (2500, 2000)).save(tmp_path / "half.png")
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (tmp_path / "new.jxl").write_bytes(b"\xff\x0a" + bytes(30))
    (tmp_path / "drawing.svg").write_text('<?xml version="1.0" encoding="UTF-8"?>\n<svg/>')
    with (tmp_path / "long.tif").open("wb") as file:
        file.truncate(64_000_001)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.select_option("#scale", "8")
    names = ("phone.png", "half.png", "phone.heic", "new.jxl", "long.tif", "drawing.svg")
    page.set_input_files("#file", [tmp_path / name for name in names])
    limit = "megapixels, the limit for 8 times as large."
    for number, message in enumerate(
        (
            f"5000 × 4000 are more than 4 {limit}",
            f"2500 × 2000 are more than 4 {limit}",
            "HEIC pictures cannot be read; save this one as JPEG or PNG.",
            "JPEG XL pictures cannot be read; save this one as PNG.",
            "The file has more than 64 MB.",
            "SVG is a drawing of vectors, which cannot be read; save it as PNG",
        )
    ):
        expect(item(page, number).get_by_role("alert")).to_contain_text(message)
    expect(page.locator("#status")).to_have_text("0 of 6 done, 6 failed")
    # Another scale helps against too many pixels alone.
    page.select_option("#scale", "4")
    expect(page.get_by_role("button", name="Try again")).to_have_count(2)
    assert [address for address in sent if "/upscale" in address] == []


@needs_chromium
def test_a_long_picture_shows_its_progress_and_can_be_cancelled(page: Page, tmp_path: Path) -> None:
    Image.fromarray(noise(1500, 1600, 1)[..., 0]).save(tmp_path / "long.png")
    Image.fromarray(noise(30, 40)).save(tmp_path / "short.png")
    page.select_option("#model", "web")
    page.set_input_files("#file", [tmp_path / "long.png", tmp_path / "short.png"])
    expect(item(page).locator(".caption")).to_have_text(
        re.compile(r"^Enlarging: \d+ of \d+ tiles, [\d.]+\ss$")
    )
    assert item(page).locator("progress").evaluate("bar => bar.max > 1")
    expect(item(page, 1).locator(".caption")).to_have_text("Waiting")
    item(page).get_by_text("Cancel", exact=True).click()
    expect(item(page).locator(".caption")).to_have_text("Cancelled")
    expect(item(page).get_by_text("Enlarge again")).to_be_focused()
    expect(item(page, 1).locator(".caption")).to_contain_text("160 × 120")


@needs_chromium
def test_a_server_that_has_ended_is_told_and_pictures_wait(
    browser: Browser, pictures: list[Path]
) -> None:
    app = UpscaleApp({"web": FOR_JPEG}, "cpu")
    page = browser.new_page()
    with Server(app) as server:
        page.goto(server.url)
        port = urlsplit(server.url).port
    assert port is not None
    page.set_input_files("#file", pictures)
    expect(page.locator("#problem")).to_contain_text("does not answer")
    page.get_by_role("button", name="Cancel all").click()
    expect(page.locator("#problem")).to_be_hidden()
    expect(page.get_by_role("button", name="Go on")).to_be_hidden()
    page.get_by_role("button", name="Clear the list").click()
    page.set_input_files("#file", pictures)
    expect(page.locator("#problem")).to_contain_text("does not answer")
    expect(captions(page)).to_have_text(["Waiting"] * 3)
    with Server(app, port=port):
        page.get_by_role("button", name="Go on").click()
        expect(page.locator("#status")).to_have_text("3 of 3 done")
        expect(page.locator("#problem")).to_be_hidden()
        page.close()


@needs_chromium
def test_a_picture_waits_while_a_proxy_or_the_server_has_no_room(
    browser: Browser, picture: Path
) -> None:
    full = "Too many pictures wait here; send this one later."
    busy = [Response("<p>Bad gateway", 502, mimetype="text/html"), Response(full, 503)]
    busy.append(Response("<p>Log in\n", 200, mimetype="text/html"))
    app = UpscaleApp({"web": FOR_JPEG}, "cpu")

    def crowded(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        takes = environ["REQUEST_METHOD"] != "POST" or not busy
        return app(environ, start) if takes else busy.pop(0)(environ, start)

    page = browser.new_page()
    page.clock.install()
    with Server(crowded) as server:
        page.goto(server.url)
        page.set_input_files("#file", picture)
        for reason in ("The server answers 502.", full):
            expect(captions(page)).to_have_text(
                f"Waiting. {reason} The page tries it again in 5 seconds."
            )
            page.clock.run_for(5000)
        expect(page.get_by_role("alert")).to_contain_text("The answer is not of this program")
        page.get_by_role("button", name="Try again").click()
        expect(captions(page)).to_contain_text("480 × 360")
        page.close()


@needs_chromium
def test_a_file_that_goes_before_it_is_sent_fails_alone(page: Page, tmp_path: Path) -> None:
    names = ("first.png", "changed.png", "empty.png", "last.png")
    for name in names:
        Image.fromarray(noise(30, 40)).save(tmp_path / name)
    Image.fromarray(noise(400, 300, 1)[..., 0]).save(tmp_path / "first.png")
    (tmp_path / "empty.png").write_bytes(b"")
    page.select_option("#model", "web")
    page.set_input_files("#file", [tmp_path / name for name in names])
    expect(item(page, 3).locator(".thumb")).to_have_js_property("naturalWidth", 40)
    (tmp_path / "changed.png").unlink()
    (tmp_path / "empty.png").unlink()
    expect(page.locator("#status")).to_have_text("2 of 4 done, 2 failed")
    expect(item(page, 1).get_by_role("alert")).to_contain_text("was changed, moved or removed.")
    expect(item(page, 2).get_by_role("alert")).to_contain_text("The picture could not be sent")
    expect(page.locator("#problem")).to_be_hidden()


@needs_chromium
def test_a_fault_of_the_page_is_called_one(page: Page, picture: Path) -> None:
    page.evaluate("() => { readResult = () => { throw new Error('no memory'); }; }")
    page.set_input_files("#file", picture)
    expect(page.get_by_role("alert")).to_have_text("The page failed: no memory")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
