"""Params of the scrape stage."""

from typing import Literal

from pydantic import Field

from pipeline.params.section import Names, Section


class ScrapeParams(Section):
    site: str = Field(
        "https://safebooru.org",
        pattern=r"^(https?://[^/\s]+(/\S*)?|file://\S+)$",
        description="address of a Gelbooru 0.2 site, or file:///FOLDER for pictures of your own",
    )
    tags: Names = Field((), description="tags that every picture must have")
    excluded_tags: Names = Field(
        ("animated", "lowres", "jpeg_artifacts"), description="tags that no picture may have"
    )
    ratings: Names = Field(("general", "safe"), description="ratings that are taken")
    listing: Literal["auto", "json", "xml", "html"] = Field(
        "auto",
        description="how posts are listed: by the API in JSON or XML, or from web pages, two "
        "requests or more a post; auto: the first of them that the site gives",
    )
    limit: int = Field(18_000, ge=1, description="pictures accepted before the stage ends")
    min_side: int = Field(512, ge=1, description="shortest side that is taken, pixels")
    max_aspect: float = Field(2.5, ge=1, description="longest side over shortest side, at most")
    max_pixels: int = Field(50_000_000, ge=1, description="width × height, at most, pixels")
    max_bytes: int = Field(67_108_864, ge=1, description="size of one file, at most, bytes")
    file_types: Names = Field(("jpg", "jpeg", "png", "webp"), description="file name endings taken")
    md5: Literal["keep", "refuse"] = Field(
        "refuse",
        description="files that still differ from the announced md5 when they were asked for three "
        "times: keep: taken; refuse: replaced by older posts",
    )
    page_size: int = Field(1000, ge=1, le=1000, description="posts asked for in one API request")
    api_interval: float = Field(1.0, ge=0, description="least time between API requests, seconds")
    file_interval: float = Field(
        0.1, ge=0, description="least time between the starts of two file requests, seconds"
    )
    workers: int = Field(4, ge=1, le=32, description="downloads at the same time")
    retries: int = Field(5, ge=0, description="further tries of a request that failed")
    timeout: float = Field(30.0, gt=0, description="longest silence of the server, seconds")
    contact: str = Field(
        "", pattern=r"^[^\r\n]*$", description="e-mail or URL told to the site in the user agent"
    )
