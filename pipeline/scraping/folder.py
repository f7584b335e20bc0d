"""Scrape a folder of the user's own pictures instead of a site: same rules, same raw set."""

import errno
import hashlib
import os
import warnings
from collections import Counter, deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from pipeline.errors import PipelineError, UsageError, some_of
from pipeline.images.collection import folder_tags, header_tags
from pipeline.images.decode import ImageRefused, decode, decoding, frame_count, opened
from pipeline.images.folders import FolderContents, find_pictures, path_text
from pipeline.images.suffixes import fitting_suffix
from pipeline.machine_limits import available_memory, usable_cores
from pipeline.params import ScrapeParams
from pipeline.params.section import MAX_DECODED_PIXELS
from pipeline.params.site import folder_of
from pipeline.progress import Progress, Silent, task
from pipeline.scraping.download import raise_machine_fault
from pipeline.scraping.posts import Post
from pipeline.scraping.raw_set import SetEntry, copy_file, reported, try_replacing, write_set
from pipeline.scraping.run import ScrapeReport, write_report
from pipeline.scraping.selection import PICTURE_FORMATS, check_rules, rejection_reason
from pipeline.scraping.sites import did_you_mean_site
from pipeline.wording import counted

_RATING = "general"
_MAX_NAMED = 10
_BYTES_PER_PIXEL = 36
"""What decoding takes at most: 34 of WebP with alpha, 30 of PNG of 16 bits, 10 to 21 of JPEG"""
# What is behind transparent parts does not matter here.
_BACKGROUND = "#ffffff"
_REASONS = {"animated": "animated", "too_many_pixels": "max_pixels", "unsupported": "unsupported"}
"""Counted as, by the reason of `ImageRefused`; any other counts as undecodable"""
_OF_SITES = ("ratings", "min_score", "until")
"""Params of posts, which the pictures of a folder are not."""
_NAMED_REASONS = ("undecodable", "unsupported", "unreadable")
# Errors that say nothing of the disk, nor of other files.
_OF_ONE_FILE = (
    *(errno.EACCES, errno.EPERM),
    *(errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ESTALE),
)


@dataclass(frozen=True)
class _Checked:
    """A file, its post where it is a picture, and why it is rejected; `text` is for messages.

    `entry` is there where it is accepted: all of it is of the bytes that were decoded. `has_more`:
    the file holds further pictures.
    """

    path: Path
    post: Post | None = None
    reason: str | None = None
    text: str = ""
    entry: SetEntry | None = None
    has_more: bool = False


def scrape_folder(
    params: ScrapeParams,
    raw: Path,
    report: Path,
    progress: Progress = Silent(),
    project: Path = Path(),
    other_results: Collection[Path] = (),
) -> ScrapeReport:
    """Fill `raw` with copies of the pictures under the folder that `params.site` names.

    Takes all that can be decoded and fit the rules on sizes, types and tags (the names of their
    folders), up to `params.limit`: of more files a sample, the same each time; fewer are no error.
    Ratings are ignored. Ids come from the contents, so that more pictures change no id, and no
    split. `project` is the folder where relative paths begin; what stages have written to
    `other_results`, its folders, is left out. Raises `UsageError` where the folder
    holds no picture, `PipelineError` where none fits, where a file changes meanwhile, or where the
    machine fails.
    """
    check_rules(params)
    for line in _unused_params(params):
        progress.message(line)
    params = _folder_rules(params)
    folder = _folder_apart(params.site, project, raw)
    try_replacing(raw)
    contents = find_pictures(folder, raw, other_results)
    rejected = _report_left_out(contents, progress)
    accepted = _select(params, contents, rejected, progress)
    if not accepted:
        raise _nothing_accepted(folder, rejected)
    if len(accepted) < params.limit:
        progress.message(
            f"{path_text(folder)}: {counted(len(accepted), 'picture')} fit, fewer than "
            f"scrape.limit {params.limit}; all are taken"
        )
    # Copies, since DVC makes the files of its outputs read-only, and these are the user's own.
    entries = reported(accepted, len(accepted), progress)
    size, _ = write_set(entries, raw, copy_file)
    result = ScrapeReport(
        accepted=len(accepted),
        listed=len(contents.pictures) + rejected["unread_format"],
        bytes=size,
        md5_mismatches=None,
        rejected=dict(rejected),
        failed={},
    )
    write_report(report, result)
    return result


def _folder_apart(site: str, project: Path, raw: Path) -> Path:
    """Return the folder that `site` names. Raises `UsageError` where that is `raw`, too."""
    folder = site_folder(site, project)
    if folder.resolve() == raw.resolve():
        raise UsageError(
            f"scrape.site: {path_text(folder)}: is the folder that the set is written to; move the "
            "pictures to another one"
        )
    return folder


def site_folder(site: str, project: Path) -> Path:
    """Return the folder that `site` names. Raises `UsageError` where there is none."""
    try:
        return folder_of(site, project)
    except UsageError as error:
        raise UsageError(f"{error}{did_you_mean_site(site)}") from None


def _unused_params(params: ScrapeParams) -> list[str]:
    """Return a line that names the rules that are set and that only posts of a site can fit."""
    unset = ScrapeParams()
    names = [name for name in _OF_SITES if getattr(params, name) != getattr(unset, name)]
    rules = ", ".join(f"scrape.{name}" for name in names)
    return [f"note: {rules}: without effect on a folder"] if names else []


def _folder_rules(params: ScrapeParams) -> ScrapeParams:
    """Return the rules of a folder: no ratings, no scores, and types by all their extensions."""
    formats = {PICTURE_FORMATS[name] for name in params.file_types or PICTURE_FORMATS}
    types = tuple(name for name, format in PICTURE_FORMATS.items() if format in formats)
    return params.model_copy(update={"ratings": (_RATING,), "min_score": None, "file_types": types})


def _report_left_out(contents: FolderContents, progress: Progress) -> Counter[str]:
    """Report what in the folder is no picture that can be read; return counts by reason.

    Raises `UsageError` where nothing remains.
    """
    for line in (*contents.left_out_lines(), *contents.unreadable, *contents.count_lines()):
        progress.message(line)
    if not contents.pictures:
        raise UsageError(
            f"scrape.site: {path_text(contents.folder)}: holds no picture that can be read; name a "
            "folder with pictures"
        )
    counts = {"unread_format": contents.unread, "unreadable": len(contents.unreadable)}
    return Counter({reason: count for reason, count in counts.items() if count})


def _nothing_accepted(folder: Path, rejected: Counter[str]) -> PipelineError:
    reasons = ", ".join(f"{reason} {count}" for reason, count in rejected.most_common())
    largest = rejected.most_common(1)[0][0]
    is_rule = largest in ScrapeParams.model_fields
    advice = f"change scrape.{largest}" if is_rule else "name a folder with other pictures"
    return PipelineError(
        f"{path_text(folder)}: no picture is accepted (rejected: {reasons}); {advice}"
    )


def _select(
    params: ScrapeParams, contents: FolderContents, rejected: Counter[str], progress: Progress
) -> list[SetEntry]:
    """Return the accepted pictures by descending id, as a site lists its newest posts first.

    Adds the others to `rejected`, by reason.
    """
    paths = contents.pictures
    if len(paths) > params.limit:
        progress.message(
            f"{len(paths)} files, more than scrape.limit {params.limit}: checked in a mixed order, "
            "the same each time, until so many fit"
        )
        paths = sorted(paths, key=lambda path: _draw(contents.folder, path))
    accepted: dict[int, SetEntry] = {}
    of_several: list[str] = []
    with task(progress, "checking pictures", len(paths), "files"):
        for done, one in enumerate(_check_pictures(params, contents.folder, paths), 1):
            is_duplicate = one.post is not None and one.post.id in accepted
            if reason := "duplicates" if is_duplicate else one.reason:
                rejected[reason] += 1
                if reason in _NAMED_REASONS and rejected[reason] <= _MAX_NAMED:
                    progress.message(f"{path_text(one.path)}: {one.text}; left out")
            elif one.entry is not None:
                accepted[one.entry.post.id] = one.entry
                if one.has_more:
                    of_several.append(path_text(one.path.relative_to(contents.folder)))
            progress.update(done, accepted=len(accepted))
            if len(accepted) == params.limit:
                break
    if of_several:
        progress.message(
            f"{path_text(contents.folder)}: of files that hold further pictures, such as pages, "
            f"the first is taken: {some_of(of_several)}"
        )
    return [accepted[post_id] for post_id in sorted(accepted, reverse=True)]


def _draw(folder: Path, path: Path) -> bytes:
    """Return a key by which files of all subfolders are mixed, the same in every run."""
    return hashlib.sha256(os.fsencode(path.relative_to(folder).as_posix())).digest()


def _check_pictures(params: ScrapeParams, folder: Path, paths: list[Path]) -> Iterator[_Checked]:
    """Check the files in order, in as many threads as CPUs and memory allow, so many ahead."""
    most_bytes = params.max_bytes + params.max_pixels * _BYTES_PER_PIXEL
    workers = max(1, min(usable_cores(), available_memory() // most_bytes))
    pending: deque[Future[_Checked]] = deque()
    # Pillow warns of damaged metadata. Filters belong to the process, so they enclose all threads.
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(workers) as pool:
        for path in paths:
            pending.append(pool.submit(_checked, params, folder, path))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _checked(params: ScrapeParams, folder: Path, path: Path) -> _Checked:
    """Read one file, and decode it where it fits the rules. Raises `PipelineError` for faults."""
    post = None
    try:
        if path.stat().st_size > params.max_bytes:
            return _Checked(path, reason="max_bytes")
        data = path.read_bytes()
        with opened(data, MAX_DECODED_PIXELS) as image, decoding():
            post = _post(image, data, folder, path)
            is_animated = frame_count(image) > 1
            has_more = _has_more(image)
        if reason := "animated" if is_animated else rejection_reason(post, params):
            return _Checked(path, post, reason)
        decode(data, params.max_pixels, _BACKGROUND)
        return _Checked(path, post, entry=_entry(post, path, data), has_more=has_more)
    except ImageRefused as refused:
        reason = _REASONS.get(refused.reason, "undecodable")
        return _Checked(path, post, reason, f"cannot be decoded: {refused.text}")
    except (MemoryError, OSError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno in _OF_ONE_FILE:
            return _Checked(path, post, "unreadable", f"cannot be read: {error.strerror}")
        raise_machine_fault(error, path)
        raise


def _has_more(image: Image.Image) -> bool:
    """Return whether further pictures follow the first one; False where that is damaged."""
    with suppress(ImageRefused), decoding():
        return int(getattr(image, "n_frames", 1)) > 1
    return False


def _post(image: Image.Image, data: bytes, folder: Path, path: Path) -> Post:
    """Return the post of a picture; its address only has the extension of the picture's format."""
    relative = path.relative_to(folder)
    format = "JPEG" if image.format == "MPO" else str(image.format)
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return Post(
        id=int(md5[:15], 16),
        width=image.width,
        height=image.height,
        file_url=f"file{fitting_suffix(path.suffix, format)}",
        md5=md5,
        rating=_RATING,
        tags=tuple(sorted(folder_tags(relative).union(header_tags(image)))),
        source=path_text(relative),
        parent_id=0,
    )


def _entry(post: Post, path: Path, data: bytes) -> SetEntry:
    address = path.resolve().as_uri()
    sha256 = hashlib.sha256(data).hexdigest()
    return SetEntry(replace(post, file_url=address), address, path, len(data), sha256, post.md5)
