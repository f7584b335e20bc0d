"""Scrape a folder of the user's own pictures instead of a site: same rules, same raw set."""

import shutil
import warnings
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.errors import PipelineError, UsageError
from pipeline.files import sha256_of
from pipeline.images.collection import BooruPicture, collect_folder
from pipeline.images.damage import check_decodes
from pipeline.images.opening import open_image
from pipeline.machine_limits import usable_cores
from pipeline.params import ScrapeParams
from pipeline.progress import Progress, Silent
from pipeline.scraping.download import raise_machine_fault
from pipeline.scraping.posts import Post
from pipeline.scraping.raw_set import SetEntry, try_replacing, write_set
from pipeline.scraping.run import ScrapeReport, write_report
from pipeline.scraping.selection import PICTURE_FORMATS, check_rules, rejection_reason

_RATING = "general"
_MAX_NAMED = 10


def scrape_folder(
    params: ScrapeParams,
    raw: Path,
    report: Path,
    progress: Progress = Silent(),
) -> ScrapeReport:
    """Fill `raw` with copies of the pictures under the folder that `params.site` names.

    Takes the first `params.limit` by relative path that can be decoded and fit the rules on sizes
    and tags (the names of their folders); `ratings` and `min_score` are ignored. Ids come from the
    contents, so that more pictures change no id, and no split. Raises `UsageError` where the folder
    holds no picture, `PipelineError` where none fits or a file cannot be read.
    """
    params = params.model_copy(update={"ratings": (_RATING,), "min_score": None})
    check_rules(params)
    try_replacing(raw)
    rejected: Counter[str] = Counter()
    pictures = collect_folder(_folder(params.site), progress)
    accepted = _select(params, pictures, rejected, progress)
    if not accepted:
        reasons = ", ".join(f"{reason} {count}" for reason, count in rejected.most_common())
        raise PipelineError(
            f"{params.site}: none of {len(pictures)} pictures is accepted (rejected: {reasons}); "
            "loosen the rules in scrape"
        )
    # Copies, since DVC makes the files of its outputs read-only, and these are the user's own.
    size, _ = write_set(_set_entries(accepted, progress), raw, shutil.copyfile)
    result = ScrapeReport(
        accepted=len(accepted),
        listed=len(pictures),
        bytes=size,
        md5_mismatches=0,
        rejected=dict(rejected),
        failed={},
    )
    write_report(report, result)
    return result


def _folder(site: str) -> Path:
    parts = urlsplit(site)
    if parts.netloc not in ("", "localhost"):
        raise UsageError(f"scrape.site: {site!r} names another computer; write file:///FOLDER")
    return Path(unquote(parts.path))


def _select(
    params: ScrapeParams, pictures: list[BooruPicture], rejected: Counter[str], progress: Progress
) -> list[tuple[Post, Path]]:
    """Return the accepted pictures by descending id, as a site lists its newest posts first.

    Adds the others to `rejected`, by reason.
    """
    accepted: dict[int, tuple[Post, Path]] = {}
    progress.start("checking pictures", len(pictures), "files")
    try:
        for done, (picture, post, reason) in enumerate(_check_pictures(params, pictures), 1):
            if reason := "duplicates" if post.id in accepted else reason:
                rejected[reason] += 1
                if reason == "undecodable" and rejected[reason] <= _MAX_NAMED:
                    progress.message(f"{picture.path}: cannot be decoded, and is left out")
            else:
                accepted[post.id] = (post, picture.path)
            progress.update(done, accepted=len(accepted))
            if len(accepted) == params.limit:
                break
    finally:
        progress.finish()
    return [accepted[post_id] for post_id in sorted(accepted, reverse=True)]


def _check_pictures(
    params: ScrapeParams, pictures: list[BooruPicture]
) -> Iterator[tuple[BooruPicture, Post, str | None]]:
    """Yield each picture, its post, and the reason to reject it or None, in order.

    Decodes in as many threads as there are CPUs, at most so many pictures ahead.
    """
    workers = usable_cores()
    pending: deque[tuple[BooruPicture, Post, Future[str | None]]] = deque()
    # Pillow warns of damaged metadata. Filters belong to the process, so they enclose all threads.
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(workers) as pool:
        for picture in pictures:
            post = _post(picture)
            future = pool.submit(_rejection_reason, params, post, picture.path)
            pending.append((picture, post, future))
            if len(pending) > workers:
                yield _checked(*pending.popleft())
        yield from (_checked(*entry) for entry in pending)


def _checked(
    picture: BooruPicture, post: Post, reason: Future[str | None]
) -> tuple[BooruPicture, Post, str | None]:
    return picture, post, reason.result()


def _rejection_reason(params: ScrapeParams, post: Post, path: Path) -> str | None:
    if reason := rejection_reason(post, params):
        return reason
    try:
        data = path.read_bytes()
        with open_image(data) as image:
            check_decodes(image, data)
    except Exception as error:  # Pillow raises nearly anything on broken files
        raise_machine_fault(error, path)
        return "undecodable"
    return None


def _post(picture: BooruPicture) -> Post:
    return Post(
        id=int(picture.md5[:15], 16),
        width=picture.width,
        height=picture.height,
        file_url=_path_by_format(picture).resolve().as_uri(),
        md5=picture.md5,
        rating=_RATING,
        tags=tuple(sorted(picture.tags)),
        source=picture.source,
        parent_id=0,
    )


def _path_by_format(picture: BooruPicture) -> Path:
    """Return the picture's path, its extension corrected where it names another format."""
    named_format = PICTURE_FORMATS.get(picture.path.suffix.lower().lstrip("."))
    if named_format == PICTURE_FORMATS[picture.extension]:
        return picture.path
    return picture.path.with_suffix(f".{picture.extension}")


def _set_entries(accepted: list[tuple[Post, Path]], progress: Progress) -> Iterator[SetEntry]:
    progress.start("copying pictures", len(accepted), "files")
    try:
        for done, (post, path) in enumerate(accepted, 1):
            size, address = path.stat().st_size, path.resolve().as_uri()
            yield SetEntry(post, address, path, size, sha256_of(path), post.md5)
            progress.update(done)
    finally:
        progress.finish()
