"""Params of the scrape stage."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from pipeline.params.section import MAX_DECODED_PIXELS, Names, Section, problem_at
from pipeline.params.site import as_text, is_folder, search_in, site_address, site_problem
from pipeline.tag_patterns import is_meta_tag, tag_patterns

MAX_WAIT = 3600.0
"""Seconds: a mistyped interval or timeout must not look like a program that hangs."""


class ScrapeParams(Section):
    """Which pictures `pipeline scrape` fetches, and how."""

    site: str = Field(
        "https://safebooru.org",
        description="address of a Gelbooru 0.2 or Danbooru 2 site, or the folder of pictures of "
        "your own: its path, from the project's folder or absolute, or file:///FOLDER",
    )
    form: Literal["auto", "gelbooru02", "danbooru2"] = Field(
        "auto",
        description="what kind of site it is; auto: that of a site that is known by its address, "
        "gelbooru02 of any other",
    )
    tags: Names = Field(
        (), description="tags that every picture must have; * stands for any letters"
    )
    excluded_tags: Names = Field(
        ("animated", "lowres", "jpeg_artifacts"),
        description="tags that no picture may have; * stands for any letters",
    )
    ratings: Names = Field(
        ("general", "safe"),
        description="accepted ratings, of general, safe, sensitive, questionable and explicit; "
        "Danbooru 2 sites have no safe, and what they call sensitive is not general",
    )
    listing: Literal["auto", "json", "xml", "html"] = Field(
        "auto",
        description="how posts are listed: by the API in JSON or XML, or from web pages, with two "
        "or more requests per post; auto: the first of these that the site offers",
    )
    min_score: int | None = Field(
        None, ge=-(10**9), le=10**9, description="least score (votes) of a post; null: any"
    )
    limit: int = Field(18_000, ge=1, description="number of pictures to accept")
    until: int | None = Field(
        None,
        ge=1,
        le=2**63 - 2,
        description="largest id of a post that is accepted, so that two people get the same posts; "
        "each scrape reports its own; null: none",
    )
    min_side: int = Field(512, ge=1, description="smallest length of the shorter side, pixels")
    max_aspect: float = Field(
        2.5, ge=1, description="largest ratio of the longer to the shorter side"
    )
    max_pixels: int = Field(
        50_000_000, ge=1, le=MAX_DECODED_PIXELS, description="largest width × height, pixels"
    )
    max_bytes: int = Field(67_108_864, ge=1, description="largest size of a file, bytes")
    file_types: Names = Field(
        (),
        description="accepted kinds of files, as file name extensions; none named: jpg, jpeg, png "
        "and webp of a site, all that are read of a folder",
    )
    md5: Literal["keep", "refuse"] = Field(
        "refuse",
        description="what to do with files that differ from the announced md5 in each of three "
        "downloads; keep: accept them; refuse: take older posts instead",
    )
    disallowed_header_directives: Names = Field(
        ("noai", "noimageai", "noindex", "noimageindex"),
        description="directives of X-Robots-Tag headers, as in img2dataset; files that are sent "
        "with one of them are not accepted",
    )
    page_size: int = Field(1000, ge=1, le=1000, description="posts per API request")
    api_interval: float = Field(
        1.0, ge=0, le=MAX_WAIT, description="least time between API requests, seconds"
    )
    file_interval: float = Field(
        0.1,
        ge=0,
        le=MAX_WAIT,
        description="least time between the starts of two file requests, seconds",
    )
    workers: int = Field(4, ge=1, le=32, description="concurrent downloads")
    retries: int = Field(5, ge=0, le=100, description="further attempts of a request that failed")
    timeout: float = Field(
        30.0,
        gt=0,
        le=MAX_WAIT,
        description="time without an answer after which a request fails, seconds",
    )
    contact: str = Field(
        "",
        pattern=r"^[^\r\n]*$",
        description="your e-mail address or URL, sent to the site in the user agent",
    )

    @field_validator("site", mode="before")
    @classmethod
    def _text(cls, site: object) -> object:
        return as_text(site) if isinstance(site, str) else site

    @field_validator("site")
    @classmethod
    def _before_index(cls, site: str) -> str:
        if (problem := site_problem(site)) is not None:
            raise problem_at((), problem)
        if is_folder(site):
            return site
        if tags := search_in(site):
            raise problem_at(
                (),
                f"{site!r} is the address of a search; write {site_address(site)}, and "
                f"{', '.join(tags)} in scrape.tags",
            )
        return site_address(site)

    @model_validator(mode="after")
    def _check_sides_fit_pixels(self) -> "ScrapeParams":
        if self.min_side**2 > self.max_pixels:
            raise problem_at(
                ("min_side",),
                f"no picture with sides of {self.min_side} pixels has at most scrape.max_pixels "
                f"{self.max_pixels}; lower it, or raise max_pixels",
            )
        return self

    @model_validator(mode="after")
    def _check_no_tag_required_and_excluded(self) -> "ScrapeParams":
        excluded = tag_patterns(self.excluded_tags)
        names = [name for name in self.tags if not is_meta_tag(name)]
        if both := sorted(name for name in names if excluded.match_any((name,))):
            raise problem_at(
                ("excluded_tags",),
                f"{', '.join(both)} is in scrape.tags too, so no picture fits; remove it from one "
                "of the two",
            )
        return self
