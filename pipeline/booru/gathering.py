"""A folder of the user's own pictures in place of a site: the same rules, the same set."""

import json
import shutil
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.booru.collection import Picture, collect_folder
from pipeline.booru.posts import Post
from pipeline.booru.rawset import Entry, write_set
from pipeline.booru.scraping import ScrapeReport
from pipeline.booru.selection import PICTURE_FORMATS, check_rules, rejection
from pipeline.errors import PipelineError, UsageError
from pipeline.files import sha256_of, write_text
from pipeline.params import ScrapeParams
from pipeline.progress import Progress, Silent

_RATING = "general"


def gather(
    params: ScrapeParams,
    raw: Path,
    report: Path,
    progress: Progress = Silent(),  # noqa: B008
) -> ScrapeReport:
    """Fill `raw` with copies of the pictures under the folder that `params.site` names.

    At most `params.limit` of them, by relative path, that fit the rules on tags (the names of the
    folders between) and sizes; ratings are not asked for. A picture's id comes from its content:
    more pictures change no id, and no split. Raises `UsageError` where the folder holds no
    picture, `PipelineError` where none fits or nothing can be written.
    """
    params = params.model_copy(update={"ratings": (_RATING,)})
    check_rules(params)
    rejected: Counter[str] = Counter()
    pictures = collect_folder(_folder(params.site), progress)
    taken = _taken(params, pictures, rejected)
    if not taken:
        reasons = ", ".join(f"{reason} {count}" for reason, count in rejected.most_common())
        raise PipelineError(
            f"{params.site}: none of {len(pictures)} pictures is accepted (rejected: {reasons}); "
            "loosen the rules in scrape"
        )
    try:
        # Copies: DVC makes the files of its outputs read-only, and these are somebody's own.
        with closing(_entries(taken, progress)) as entries:
            size, _ = write_set(entries, raw, shutil.copyfile)
        result = ScrapeReport(
            accepted=len(taken),
            listed=len(pictures),
            bytes=size,
            md5_mismatches=0,
            rejected=dict(rejected),
            failed={},
        )
        write_text(report, json.dumps(asdict(result), indent=2, sort_keys=True) + "\n")
    except OSError as error:
        raise PipelineError(f"{raw}, {report}: cannot be written: {error}") from None
    return result


def _folder(site: str) -> Path:
    parts = urlsplit(site)
    if parts.netloc not in ("", "localhost"):
        raise UsageError(f"scrape.site: {site!r} names another computer; write file:///FOLDER")
    return Path(unquote(parts.path))


def _taken(
    params: ScrapeParams, pictures: list[Picture], rejected: Counter[str]
) -> list[tuple[Post, Path]]:
    """The accepted pictures by descending id, as a site's newest come first."""
    taken: dict[int, tuple[Post, Path]] = {}
    for picture in pictures:
        if len(taken) == params.limit:
            break
        post = _post(picture)
        reason = "duplicates" if post.id in taken else rejection(post, params)
        if reason:
            rejected[reason] += 1
        else:
            taken[post.id] = (post, picture.path)
    return [taken[number] for number in sorted(taken, reverse=True)]


def _post(picture: Picture) -> Post:
    return Post(
        id=int(picture.md5[:15], 16),
        width=picture.width,
        height=picture.height,
        file_url=_named_rightly(picture).resolve().as_uri(),
        md5=picture.md5,
        rating=_RATING,
        tags=tuple(sorted(picture.tags)),
        source=picture.source,
        parent_id=0,
    )


def _named_rightly(picture: Picture) -> Path:
    """The picture's path, with the ending of what it is where its own tells something else."""
    told = PICTURE_FORMATS.get(picture.path.suffix.lower().lstrip("."))
    right = told == PICTURE_FORMATS[picture.extension]
    return picture.path if right else picture.path.with_suffix(f".{picture.extension}")


def _entries(taken: list[tuple[Post, Path]], progress: Progress) -> Generator[Entry]:
    progress.start("copying pictures", len(taken), "files")
    try:
        for done, (post, path) in enumerate(taken, 1):
            size, address = path.stat().st_size, path.resolve().as_uri()
            yield Entry(post, address, path, size, sha256_of(path), post.md5)
            progress.update(done)
    finally:
        progress.finish()
