"""The embedded booru: a WSGI application that serves pictures by the Gelbooru 0.2 protocol.

It reproduces the oddities of safebooru.org, so that clients written for such sites work with it
unchanged: JSON has the type `text/html`, a page without posts is an empty body, and an error is XML
with status 200 even where JSON was requested. The same pictures are also those of a Danbooru 2
site, at that site's own addresses.
"""

import io
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from PIL import Image
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.utils import redirect, send_file
from werkzeug.wrappers import Request, Response

from pipeline.booru.api_records import ServedPost, TagCount, json_body
from pipeline.booru.danbooru_site import DanbooruSite
from pipeline.booru.html_render import (
    comments_xml,
    error_xml,
    list_page,
    posts_xml,
    tags_xml,
    view_page,
)
from pipeline.booru.search import find_tags, parse_query
from pipeline.images.collection import BooruPicture
from pipeline.images.opening import open_image_file

DEFAULT_LIMIT = 100
HARD_LIMIT = 1000
MAX_OFFSET = 200_000

_ROBOTS = "User-agent: *\nDisallow:\n"
_MIME_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
}
_LIST_ADDRESS = "index.php?page=post&s=list&tags=all"


class Site:
    """A Gelbooru 0.2 and Danbooru 2 site with `pictures`, as a WSGI application."""

    def __init__(self, pictures: Sequence[BooruPicture]) -> None:
        self._posts = [ServedPost(picture) for picture in pictures]
        self._by_id = {post.id: post for post in self._posts}
        counts = Counter(tag for post in self._posts for tag in post.tags)
        self._tags = {
            name: TagCount(tag_id, name, counts[name])
            for tag_id, name in enumerate(sorted(counts), start=1)
        }
        # Clients can request only these paths: none is looked up in the file system.
        self._originals = {post.file_path: post for post in self._posts}
        self._previews = {post.preview_path: (post, post.preview_size) for post in self._posts}
        self._previews |= {
            post.sample_path: (post, post.sample_size) for post in self._posts if post.has_sample
        }
        self._danbooru = DanbooruSite(self._posts)
        self._originals |= self._danbooru.originals
        self._previews |= self._danbooru.previews

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        try:
            answer: WSGIApplication = self._answer(request)
        except HTTPException as error:
            answer = error
        return answer(environ, start)

    def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(("GET", "HEAD"))
        path = re.sub("/+", "/", request.path)
        if path in ("/", "/index.php"):
            return self._index(request)
        if path == "/robots.txt":
            return Response(_ROBOTS, mimetype="text/plain")
        if (answer := self._danbooru.answer(path, request)) is not None:
            return answer
        if post := self._originals.get(path):
            return _original(post, request)
        if preview := self._previews.get(path):
            return _preview(*preview)
        raise NotFound

    def _index(self, request: Request) -> Response:
        page = request.args.get("page", "post")
        kind = request.args.get("s", "post" if page == "dapi" else "list")
        match page, kind:
            case "dapi", "post":
                return self._api_posts(request)
            case "dapi", "tag":
                return self._api_tags(request)
            case "dapi", "comment":
                return _xml(comments_xml())
            case "post", "list":
                return self._list(request)
            case "post", "view":
                return self._view(request)
            case "post", "random":
                return redirect(f"index.php?page=post&s=view&id={secrets.choice(self._posts).id}")
        raise NotFound

    def _api_posts(self, request: Request) -> Response:
        limit = min(_number(request, "limit", DEFAULT_LIMIT), HARD_LIMIT)
        offset = _number(request, "pid", 0) * limit
        if offset > MAX_OFFSET:
            return _xml(error_xml("Search error: API limited due to abuse."))
        matches = self._find(request)
        page, site = matches[offset : offset + limit], request.host_url.rstrip("/")
        if request.args.get("json") == "1":
            return _html(json_body(page, site))
        return _xml(posts_xml(page, len(matches), offset, site))

    def _find(self, request: Request) -> list[ServedPost]:
        matches = parse_query(request.args.get("tags", "")).find(self._posts)
        # Clients send 0 for parameters that they do not use.
        if post_id := _number(request, "id", 0):
            matches = [post for post in matches if post.id == post_id]
        if change := _number(request, "cid", 0):
            matches = [post for post in matches if post.picture.change == change]
        return matches

    def _api_tags(self, request: Request) -> Response:
        """Answer with tags in XML, as the site does even where JSON is requested."""
        limit = min(_number(request, "limit", DEFAULT_LIMIT), HARD_LIMIT)
        first = _number(request, "pid", 0) * limit
        matches = find_tags(
            self._tags.values(),
            tag_id=_number(request, "id", 0),
            after=_number(request, "after_id", 0),
            name=request.args.get("name", ""),
            pattern=request.args.get("name_pattern", ""),
        )
        return _xml(tags_xml(matches[first : first + limit]))

    def _list(self, request: Request) -> Response:
        query = request.args.get("tags", "")
        matches = parse_query(query).find(self._posts)
        pid = _number(request, "pid", 0)
        return _html(list_page(matches, query, pid, self._tags, request.host))

    def _view(self, request: Request) -> Response:
        post = self._by_id.get(_number(request, "id", 0))
        if post is None:
            return redirect(_LIST_ADDRESS)
        return _html(view_page(post, self._tags, request.host))


def _number(request: Request, name: str, default: int) -> int:
    """Return a number of the query string, `default` where it is missing or no number."""
    text = request.args.get(name, "")
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else default


def _html(text: str) -> Response:
    return Response(text, content_type="text/html; charset=UTF-8")


def _xml(text: str) -> Response:
    return Response(text, content_type="text/xml;charset=UTF-8")


def _original(post: ServedPost, request: Request) -> Response:
    mime_type = _MIME_TYPES.get(post.picture.extension, "application/octet-stream")
    try:
        return send_file(
            post.picture.path, request.environ, mimetype=mime_type, download_name=post.image
        )
    except OSError as error:
        raise NotFound from error


def _preview(post: ServedPost, size: tuple[int, int]) -> Response:
    """Answer with the picture resized to `size`, as a JPEG on white."""
    try:
        with open_image_file(post.picture.path) as image:
            image.draft("RGB", size)
            small = image.convert("RGBA").resize(size, Image.Resampling.LANCZOS)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise NotFound from error
    flat = Image.new("RGB", size, "white")
    flat.paste(small, mask=small.getchannel("A"))
    body = io.BytesIO()
    flat.save(body, "JPEG", quality=85)
    return Response(body.getvalue(), mimetype="image/jpeg")
