"""What `scrape.site` names: a site, or a folder by path or address."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.errors import UsageError
from pipeline.params import ScrapeParams
from pipeline.params.file import override
from pipeline.params.site import folder_of, is_folder, site_problem


def site(text: str) -> str:
    return ScrapeParams(site=text).site


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("pics", "pics#2", "pics?a=1", "my pics", "100%", "a%41", "絵"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("text", ["https://b.test", "http://b.test:80/booru", "http://[bad"])
def test_sites(text: str) -> None:
    assert (site(text), site(f"{text}/")) == (text, text)
    assert not is_folder(text)


@pytest.mark.parametrize(
    "text", ["", " ", "ftp://b.test/x", "https:/b.test", "https://b test", "pics\0"]
)
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="address of a site, https://HOST"):
        site(text)


@pytest.mark.parametrize("name", ["pics", "pics#2", "pics?a=1", "my pics", "100%", "a%41", "絵"])
def test_every_way_to_write_a_folder(base: Path, name: str) -> None:
    folder = base / name
    texts = (str(folder), f"file://{folder}", f"file:{folder}", folder.as_uri(), f"FILE://{folder}")
    assert {folder_of(site(text), Path("/nowhere")) for text in texts} == {folder}
    assert folder_of(site(name), base) == folder_of(site(f"./{name}"), base) == folder
    assert folder_of(site(f"~/{name}"), Path("/nowhere")) == folder
    assert all(map(is_folder, (*texts, name, f"~/{name}")))


def test_a_folder_called_as_a_home_is_not_one(base: Path) -> None:
    (base / "~nobody-has-this-name").mkdir()
    assert folder_of("~nobody-has-this-name", base) == base / "~nobody-has-this-name"


def test_a_name_that_is_no_text(base: Path) -> None:
    """As Python decodes bytes of the command line that are no UTF-8."""
    folder = os.fsencode(base) + b"/\x83e%"
    os.mkdir(folder)  # noqa: PTH102
    for text in (os.fsdecode(folder), "file://" + os.fsdecode(folder)):
        assert site(text).isascii()
        assert os.fsencode(folder_of(site(text))) == folder


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nowhere", "nowhere: no such folder; name one that holds pictures; the address of a"),
        ("file:///nowhere", "scrape.site: /nowhere: no such folder"),
        ("file:///no%00where", r"scrape.site: '/no\x00where': no such folder"),
        ("/dev/null", "scrape.site: /dev/null: is a file; name one that holds pictures"),
        ("file://host/x", "names another computer; write file:///FOLDER, or the path alone"),
        (r"C:\pics", "no such folder; a path of Windows has another form here"),
        ("c:/pics", "no such folder; a path of Windows has another form here"),
        ("file:///C:/pics", "no such folder; a path of Windows has another form here"),
        (r"\\server\pics", "no such folder; a path of Windows has another form here"),
    ],
)
def test_what_names_no_folder(base: Path, text: str, problem: str) -> None:
    with pytest.raises(UsageError) as error:
        folder_of(site(text), base)
    assert problem in str(error.value)


def test_an_address_of_two_folders_is_neither(base: Path) -> None:
    (base / "aA").mkdir()
    with pytest.raises(UsageError, match=f"may be {base}/aA or {base}/a%41; write the path alone"):
        folder_of(f"file://{base}/a%41")
    assert folder_of(f"{base}/a%41") == base / "a%41"


@pytest.mark.parametrize(
    ("address", "site"),
    [
        ("https://b.test", "https://b.test"),
        ("https://b.test//", "https://b.test"),
        ("https://b.test/index.php", "https://b.test"),
        ("https://b.test/index.php?page=post&s=list&tags=all", "https://b.test"),
        ("https://b.test/index.php?page=post&s=view&id=7#comments", "https://b.test"),
        ("https://b.test/booru/index.php?page=post&s=list", "https://b.test/booru"),
        ("https://b.test/posts/123?q=x", "https://b.test"),
        ("https://b.test/posts.json?limit=3", "https://b.test"),
        ("https://b.test/myposts", "https://b.test/myposts"),
        ("https://posts/", "https://posts"),
        ("http://[bad", "http://[bad"),
    ],
)
def test_a_page_of_a_site_names_the_site(address: str, site: str) -> None:
    assert ScrapeParams(site=address).site == site


def test_a_scheme_is_written_in_any_case() -> None:
    assert ScrapeParams(site="HTTPS://b.test/").site == "https://b.test"


def test_an_address_with_a_password_is_refused_without_it() -> None:
    problem = site_problem("https://me:s3cret@b.test")
    assert problem is not None
    assert problem.startswith("an address has no user and password; ")


def test_a_search_is_named_as_such() -> None:
    address = "https://b.test/index.php?page=post&s=list&tags=solo+1girl+all"
    with pytest.raises(UsageError) as error:
        override(ScrapeParams(), {"site": address})
    assert str(error.value) == (
        f"--site: {address!r} is the address of a search; write https://b.test, and solo, 1girl in "
        "scrape.tags"
    )
