"""The page as people use it: in Chromium, by mouse, keyboard and touch."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Locator, Page

from pipeline.evaluation.pairs import SplitPairs, write_pairs
from pipeline.evaluation.provenance import Inputs
from pipeline.evaluation.run import evaluate
from pipeline.networks import SRResNet
from pipeline.networks.files import save_generator
from pipeline.params import EvaluateParams
from pipeline.progress import Silent
from tests.chromium import chromium, needs_chromium
from tests.evaluation.world import make_world

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    make_world(root, {"train": 1, "test": 4})
    torch.manual_seed(1)
    other = SRResNet(scale=4, blocks=1, features=8, norm="none", skip="bicubic")
    save_generator(root / "other.safetensors", other, {})
    manifest, resized = root / "data/manifest.csv", root / "data/resized"
    write_pairs(SplitPairs.from_split(manifest, resized, "test", 4), root / "pairs", Silent())
    params = EvaluateParams(
        device="cpu",
        lpips="off",
        dists="off",
        detail=32,
        models={"other": str(root / "other.safetensors")},
        results={"perfect": str(root / "pairs/hr")},
        blend="other",
    )
    curves = root / "reports/train/plots/metrics/train"
    curves.mkdir(parents=True)
    (curves / "loss.tsv").write_text("step\tloss\n0\t2\n10\t1\n")
    model = root / "models/generator.safetensors"
    evaluate(params, Inputs(manifest, resized, model), root / "reports")
    return root / "reports/index.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    """The opened page; at the end no error was logged, and nothing but the file was asked for."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    problems: list[str] = []
    requests: list[str] = []
    opened.on("console", lambda message: problems.append(message.text))
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("request", lambda request: requests.append(request.url))
    opened.goto(report.as_uri())
    yield opened
    context.close()
    assert problems == []
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()]


def first(page: Page) -> Locator:
    return page.locator(".compare").first


def cut(compare: Locator) -> float:
    """Where the divider stands, as a share of the picture's width."""
    stage = compare.locator(".stage")
    handle, box = compare.locator(".handle").bounding_box(), stage.bounding_box()
    assert handle is not None
    assert box is not None
    return (handle["x"] + 1 - box["x"]) / box["width"]


def shown(compare: Locator) -> list[str | None]:
    images = compare.locator(".stage img:not([hidden])")
    return [image.get_attribute("data-version") for image in images.all()]


def test_the_divider_follows_the_mouse(page: Page) -> None:
    stage = first(page).locator(".stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, y, steps=5)
    page.mouse.up()
    assert cut(first(page)) == pytest.approx(0.8, abs=0.02)


def test_the_divider_follows_the_keys(page: Page) -> None:
    slider = first(page).locator("input[type=range]")
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert cut(first(page)) == pytest.approx(0.55, abs=0.01)
    assert slider.get_attribute("aria-valuetext") == "55 % bicubic, the rest model"
    page.keyboard.press("Home")
    assert cut(first(page)) == pytest.approx(0, abs=0.01)


def test_either_side_shows_any_method(page: Page) -> None:
    compare = first(page)
    options = compare.locator("select[data-side=left] option").all_inner_texts()
    assert options == [
        "nearest",
        "bilinear",
        "bicubic",
        "lanczos",
        "model",
        "other",
        "perfect",
        "original",
    ]
    compare.locator("select[data-side=left]").select_option("original")
    assert shown(compare) == ["model", "original"]
    assert compare.locator(".on-left").inner_text() == "original"
    compare.locator("select[data-side=right]").select_option("original")
    assert shown(compare) == ["original"]


def test_zoom_shows_whole_pixels_and_moves(page: Page) -> None:
    compare = first(page)
    image, view = compare.locator(".stage img:not([hidden])").first, compare.locator(".view")
    before = image.bounding_box()
    compare.locator("select[data-zoom]").select_option("4")
    after = image.bounding_box()
    assert before is not None
    assert after is not None
    assert after["width"] == pytest.approx(4 * before["width"], rel=0.01)
    assert image.evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"
    view.evaluate("view => view.scrollTo({ left: 0, top: 0 })")
    view.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("view => view.scrollLeft >= 100", arg=view.element_handle())
    # The divider stays in the middle of what is seen while the picture moves below it.
    page.wait_for_function(
        """view => {
          const cut = getComputedStyle(view.parentElement).getPropertyValue("--cut");
          return Math.abs(parseFloat(cut) - view.scrollLeft - view.clientWidth / 2) < 1;
        }""",
        arg=view.element_handle(),
    )
    assert cut(compare) == pytest.approx(0.5, abs=0.01)
    compare.locator("select[data-zoom]").select_option("1")
    assert view.get_attribute("tabindex") is None


def test_a_point_of_the_plane_marks_its_method_everywhere(page: Page) -> None:
    dot = page.locator('#plane .dot[data-method="other"]').first
    dot.focus()
    page.keyboard.press("Enter")
    assert dot.get_attribute("aria-pressed") == "true"
    assert "other: RMSE" in page.locator(".chosen").inner_text()
    assert shown(first(page)) == ["bicubic", "other"]
    rows = page.locator("#figures .chosen-row")
    assert {row.locator("th").text_content() for row in rows.all()} == {"other"}
    page.locator('#plane .dot[data-method="perfect"] circle').first.click()
    assert dot.get_attribute("aria-pressed") == "false"
    assert shown(first(page)) == ["bicubic", "perfect"]


def test_the_table_sorts_by_a_column_and_back(page: Page) -> None:
    def column(number: int) -> list[str]:
        return page.locator(f"#per-image tbody td:nth-child({number})").all_inner_texts()

    heading = page.locator("#per-image thead button", has_text="PSNR Y")
    heading.click()
    values = [float(text) for text in column(3)]
    assert values == sorted(values, reverse=True)
    heading.focus()
    page.keyboard.press("Enter")
    assert [float(text) for text in column(3)] == sorted(values)
    page.locator("#method").select_option("model")
    assert page.locator("#per-image tbody tr:visible").count() == 4


def test_names_of_images_sort_by_number_and_part(page: Page) -> None:
    names = ["10-10", "9", "10", "100", "10-2", "10-1"]
    page.evaluate(
        """names => document.querySelectorAll("#per-image tbody th").forEach(
          (cell, index) => { cell.textContent = names[index % names.length]; }
        )""",
        names,
    )
    heading = page.locator("#per-image thead button", has_text="Image")
    for direction in (-1, 1):
        heading.click()
        texts = page.locator("#per-image tbody th").all_inner_texts()
        assert list(dict.fromkeys(texts))[::direction] == [
            "9",
            "10",
            "10-1",
            "10-2",
            "10-10",
            "100",
        ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_is_wider_than_the_page(page: Page, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 844})
    wide = page.evaluate(
        "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert wide[0] == wide[1] == width
    assert contrast(page, ".lead") > 7
    assert contrast(page, "section > p") > 4.5
    assert contrast(page, "#figures .ours th") > 4.5


def test_a_button_copies_the_table_or_selects_it(page: Page) -> None:
    text = page.locator("textarea[data-written=LaTeX]").input_value()
    assert "\\begin{tabular}" in text
    page.evaluate(
        """() => Object.defineProperty(navigator, "clipboard", {
          configurable: true, value: { writeText: async (text) => { window.written = text; } },
        })"""
    )
    page.get_by_role("button", name="Copy as LaTeX").click()
    page.wait_for_function("window.written !== undefined")
    assert page.evaluate("window.written") == text
    assert page.locator(".copied").inner_text() == "The table is in the clipboard, as LaTeX."
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_role("button", name="Copy as Markdown").click()
    shown = page.locator("textarea[data-written=Markdown]")
    shown.wait_for(state="visible")
    assert page.evaluate("getSelection().toString()") == shown.input_value()
    assert page.locator(".copied").inner_text() == "The table is selected below: copy it."


def test_pictures_far_below_are_not_decoded_before_they_come_near(page: Page) -> None:
    complete = "images => images.map((image) => image.complete)"
    assert not all(page.locator(".compare img").evaluate_all(complete))
    last = page.locator(".compare").last.locator(".details img").last
    last.scroll_into_view_if_needed()
    page.wait_for_function("image => image.complete", arg=last.element_handle())


def test_links_lead_to_parts_that_are_laid_out_late(page: Page) -> None:
    """Thousands of rows would keep a page from opening; a link must find them all the same."""
    rendering = "part => getComputedStyle(part).contentVisibility"
    assert page.locator("#images .tall").evaluate(rendering) == "auto"
    for name, part in (("Provenance", "#provenance"), ("Every image", "#images")):
        page.get_by_role("link", name=name, exact=True).click()
        page.wait_for_function(
            """part => {
              const { top, bottom } = document.querySelector(part).getBoundingClientRect();
              return (top >= 0 && top < 100) || bottom <= innerHeight;
            }""",
            arg=part,
        )


def test_details_are_folded_on_phones_and_open_elsewhere(browser: Browser, report: Path) -> None:
    opened = {}
    for width in (390, 1440):
        page = browser.new_page(viewport={"width": width, "height": 844})
        page.goto(report.as_uri())
        folds = page.locator("details.fold")
        opened[width] = folds.evaluate_all("folds => folds.map((fold) => fold.open)")
        if width == 390:
            page.get_by_role("link", name="Training").click()
            page.wait_for_function("document.querySelector('#training details.fold').open")
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide == 390
        page.close()
    assert not any(opened[390])
    assert all(opened[1440])
    assert len(opened[390]) == len(opened[1440]) > 4


def contrast(page: Page, selector: str) -> float:
    """WCAG 2's contrast of a text with the page, 1 to 21."""
    ratio = page.evaluate(
        """selector => {
          const channels = (text) => text.match(/\\d+/g).slice(0, 3).map((c) => c / 255);
          const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
          const light = (rgb) => {
            const [r, g, b] = rgb.map(linear);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const ink = light(channels(getComputedStyle(document.querySelector(selector)).color));
          const paper = light(channels(getComputedStyle(document.body).backgroundColor));
          return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        }""",
        selector,
    )
    return float(ratio)


def test_a_finger_moves_the_divider_and_an_enlarged_picture(browser: Browser, report: Path) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(report.as_uri())
    stage = first(page).locator(".stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    page.touchscreen.tap(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
    assert cut(first(page)) == pytest.approx(0.25, abs=0.03)
    context.close()


def test_keys_alone_reach_every_control(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.outerHTML.slice(0, 40)"))
    assert any(html.startswith('<input type="range"') for html in reached)
    assert any(html.startswith("<select data-zoom") for html in reached)
    assert any(html.startswith('<g class="dot') for html in reached)
    assert any(html.startswith("<summary") for html in reached)
