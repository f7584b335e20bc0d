"""The page is one complete file: it opens from disk and makes no network requests."""

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bs4 import BeautifulSoup
from PIL import Image

from pipeline.evaluation.charts import curve_chart
from pipeline.evaluation.example_images import Box, ExampleImage
from pipeline.evaluation.measurement import METRIC_BY_KEY
from pipeline.evaluation.plane import Plane, Point
from pipeline.evaluation.report_page import _web_link, write_page
from pipeline.evaluation.results import Evaluation, Notice
from pipeline.evaluation.significance import mean_intervals, paired_tests
from pipeline.manifest.rows import Row
from pipeline.params import EvaluateParams

METRICS = ("psnr_y", "ssim_y", "rmse_y", "lpips", "swd", "swd_64")
MEANS = {
    "bicubic": dict(zip(METRICS, (25.004, 0.8, 14.3, 0.4, 0.2, 0.3), strict=True)),
    "model": dict(zip(METRICS, (24.0, 0.9, 16.1, 0.1, 0.1, 0.1), strict=True)),
}
IMAGE_SCORES = {
    method: {key: row[key] for key in ("psnr_y", "ssim_y", "lpips")}
    for method, row in MEANS.items()
}


def example(name: str, seed: int = 0) -> ExampleImage:
    generator = torch.Generator().manual_seed(seed)
    lr = torch.randint(0, 256, (3, 16, 16), generator=generator, dtype=torch.uint8)
    nearest = lr.repeat_interleave(4, 1).repeat_interleave(4, 2)
    results = {"bicubic": nearest, "model": nearest.flip(1)}
    original, box = nearest.flip(2), Box(16, 16, 48, 48)
    captions = [METRIC_BY_KEY["lpips"], METRIC_BY_KEY["psnr_y"]]
    return ExampleImage(name, lr, results, original, IMAGE_SCORES, box, captions)


def post(number: int, post_url: str) -> Row:
    return Row(
        id=number,
        tile=0,
        shard="00.tar",
        offset=0,
        length=0,
        split="test",
        sha256="",
        phash="",
        original_width=64,
        original_height=64,
        original_format="PNG",
        scale=1.0,
        crop_box=(0, 0, 64, 64),
        rating="general",
        tags=(),
        post_url=post_url,
        source="",
    )


@pytest.fixture(scope="module")
def report() -> Evaluation:
    return Evaluation(
        params=EvaluateParams(),
        scale=4,
        rows=[
            post(11, "https://safebooru.org/index.php?id=11&s=view"),
            post(12, "javascript:alert(1)"),
        ],
        image_scores=[IMAGE_SCORES, IMAGE_SCORES],
        means=MEANS,
        examples=[example("11", 1), example("12", 2)],
        worst=[example("13", 3)],
        plane=Plane(
            [
                Point(name, row["rmse_y"], row["psnr_y"], {"swd": row["swd"]}, name == "model")
                for name, row in MEANS.items()
            ],
            [["bicubic", "model"]],
        ),
        intervals=mean_intervals([IMAGE_SCORES, IMAGE_SCORES], 0),
        paired_tests=paired_tests([IMAGE_SCORES, IMAGE_SCORES], 0),
        ranked_by=METRIC_BY_KEY["lpips"],
        curves=[curve_chart("train/<loss>", [0, 1], [2, 1])],
        summaries={"scrape": {"accepted": 18000, "rejected": {"too_small": 7}, "tags": []}},
        provenance={"manifest": "ab" * 32, "adversarial": True},
        train_params={"lr": 0.0002, "steps": None, "content_layers": ["conv2_1", "conv3_1"]},
        notices=[Notice("Another manifest.", "Not the article's.", grave=True)],
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, report: Evaluation) -> Path:
    written = tmp_path_factory.mktemp("page") / "index.html"
    write_page(written, report)
    return written


@pytest.fixture(scope="module")
def soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def test_nothing_is_loaded_from_elsewhere(path, soup):
    assert not soup.find_all(["link", "iframe", "object", "embed", "base", "source", "use"])
    assert all(not script.get("src") for script in soup.find_all("script"))
    sources = [image["src"] for image in soup.find_all("img")]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    addressed = soup.find_all(attrs={"href": re.compile("^[^#]")})
    assert {tag.name for tag in addressed} == {"a"}
    styles = "".join(style.string for style in soup.find_all("style"))
    assert "url(" not in styles
    assert "@import" not in styles
    policy = soup.find("meta", attrs={"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'; img-src data:;")


def test_every_image_decodes(soup):
    for tag in soup.find_all("img"):
        data = base64.b64decode(tag["src"].partition(",")[2], validate=True)
        image = Image.open(io.BytesIO(data))
        image.load()
        assert image.size == (int(tag["width"]), int(tag["height"]))
        assert tag["src"].startswith(f"data:image/{image.format.lower()};base64,")


def test_details_are_lossless(report, soup):
    tag = soup.find("img", alt="Detail of image 11, model")
    image = Image.open(io.BytesIO(base64.b64decode(tag["src"].partition(",")[2])))
    expected = report.examples[0].detail("model").permute(1, 2, 0)
    assert image.convert("RGB").tobytes() == expected.contiguous().numpy().tobytes()


def test_each_picture_has_a_slider_and_two_choices(soup):
    for compare, name in zip(soup.select(".compare"), ("11", "12", "13"), strict=True):
        slider = compare.find("input", type="range")
        assert name in slider["aria-label"]
        versions = [image["data-version"] for image in compare.select(".stage img")]
        assert versions == ["bicubic", "model", "original"]
        shown = [image["data-version"] for image in compare.select(".stage img:not([hidden])")]
        assert shown == ["bicubic", "model"]
        for select, chosen in zip(
            compare.select("select[data-side]"), ("bicubic", "model"), strict=True
        ):
            assert [option.string for option in select.find_all("option")] == versions
            assert select.find("option", selected=True).string == chosen
            assert select.find_parent("label")


def test_every_image_and_chart_has_words(soup):
    assert all(image["alt"] for image in soup.find_all("img"))
    assert all(chart["aria-label"] for chart in soup.find_all("svg"))
    ids = {tag["id"] for tag in soup.find_all(id=True)}
    assert {link["href"][1:] for link in soup.select('a[href^="#"]')} <= ids


def test_the_best_of_each_column_is_marked(soup):
    rows = soup.select("#figures table")[0].select("tbody tr")
    marked = [[cell.find("strong") is not None for cell in row.find_all("td")] for row in rows]
    assert marked == [[True, False, True, False, False], [False, True, False, True, True]]
    assert rows[0].find("strong").string == "25.00"


def test_means_have_their_intervals(soup):
    cells = soup.select("#figures table")[0].select("tbody tr")[0].find_all("td")
    ranges = [cell.select_one(".range") for cell in cells]
    assert ranges[0].string == "25.00–25.00"
    assert [each is None for each in ranges] == [False, False, True, False, True]


def test_the_model_is_compared_with_each_method(soup):
    (row,) = soup.select("#figures table")[1].select("tbody tr")
    assert row.th.string == "bicubic"
    psnr, _, lpips = row.find_all("td")
    assert psnr.get_text("|").startswith("-1.00|-1.00 to -1.00|p = ")
    assert lpips.get_text("|").startswith("-0.3000|-0.3000 to -0.3000|")
    # Two images are too few to be sure of anything.
    assert not row.find_all("strong")


def test_failures_say_by_which_metrics(soup):
    (heading,) = soup.select("#worst h3")
    assert heading.string == "Image 13: worst by LPIPS, PSNR Y"
    captions = [caption.get_text() for caption in soup.select("#worst .details .small")]
    assert captions == ["LPIPS 0.4000, PSNR Y 25.00", "LPIPS 0.1000, PSNR Y 24.00", ""]


def test_every_point_of_the_plane_can_be_chosen(soup):
    dots = soup.select("#plane .dot")
    assert [dot["data-method"] for dot in dots] == ["bicubic", "model"]
    assert {(dot["role"], dot["tabindex"], dot["aria-pressed"]) for dot in dots} == {
        ("button", "0", "false")
    }
    assert len(soup.select("#plane .curve")) == 1


def test_every_image_of_every_method_has_a_row(soup):
    rows = soup.select("#per-image tbody tr")
    assert [(row.th.get_text(), row.td.string) for row in rows] == [
        ("11", "bicubic"),
        ("11", "model"),
        ("12", "bicubic"),
        ("12", "model"),
    ]
    headings = soup.select("#per-image thead th")
    assert [heading.button.string for heading in headings[2:]] == ["PSNR Y", "SSIM Y", "LPIPS"]


def test_only_web_addresses_become_links(path, soup):
    links = {link["href"] for link in soup.select("#per-image a")}
    assert links == {"https://safebooru.org/index.php?id=11&s=view"}
    assert "javascript:" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("address", "is_linked"),
    [
        ("https://safebooru.org/index.php?id=1", True),
        ("http://localhost.example/a", True),
        ("http://127.0.0.1.example", True),
        ("http://127.0.0.1:8931/index.php", False),
        ("http://localhost", False),
        ("https://[::1]:80/a", False),
        ("file:///a", False),
        ("javascript:alert(1)", False),
    ],
)
def test_only_addresses_on_the_web_are_linked(address: str, is_linked: bool) -> None:
    """Those of the embedded booru lead nowhere once it has ended."""
    assert _web_link(address) == (address if is_linked else "")


def test_foreign_text_is_escaped(path):
    text = path.read_text(encoding="utf-8")
    assert "train/&lt;loss&gt;" in text
    assert "train/<loss>" not in text


def test_the_lead_compares_model_and_bicubic(soup):
    distortion, perception = (sentence.string for sentence in soup.select(".lead"))
    assert "2 images of the test split" in distortion
    assert "1.00 dB further from the originals" in distortion
    assert "nearer to the originals: 0.1000 against 0.4000" in perception


def test_notices_data_params_and_provenance_are_shown(soup):
    assert soup.select_one(".notice.grave strong").string == "Another manifest."
    words = soup.find("main").get_text(" ", strip=True)
    for expected in ("too small 7", "18,000", "ab" * 32, "conv2_1, conv3_1", "adversarial yes"):
        assert expected in words


def test_parts_without_data_are_left_out(tmp_path, report):
    bare = replace(report, curves=(), summaries={}, notices=(), worst=(), paired_tests=())
    write_page(tmp_path / "index.html", bare)
    soup = BeautifulSoup((tmp_path / "index.html").read_text(encoding="utf-8"), "html.parser")
    assert not soup.select("#training, #data, #worst, .notice")
    assert len(soup.select("#figures table")) == 2
    assert [link["href"] for link in soup.select("nav a")] == [
        "#pictures",
        "#figures",
        "#plane",
        "#images",
        "#provenance",
    ]


def test_the_page_keeps_to_its_size(tmp_path, report, monkeypatch):
    examples = [example(str(number), number) for number in range(9)]
    many = replace(report, examples=examples, worst=examples[:3])
    write_page(tmp_path / "all.html", many)
    monkeypatch.setattr("pipeline.evaluation.encoded_examples.MAX_CHARACTERS", 60_000)
    write_page(tmp_path / "some.html", many)
    everything = BeautifulSoup((tmp_path / "all.html").read_text(), "html.parser")
    some = BeautifulSoup((tmp_path / "some.html").read_text(), "html.parser")
    left, worst = len(some.select("#pictures .compare")), len(some.select("#worst .compare"))
    assert len(everything.select(".compare")) == 12
    assert 1 < left < 9
    assert 1 <= worst < 3
    assert sum(len(image["src"]) for image in some.find_all("img")) <= 60_000
    assert some.select(".compare h3")[0].string == "Image 0"
    assert some.select("#pictures .compare h3")[-1].string == "Image 8"
    assert f"{12 - left - worst} more would not fit" in some.get_text()
