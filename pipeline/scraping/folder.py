"""A folder of the user's own pictures in place of a site: the same rules, the same set."""

import io
import os
import shutil
import warnings
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

from PIL import Image

from pipeline.errors import PipelineError, UsageError
from pipeline.files import sha256_of
from pipeline.images.collection import Picture, collect_folder
from pipeline.images.damage import check_decodes
from pipeline.machine_errors import fault_text, is_machine_fault
from pipeline.params import ScrapeParams
from pipeline.progress import Progress, Silent
from pipeline.scraping.posts import Post
from pipeline.scraping.raw_set import Entry, check_place, write_set
from pipeline.scraping.run import ScrapeReport, write_report
from pipeline.scraping.selection import PICTURE_FORMATS, check_rules, rejection

_RATING = "general"
_MOST_NAMED = 10


def gather(
    params: ScrapeParams,
    raw: Path,
    report: Path,
    progress: Progress = Silent(),  # noqa: B008
) -> ScrapeReport:
    """Fill `raw` with copies of the pictures under the folder that `params.site` names.

    At most `params.limit` of them, by relative path, that are whole and fit the rules on tags (the
    names of the folders between) and sizes; ratings are not asked for. A picture's id comes from
    its content: more pictures change no id, and no split. Raises `UsageError` where the folder
    holds no picture, `PipelineError` where none fits or the machine fails.
    """
    params = params.model_copy(update={"ratings": (_RATING,)})
    check_rules(params)
    check_place(raw)
    rejected: Counter[str] = Counter()
    pictures = collect_folder(_folder(params.site), progress)
    taken = _taken(params, pictures, rejected, progress)
    if not taken:
        reasons = ", ".join(f"{reason} {count}" for reason, count in rejected.most_common())
        raise PipelineError(
            f"{params.site}: none of {len(pictures)} pictures is accepted (rejected: {reasons}); "
            "loosen the rules in scrape"
        )
    # Copies: DVC makes the files of its outputs read-only, and these are somebody's own.
    size, _ = write_set(_entries(taken, progress), raw, shutil.copyfile)
    result = ScrapeReport(
        accepted=len(taken),
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


def _taken(
    params: ScrapeParams, pictures: list[Picture], rejected: Counter[str], progress: Progress
) -> list[tuple[Post, Path]]:
    """The accepted pictures by descending id, as a site's newest come first."""
    taken: dict[int, tuple[Post, Path]] = {}
    progress.start("checking pictures", len(pictures), "files")
    try:
        for done, (picture, post, reason) in enumerate(_verdicts(params, pictures), 1):
            if reason := "duplicates" if post.id in taken else reason:
                rejected[reason] += 1
                if reason == "undecodable" and rejected[reason] <= _MOST_NAMED:
                    progress.message(f"{picture.path}: is no whole picture, and is left out")
            else:
                taken[post.id] = (post, picture.path)
            progress.update(done, accepted=len(taken))
            if len(taken) == params.limit:
                break
    finally:
        progress.finish()
    return [taken[number] for number in sorted(taken, reverse=True)]


def _verdicts(
    params: ScrapeParams, pictures: list[Picture]
) -> Iterator[tuple[Picture, Post, str | None]]:
    """The pictures in their order, and why each is rejected, if it is.

    They are decoded side by side, no further ahead than there are threads.
    """
    workers = os.cpu_count() or 1
    pending: deque[tuple[Picture, Post, Future[str | None]]] = deque()
    # Pillow warns of damaged metadata. Around all the threads, because filters belong to the
    # process.
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(workers) as pool:
        for picture in pictures:
            post = _post(picture)
            pending.append((picture, post, pool.submit(_verdict, params, post, picture.path)))
            if len(pending) > workers:
                picture, post, future = pending.popleft()
                yield picture, post, future.result()
        for picture, post, future in pending:
            yield picture, post, future.result()


def _verdict(params: ScrapeParams, post: Post, path: Path) -> str | None:
    if reason := rejection(post, params):
        return reason
    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            check_decodes(image, data)
    except Exception as error:  # Pillow raises nearly anything on broken files
        if is_machine_fault(error):
            raise PipelineError(
                f"{path}: cannot be read or decoded: {fault_text(error)}; "
                "mend that, then run the same command again"
            ) from None
        return "undecodable"
    return None


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


def _entries(taken: list[tuple[Post, Path]], progress: Progress) -> Iterator[Entry]:
    progress.start("copying pictures", len(taken), "files")
    try:
        for done, (post, path) in enumerate(taken, 1):
            size, address = path.stat().st_size, path.resolve().as_uri()
            yield Entry(post, address, path, size, sha256_of(path), post.md5)
            progress.update(done)
    finally:
        progress.finish()
