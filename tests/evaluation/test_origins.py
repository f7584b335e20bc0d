"""Where the measured pictures come from."""

from dataclasses import replace

import pytest

from pipeline.evaluation.origins import Origin, file_name, measured_set, origins_of, source_link
from pipeline.evaluation.pairs import MeasuredImage
from pipeline.params import EvaluateParams
from tests.evaluation.test_report_page import post


def images(*addresses: str) -> list[MeasuredImage]:
    return [post(number, address) for number, address in enumerate(addresses)]


@pytest.mark.parametrize(
    ("address", "name"),
    [("file:///home/me/a%20b.png", "a b.png"), ("https://site/index.php?id=1", ""), ("", "")],
)
def test_a_picture_of_ones_own_is_named_by_its_file(address: str, name: str) -> None:
    assert file_name(address) == name


@pytest.mark.parametrize(
    ("folder", "name"),
    [("data/Set5/HR/", "data/Set5/HR"), ("/mnt/x/Set5", "Set5"), ("../own", "own")],
)
def test_the_measured_set_is_a_split_or_a_folder(folder: str, name: str) -> None:
    assert measured_set(EvaluateParams(split="val")) == "the val split"
    assert measured_set(EvaluateParams(hr_folder=folder)) == f"the folder {name}"


def test_sites_are_counted_the_largest_first():
    addresses = ["https://b.example/1", "https://a.example:8/2", "https://b.example/3"]
    assert origins_of(images(*addresses)) == [Origin("b.example", 2), Origin("a.example", 1)]


def test_a_folder_is_named_without_its_path():
    addresses = ["file:///home/me/my%20pictures/a.png", "file:///home/me/my%20pictures/b/c.png"]
    assert origins_of(images(*addresses)) == [Origin("the folder my pictures", 2)]


@pytest.mark.parametrize(
    ("addresses", "name"),
    [
        (["file:///home/me/art/a.png"], "the folder art"),
        (["file:///home/me/a.png", "file:///mnt/b.png"], "several folders"),
        (["file:///a.png"], "several folders"),
        (["file:///home/art/a.png", "file:home/art/b.png"], "the folder art"),
        (["file:a.png", "file:///art/b.png"], "several folders"),
        (["file:///C:/art/a.png", "file:///C:/art/b/c.png"], "the folder art"),
        (["file:///C:/a.png", "file:///D:/b.png"], "several folders"),
        (["file://server/share/a.png", "file://server/share/b/c.png"], "the folder share"),
        (["file://server/share/a.png", "file:///art/b.png"], "several folders"),
    ],
)
def test_folders_of_any_address(addresses, name):
    assert origins_of(images(*addresses)) == [Origin(name, len(addresses))]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("http://127.0.0.1:8931/index.php?id=1", "a booru on this computer"),
        ("javascript:alert(1)", "an unknown place"),
        ("https://[broken/", "an unknown place"),
        ("", "an unknown place"),
    ],
)
def test_other_addresses(address, name):
    assert origins_of(images(address)) == [Origin(name, 1)]


@pytest.mark.parametrize(
    ("source", "link"),
    [
        ("https://artist.example/1", "https://artist.example/1"),
        ("drawn by hand, https://artist.example/1 https://b.example", "https://artist.example/1"),
        ("javascript:alert(1)", ""),
        ("", ""),
    ],
)
def test_the_source_is_the_first_address_on_the_web(source, link):
    assert source_link(replace(post(1, ""), source=source)) == link
