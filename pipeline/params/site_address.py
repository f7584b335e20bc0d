"""The address of a site, from one that was copied from a browser."""

import re
from urllib.parse import parse_qs, urlsplit

# Pages of Gelbooru and Danbooru sites.
_PAGE = re.compile(r"(?<![/:])/+(index\.php|posts(/[0-9]*)?(\.json)?)?$")


def site_address(address: str) -> str:
    """Return the address before `/index.php` or `/posts`, without a slash at the end."""
    base = re.split(r"[?#]", address, maxsplit=1)[0]
    return _PAGE.sub("", base)


def search_in(address: str) -> list[str]:
    """Return the tags that an address searches for; none where it lists all posts."""
    try:
        query = parse_qs(urlsplit(address).query)
    except ValueError:
        return []
    return [tag for tags in query.get("tags", []) for tag in tags.split() if tag != "all"]
