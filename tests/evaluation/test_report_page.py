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
from pipeline.evaluation.costs import Cost
from pipeline.evaluation.example_images import Box, ExampleImage
from pipeline.evaluation.measurement import METRIC_BY_KEY
from pipeline.evaluation.origins import web_link
from pipeline.evaluation.pairs import MeasuredImage
from pipeline.evaluation.plane import Plane, Point
from pipeline.evaluation.report_page import write_page
from pipeline.evaluation.resolved_params import TrainedWith
from pipeline.evaluation.results import Background, Evaluation, Notice
from pipeline.evaluation.significance import mean_intervals, paired_tests
from pipeline.params import EvaluateParams
from tests.evaluation.page_bytes import without_seconds

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


def post(number: int, address: str) -> MeasuredImage:
    return MeasuredImage(str(number), 64, 64, "", address)


@pytest.fixture(scope="module")
def report() -> Evaluation:
    return Evaluation(
        params=EvaluateParams(),
        scale=4,
        images=[
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
        costs={"bicubic": Cost(None, 0.0123), "model": Cost(1_261_953, 1.5)},
        seconds=61.23,
        background=Background(
            curves=[
                curve_chart("train/<loss>", [0, 1], [2, 1]),
                curve_chart("Validation", [10, 1000], [2, 1], "dB", None, 200),
            ],
            summaries={
                "scrape": {"accepted": 18000, "rejected": {"too_small": 7}, "tags": []},
                "resize": {"refusals": [{"id": number} for number in range(900)]},
                "manifest": {"rows": 2},
            },
            provenance={"manifest": "ab" * 32, "adversarial": True},
            used_params={
                "max_images": 2,
                "seed": 1234,
                "device": "cuda (NVIDIA H100)",
                "results": {},
            },
            trained_with=TrainedWith(
                {"lr": 0.0002, "init": None, "content_layers": ["conv2_1", "conv3_1"]}, True
            ),
        ),
        notices=[
            Notice("Not measured: DISTS.", "It is off."),
            Notice("Another manifest.", "Not the article's.", grave=True),
        ],
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
    # The last two are the parameters and the seconds.
    assert marked == [
        [True, False, True, False, False, False, False],
        [False, True, False, True, True, False, False],
    ]
    assert rows[0].find("strong").string == "25.00"


def test_means_have_their_intervals(soup):
    cells = soup.select("#figures table")[0].select("tbody tr")[0].find_all("td")
    ranges = [cell.select_one(".range") for cell in cells]
    assert ranges[0].string == "25.00–25.00"
    assert [each is None for each in ranges] == [False, False, True, False, True, True, True]


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
    assert web_link(address) == (address if is_linked else "")


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


def test_grave_notices_are_above_the_pictures_and_others_behind(soup):
    order = [
        tag.get("id") or tag.strong.string for tag in soup.select("main > section, main > .notice")
    ]
    assert order[:5] == ["Another manifest.", "pictures", "worst", "notes", "figures"]
    assert [tag.string for tag in soup.select("#notes strong")] == ["Not measured: DISTS."]


def test_it_says_what_the_pictures_are(soup):
    words = " ".join(soup.select_one(".origins").get_text().split())
    assert words == (
        "2 pictures of the test split were measured, 1 from an unknown place, 1 from "
        "safebooru.org. The data sheet has the counts of the whole set."
    )
    assert soup.select_one(".origins a")["href"] == "manifest/index.html"
    links = [link["href"] for link in soup.select("#pictures .compare .origin a")]
    assert links == ["https://safebooru.org/index.php?id=11&s=view"]


def test_the_main_table_has_parameters_and_seconds(soup):
    table = soup.select("#figures table")[0]
    headings = [heading.get_text() for heading in table.select("thead th")[-2:]]
    assert headings == ["Parameters", "s/MP"]
    cells = [
        [cell.get_text() for cell in row.select("td")[-2:]] for row in table.select("tbody tr")
    ]
    assert cells == [["–", "0.012"], ["1,261,953", "1.5"]]


def test_the_main_table_is_there_as_markdown_and_latex(soup):
    markdown, latex = (area.string.strip() for area in soup.select("textarea[data-written]"))
    assert [line.replace(" ", "") for line in markdown.splitlines()][2:] == [
        "|bicubic|**25.00**|0.8000|**14.30**|0.4000|0.2000|–|0.012|",
        "|model|24.00|**0.9000**|16.10|**0.1000**|**0.1000**|1,261,953|1.5|",
    ]
    comment, *lines = latex.splitlines()
    assert comment.startswith("% \\usepackage{booktabs}")
    assert lines[:2] == ["\\begin{tabular}{lrrrrrrr}", "\\toprule"]
    assert lines[6].startswith(r"model & 24.00 & \textbf{0.9000} & ")
    assert lines[5].startswith(r" & \scriptsize 25.00--25.00 & ")
    assert lines[-2:] == ["\\bottomrule", "\\end{tabular}"]
    assert {line.count(" & ") for line in lines[4:8]} == {7}
    names = [button["data-copy"] for button in soup.select("[data-copy]")]
    assert names == ["Markdown", "LaTeX"]


def test_the_tables_and_the_plane_are_linked(soup):
    links = [link["href"] for link in soup.select(".files a")]
    names = ("means", "intervals", "comparisons", "per_image", "plane")
    expected = [f"evaluate/{name}.csv" for name in names]
    assert links == [*expected, "evaluate/plane.png", "evaluate/plane.svg"]


def test_params_are_those_that_were_used(soup):
    cards = {
        card.h3.string: card.get_text(" ", strip=True) for card in soup.select("#provenance .card")
    }
    assert (
        "max images 2 seed 1234 device cuda (NVIDIA H100) results –"
        in cards["Params: evaluate, as used"]
    )
    assert "init – content layers conv2_1, conv3_1" in cards["Params: train, as used"]
    assert cards["Where this comes from"].endswith("time of the evaluation, s 61.2")


def test_charts_have_axes_units_smoothing_and_phases(soup):
    loss, validation = soup.select("#training figure")
    assert loss.figcaption.get_text(" ", strip=True) == "train/<loss> last 1, not smoothed"
    words = validation.figcaption.get_text(" ", strip=True)
    assert words == "Validation (dB), last 1, not smoothed"
    assert [text.string for text in validation.select(".phases text")] == [
        "pre-training",
        "adversarial",
    ]
    assert not loss.select(".phases")
    assert [text.string for text in soup.select("#training .name")] == ["steps", "steps"]
    assert validation.select(".ticks text[text-anchor=middle]")[0].string == "0"


def test_what_was_measured_by_a_clock_alone_differs(tmp_path, report):
    slower = {name: replace(cost, seconds=9.0) for name, cost in report.costs.items()}
    write_page(tmp_path / "a.html", report)
    write_page(tmp_path / "b.html", replace(report, costs=slower, seconds=99.9))
    first, second = ((tmp_path / name).read_bytes() for name in ("a.html", "b.html"))
    assert first != second
    assert without_seconds(first) == without_seconds(second)


def test_models_of_several_seeds_have_one_row_with_their_spread(tmp_path, report):
    write_page(tmp_path / "index.html", replace(report, seed_groups=[["bicubic", "model"]]))
    soup = BeautifulSoup((tmp_path / "index.html").read_text(encoding="utf-8"), "html.parser")
    (row,) = soup.select("#seeds tbody tr")
    assert [cell.get_text() for cell in row.find_all(["th", "td"])][:4] == [
        "bicubic, model",
        "2",
        "24.50 ± 0.71",
        "0.8500 ± 0.0707",
    ]


def test_parts_without_data_are_left_out(tmp_path, report):
    bare = replace(report, background=Background(), notices=(), worst=(), paired_tests=())
    write_page(tmp_path / "index.html", bare)
    soup = BeautifulSoup((tmp_path / "index.html").read_text(encoding="utf-8"), "html.parser")
    assert not soup.select("#training, #data, #worst, #notes, #seeds, .notice")
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


def test_of_a_long_list_ten_are_shown(soup):
    text = " ".join(soup.select_one("#data").get_text().split())
    assert "id8, id9 and 890 more" in text
