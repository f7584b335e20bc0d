"""The upscaling page: its responses, and the page in a real browser."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from pipeline.networks.files import save_generator
from pipeline.shipped import AUTO, FOR_JPEG
from pipeline.upscaling.app import UpscaleApp
from pipeline.upscaling.encoding import encode_picture
from pipeline.upscaling.pictures import Picture
from pipeline.wsgi import Server
from tests.chromium import chromium, needs_chromium
from tests.upscaling.small import generator, noise

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


def test_auto_takes_the_model_that_suits_the_picture(url: str) -> None:
    file = io.BytesIO()
    Image.fromarray(noise(9, 12)).save(file, "JPEG", quality=50)
    chosen, named = (post(url, file.getvalue(), model=model) for model in ("auto", "web"))
    assert Image.open(io.BytesIO(chosen.content)).size == (48, 36)
    assert chosen.content == named.content
    assert (chosen.headers.get("X-Model"), named.headers.get("X-Model")) == ("web", None)


@pytest.mark.parametrize(
    ("data", "choices", "status", "message"),
    [
        (b"", {}, 422, "No picture that can be read: the file has no bytes.\n"),
        (b"text", {}, 422, "No picture that can be read: no image of a known format.\n"),
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


def test_another_servers_name_is_refused(url: str) -> None:
    for host, status in (("localhost:1", 200), ("elsewhere.example", 400)):
        assert requests.get(url, headers={"Host": host}, timeout=60).status_code == status


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


@needs_chromium
def test_a_chosen_picture_is_shown_beside_its_enlargement(
    page: Page, picture: Path, tmp_path: Path
) -> None:
    page.set_input_files("#file", picture)
    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#caption")).to_contain_text("480 × 360")
    page.locator("#divider").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert page.locator("#stage").evaluate("s => s.style.getPropertyValue('--at')") == "0.5%"
    with page.expect_download() as download:
        page.get_by_text("Save the result").click()
    assert download.value.suggested_filename == "drawing_x4.png"
    download.value.save_as(tmp_path / "saved.png")
    assert Image.open(tmp_path / "saved.png").size == (480, 360)


@needs_chromium
def test_a_choice_enlarges_again(page: Page, picture: Path) -> None:
    page.set_input_files("#file", picture)
    expect(page.locator("#caption")).to_contain_text("480 × 360")
    page.select_option("#scale", "2")
    expect(page.locator("#caption")).to_contain_text("240 × 180")
    assert page.locator("#save").get_attribute("download") == "drawing_x2.png"


@needs_chromium
def test_the_caption_names_the_model_of_auto(page: Page, picture: Path) -> None:
    page.set_input_files("#file", picture)
    expect(page.locator("#caption")).to_have_text(re.compile(r"^480 × 360, [\d.]+ s$"))
    page.select_option("#model", "auto")
    expect(page.locator("#caption")).to_contain_text("480 × 360, by perception, ")


@needs_chromium
def test_a_picture_that_the_browser_cannot_show_leaves_the_result_alone(
    page: Page, picture: Path, tmp_path: Path
) -> None:
    with Image.open(picture) as image:
        image.save(tmp_path / "drawing.tif")
    for file, is_shown in ((tmp_path / "drawing.tif", False), (picture, True)):
        page.set_input_files("#file", file)
        expect(page.locator("#caption")).to_contain_text("480 × 360")
        for part in ("#before", "#divider"):
            expect(page.locator(part)).to_be_visible(visible=is_shown)
        line = "getComputedStyle(document.getElementById('stage'), '::after').display"
        assert (page.evaluate(line) != "none") == is_shown


def test_the_page_names_both_limits(url: str) -> None:
    text = " ".join(requests.get(url, timeout=60).text.split())
    assert "up to 64 MB and 16 megapixels; 4 for eight times" in text


@needs_chromium
def test_a_dropped_picture_is_taken(page: Page, picture: Path) -> None:
    page.evaluate(
        """bytes => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"}));
          document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
        }""",
        list(picture.read_bytes()),
    )
    expect(page.locator("#caption")).to_contain_text("480 × 360")


@needs_chromium
def test_the_page_rejects_a_file_that_is_no_picture(
    page: Page, picture: Path, tmp_path: Path
) -> None:
    (tmp_path / "note.png").write_text("no picture")
    page.set_input_files("#file", picture)
    expect(page.locator("#result")).to_be_visible()
    page.set_input_files("#file", tmp_path / "note.png")
    expect(page.get_by_role("alert")).to_have_text(
        "No picture that can be read: no image of a known format."
    )
    expect(page.locator("#result")).to_be_hidden()
