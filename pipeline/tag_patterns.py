"""Tags as params name them: in any letter case, with `*` for any letters."""

import fnmatch
import re
from collections.abc import Iterable
from functools import lru_cache

# Search terms of a site that are no tags.
_META_TAG = re.compile(
    r"~.*|(id|rating|user|score|width|height|md5|source|parent|fav|updated|date"
    # Of Danbooru 2 alone.
    r"|age|status|is|has|child|pool|filesize|filetype|mpixels|ratio|duration|upvotes|downvotes"
    r"|favcount|favgroup|tagcount|embedded|pixiv|pixiv_id|limit):.*"
)


def is_meta_tag(name: str) -> bool:
    """Return whether `name` is a search term that only the site knows the posts of."""
    return _META_TAG.fullmatch(name.lower()) is not None


class TagPatterns:
    """Matches tags against names from params, of which words that only a site knows are left out.

    A site's search knows no letter case, and neither do these.
    """

    def __init__(self, names: Iterable[str]) -> None:
        lower = {name.lower() for name in names}
        tags = {name for name in lower if not is_meta_tag(name)}
        self._patterns = {
            name: re.compile(fnmatch.translate(re.sub(r"[\[?]", r"[\g<0>]", name)))
            for name in sorted(tags)
            if "*" in name
        }
        self._plain = tags - self._patterns.keys()

    def match_any(self, tags: Iterable[str]) -> bool:
        """Return whether any name fits any of `tags`."""
        lower = {tag.lower() for tag in tags}
        return not self._plain.isdisjoint(lower) or any(
            pattern.match(tag) for pattern in self._patterns.values() for tag in lower
        )

    def missing(self, tags: Iterable[str]) -> list[str]:
        """Return the names that fit none of `tags`, sorted."""
        lower = {tag.lower() for tag in tags}
        unmatched = [
            name for name, pattern in self._patterns.items() if not any(map(pattern.match, lower))
        ]
        return sorted([*(self._plain - lower), *unmatched])


@lru_cache(maxsize=64)
def tag_patterns(names: tuple[str, ...]) -> TagPatterns:
    """Return the patterns of a param's `names`."""
    return TagPatterns(names)
