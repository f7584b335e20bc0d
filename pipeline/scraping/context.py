"""What a scrape is to do, and with what."""

import json
from dataclasses import dataclass

from pipeline.params import ScrapeParams
from pipeline.progress import Progress
from pipeline.scraping.previous_sets import PreviousSets
from pipeline.scraping.sites import site_form
from pipeline.scraping.store import Store


@dataclass(frozen=True)
class ScrapeContext:
    """Inputs of a scrape.

    Without `list_new` only posts that previous runs have listed are used; with `refresh` none of
    them are. Without `fetch_files` a post that fits the rules is accepted without its file.
    """

    params: ScrapeParams
    store: Store
    progress: Progress
    previous: PreviousSets
    list_new: bool = True
    refresh: bool = False
    fetch_files: bool = True

    @property
    def listing_key(self) -> str:
        """Name of the listing in the store: site, and all that it is asked for, as JSON."""
        params = self.params
        query: list[object] = [params.site, sorted(params.tags), sorted(params.excluded_tags)]
        if params.until is not None:
            query.append(params.until)
        if site_form(params) == "danbooru2":
            # Only such a site is asked for them.
            if params.min_score is not None:
                query.append({"min_score": params.min_score})
            query += ["danbooru2", sorted(params.ratings)]
        return json.dumps(query, ensure_ascii=False)
