"""The same pictures as a Danbooru 2 site: its API in JSON, and its web pages."""

import json
import re
from collections.abc import Sequence

from werkzeug.wrappers import Request, Response

from pipeline.booru.api_records import TAG_KINDS, ServedPost
from pipeline.booru.html_render import danbooru_list_page, danbooru_view_page
from pipeline.booru.search import parse_query

DEFAULT_LIMIT = 20
HARD_LIMIT = 200
MAX_PAGE = 1000
MAX_TAGS = 2
CATEGORIES = ("artist", "copyright", "character", "general", "meta")
"""Categories of tags, in the order of the site's pages."""

HIDDEN_TAG = "banned_artist"
"""Posts with this tag are listed without md5 and addresses of files, as visitors see them."""

_PREVIEW_SIDE = 180
_REMOVED = "<!DOCTYPE html>This page has been removed because of a takedown request"
_KIND_CATEGORIES = {"metadata": "meta"}
_LIST = re.compile("(id|rating):([^,]+(?:,[^,]+)+)")
_ORDER = re.compile("order:(id|score)(?:_(asc|desc))?")
_FREE_METATAG = re.compile("-?(id|rating|score|width|height|parent|md5|status):.*")


class DanbooruSite:
    """The posts of a site, each md5 once, as a Danbooru 2 site serves them.

    `originals` and `previews` are the posts, and for previews the sizes, by path of the file.
    """

    def __init__(self, posts: Sequence[ServedPost]) -> None:
        # An upload that is there already is refused, so the oldest post stays.
        unique = {post.picture.md5: post for post in sorted(posts, key=lambda post: -post.id)}
        self._posts = sorted(unique.values(), key=lambda post: post.id)
        self._by_id = {post.id: post for post in self._posts}
        visible = [post for post in self._posts if not _is_hidden(post)]
        self.originals = {_file_path(post): post for post in visible}
        self.previews = {
            _preview_path(post): (post, post.size_within(_PREVIEW_SIDE)) for post in visible
        }
        self.previews |= {
            _large_path(post): (post, post.sample_size) for post in visible if post.has_sample
        }

    def answer(self, path: str, request: Request) -> Response | None:
        """Answer a request for `path`; None where it is none of such a site's."""
        if path in ("/posts", "/posts.json"):
            return self._list(request, in_json=path.endswith(".json"))
        if path == "/counts/posts.json":
            return _json(
                {"counts": {"posts": len(self._find(request.args.get("tags", "").split()))}}
            )
        if match := re.fullmatch(r"/posts/([0-9]{1,18})(\.json)?", path):
            return self._show(int(match[1]), request, in_json=match[2] is not None)
        return None

    def _list(self, request: Request, *, in_json: bool) -> Response:
        if md5 := request.args.get("md5"):
            same = next((post for post in self._posts if post.picture.md5 == md5), None)
            return _one(same, request)
        words = request.args.get("tags", "").split()
        counted = [word for word in words if not _FREE_METATAG.fullmatch(word)]
        if len(counted) > MAX_TAGS:
            problem = f"You cannot search for more than {MAX_TAGS} tags at a time."
            return _error(422, "PostQuery::TagLimitError", problem)
        limit = _number(request.args.get("limit", ""), DEFAULT_LIMIT)
        limit = max(1, min(limit, HARD_LIMIT))
        matches = self._find(words)
        page = request.args.get("page", "1")
        if cursor := re.fullmatch("([ab])([0-9]{1,18})", page):
            posts = _page_by_id(matches, cursor[1], int(cursor[2]), limit)
        elif _number(page, 1) > MAX_PAGE:
            problem = f"You cannot go beyond page {MAX_PAGE}."
            return _error(410, "PaginationExtension::PaginationError", problem)
        else:
            first = (max(1, _number(page, 1)) - 1) * limit
            posts = matches[first : first + limit]
        if in_json:
            return _json([_record(post, request) for post in posts])
        # Pages show no thumbnail of what is hidden.
        visible = [_whole_record(post, _site(request)) for post in posts if not _is_hidden(post)]
        return _html(danbooru_list_page(visible, " ".join(words)))

    def _show(self, post_id: int, request: Request, *, in_json: bool) -> Response:
        post = self._by_id.get(post_id)
        if in_json or post is None:
            return _one(post, request)
        if _is_hidden(post):
            return _html(_REMOVED, 451)
        return _html(danbooru_view_page(_whole_record(post, _site(request)), CATEGORIES))

    def _find(self, words: Sequence[str]) -> list[ServedPost]:
        """Return the matches of a search in its order, newest first unless it says otherwise."""
        plain = [_in_gelbooru_terms(word) for word in words if not _LIST.fullmatch(word)]
        matches = parse_query(" ".join(plain)).find(self._posts)
        for field, values in (match.groups() for word in words if (match := _LIST.fullmatch(word))):
            wanted = values.split(",")
            matches = [post for post in matches if _value(post, field) in wanted]
        return matches


def _value(post: ServedPost, field: str) -> str:
    return str(post.id) if field == "id" else post.picture.rating[:1]


def _in_gelbooru_terms(word: str) -> str:
    """Return a word of a search as Gelbooru 0.2 has it: the order is called otherwise there."""
    match = _ORDER.fullmatch(word)
    if match is None:
        return word
    # Without a direction, ids ascend and all else descends.
    direction = match[2] or ("asc" if match[1] == "id" else "desc")
    return f"sort:{match[1]}:{direction}"


def _one(post: ServedPost | None, request: Request) -> Response:
    if post is None:
        return _error(404, "ActiveRecord::RecordNotFound", "That record was not found.")
    return _json(_record(post, request))


def _page_by_id(
    matches: Sequence[ServedPost], side: str, post_id: int, limit: int
) -> list[ServedPost]:
    """Return the newest posts before an id (side `b`) or the oldest after it (`a`), newest first.

    As on the site, pages by id have no other order.
    """
    newest_first = sorted(matches, key=lambda post: post.id, reverse=True)
    if side == "b":
        return [post for post in newest_first if post.id < post_id][:limit]
    return [post for post in newest_first if post.id > post_id][-limit:]


def _record(post: ServedPost, request: Request) -> dict[str, object]:
    """Return the fields of `post`, or those that `only` names."""
    record = _whole_record(post, _site(request))
    only = request.args.get("only", "")
    names = set(only.split(","))
    return {name: value for name, value in record.items() if not only or name in names}


def _site(request: Request) -> str:
    return request.host_url.rstrip("/")


def _whole_record(post: ServedPost, site: str) -> dict[str, object]:
    record = _fields_without_tags(post) | {"tag_string": " ".join(post.picture.tags)}
    for category, names in _tags_by_category(post).items():
        record[f"tag_count_{category}"] = len(names)
        record[f"tag_string_{category}"] = " ".join(names)
    if _is_hidden(post):
        return record
    return record | {
        "md5": post.picture.md5,
        "file_url": site + _file_path(post),
        "large_file_url": site + (_large_path(post) if post.has_sample else _file_path(post)),
        "preview_file_url": site + _preview_path(post),
    }


def _fields_without_tags(post: ServedPost) -> dict[str, object]:
    """Return the fields of a record but for its tags, its md5 and the addresses of its files."""
    picture = post.picture
    created_at = post.created_at.isoformat(timespec="milliseconds")
    return {
        "id": post.id,
        "created_at": created_at,
        "updated_at": created_at,
        "uploader_id": 1,
        "approver_id": None,
        "score": post.score or 0,
        "up_score": post.score or 0,
        "down_score": 0,
        "fav_count": post.favourites,
        "source": picture.source,
        "rating": picture.rating[:1],
        "image_width": picture.width,
        "image_height": picture.height,
        "file_ext": picture.extension,
        "parent_id": picture.parent_id or None,
        "has_children": False,
        "has_active_children": False,
        "has_visible_children": False,
        "has_large": post.has_sample,
        "is_pending": False,
        "is_flagged": False,
        "is_deleted": False,
        "is_banned": _is_hidden(post),
        "bit_flags": 0,
        "pixiv_id": None,
        "last_comment_bumped_at": None,
        "last_commented_at": None,
        "last_noted_at": None,
        "tag_count": len(picture.tags),
    }


def _tags_by_category(post: ServedPost) -> dict[str, list[str]]:
    tags: dict[str, list[str]] = {category: [] for category in CATEGORIES}
    for tag in post.picture.tags:
        kind = TAG_KINDS.get(tag, "general")
        tags[_KIND_CATEGORIES.get(kind, kind)].append(tag)
    return tags


def _is_hidden(post: ServedPost) -> bool:
    return HIDDEN_TAG in post.tags


def _file_path(post: ServedPost) -> str:
    md5 = post.picture.md5
    return f"/original/{md5[:2]}/{md5[2:4]}/{md5}.{post.picture.extension}"


def _large_path(post: ServedPost) -> str:
    md5 = post.picture.md5
    return f"/sample/{md5[:2]}/{md5[2:4]}/sample-{md5}.jpg"


def _preview_path(post: ServedPost) -> str:
    md5 = post.picture.md5
    return f"/180x180/{md5[:2]}/{md5[2:4]}/{md5}.jpg"


def _html(text: str, status: int = 200) -> Response:
    return Response(text, status, content_type="text/html; charset=utf-8")


def _json(answer: object, status: int = 200) -> Response:
    return Response(json.dumps(answer), status, content_type="application/json; charset=utf-8")


def _error(status: int, name: str, message: str) -> Response:
    answer = {"success": False, "error": name, "message": message, "backtrace": []}
    return _json(answer, status)


def _number(text: str, default: int) -> int:
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else default
