"""Tag search of Gelbooru 0.2: plain tags, `-tag`, `id:<9`, `rating:safe`, `sort:`.

A post matches if it fits every word of the query. Words with a colon that name no field (`:d`,
`re:zero`) are plain tags, since tags may contain colons.
"""

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pipeline.booru.api_records import ServedPost, TagCount

Predicate = Callable[[ServedPost], bool]

_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
# A post without votes counts as one with a score of 0.
_NUMBERS: dict[str, Callable[[ServedPost], int]] = {
    "id": lambda post: post.id,
    "score": lambda post: post.score or 0,
    "width": lambda post: post.picture.width,
    "height": lambda post: post.picture.height,
    "parent": lambda post: post.picture.parent_id,
    "updated": lambda post: post.picture.change,
}
_NUMBER_WORD = re.compile(r"(id|score|width|height|parent):(<=|>=|<|>|)([0-9]{1,18})")
_SORT_WORD = re.compile(r"sort:(id|score|width|height|updated)(?::(asc|desc))?")


@dataclass(frozen=True)
class Query:
    """A parsed search: predicates that each match fits, and the order of the matches."""

    predicates: tuple[Predicate, ...] = ()
    sort_field: str = "id"
    descending: bool = True

    def find(self, posts: Iterable[ServedPost]) -> list[ServedPost]:
        """Return the matches in the query's order, equal ones newest first."""
        matches = [post for post in posts if all(fits(post) for fits in self.predicates)]
        matches.sort(key=_NUMBERS["id"], reverse=True)
        # The second sort is stable, also in reverse.
        matches.sort(key=_NUMBERS[self.sort_field], reverse=self.descending)
        return matches


def parse_query(text: str) -> Query:
    """Parse a search, words separated by spaces; an empty one and `all` match every post."""
    predicates: list[Predicate] = []
    sort_field, descending = "id", True
    for word in text.lower().split():
        if sort := _SORT_WORD.fullmatch(word):
            sort_field, descending = sort[1], sort[2] != "asc"
        elif word != "all":
            predicates.append(_predicate(word))
    return Query(tuple(predicates), sort_field, descending)


def find_tags(
    tags: Iterable[TagCount], tag_id: int = 0, after: int = 0, name: str = "", pattern: str = ""
) -> list[TagCount]:
    """Return the tags with this `tag_id` and `name`, ids above `after`, and like `pattern`.

    In a pattern `%` matches any text and `_` one letter; it matches any part of a name. Arguments
    that are 0 or empty restrict nothing.
    """
    like = _Wildcards(f"%{pattern}%", any_text="%", any_letter="_")
    return [
        tag
        for tag in tags
        if tag_id in (0, tag.id)
        and tag.id > after
        and name in ("", tag.name)
        and like.fits(tag.name)
    ]


def _predicate(word: str) -> Predicate:
    # The last letter of a word of hyphens is a tag.
    negations = min(len(word) - len(word.lstrip("-")), len(word) - 1)
    fits = _positive_predicate(word[negations:])
    return fits if negations % 2 == 0 else lambda post: not fits(post)


def _positive_predicate(word: str) -> Predicate:
    if number := _NUMBER_WORD.fullmatch(word):
        value, compare, bound = _NUMBERS[number[1]], _COMPARISONS[number[2]], int(number[3])
        return lambda post: compare(value(post), bound)
    field, _, text = word.partition(":")
    if field == "rating" and text:
        return lambda post: post.picture.rating.startswith(text)
    if field == "md5" and text:
        return lambda post: post.picture.md5 == text
    if "*" in word:
        pattern = _Wildcards(word, any_text="*")
        return lambda post: any(map(pattern.fits, post.tags))
    return lambda post: word in post.tags


class _Wildcards:
    """A pattern of fixed parts between wildcards for any text, of which it has one at least.

    `any_letter`: wildcard for one letter. Each part is taken where it is found first, so that time
    grows with the product of the lengths: `.*` in a regular expression would try every division of
    the text.
    """

    def __init__(self, pattern: str, any_text: str, any_letter: str = "") -> None:
        parts = [
            (re.compile("".join("." if c == any_letter else re.escape(c) for c in part)), len(part))
            for part in pattern.split(any_text)
        ]
        (self._head, self._head_length), *self._middle, (self._tail, self._tail_length) = parts

    def fits(self, text: str) -> bool:
        """Return whether all of `text` fits the pattern."""
        position, end = self._head_length, len(text) - self._tail_length
        if position > end or not self._head.match(text) or not self._tail.match(text, end):
            return False
        for part, _ in self._middle:
            found = part.search(text, position, end)
            if found is None:
                return False
            position = found.end()
        return True
