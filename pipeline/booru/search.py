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
    wildcards = {"%": ".*", "_": "."}
    like = re.compile("".join(wildcards.get(letter, re.escape(letter)) for letter in pattern))
    return [
        tag
        for tag in tags
        if tag_id in (0, tag.id)
        and tag.id > after
        and name in ("", tag.name)
        and like.search(tag.name)
    ]


def _predicate(word: str) -> Predicate:
    if word.startswith("-") and len(word) > 1:
        excluded = _predicate(word[1:])
        return lambda post: not excluded(post)
    if number := _NUMBER_WORD.fullmatch(word):
        value, compare, bound = _NUMBERS[number[1]], _COMPARISONS[number[2]], int(number[3])
        return lambda post: compare(value(post), bound)
    field, _, text = word.partition(":")
    if field == "rating" and text:
        return lambda post: post.picture.rating.startswith(text)
    if field == "md5" and text:
        return lambda post: post.picture.md5 == text
    if "*" in word:
        pattern = re.compile(".*".join(re.escape(part) for part in word.split("*")))
        return lambda post: any(pattern.fullmatch(tag) for tag in post.tags)
    return lambda post: word in post.tags
