"""Counts of one scrape: how many posts were listed, accepted, rejected, and failed."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipeline.errors import PipelineError
from pipeline.progress import Progress
from pipeline.scraping.posts import Malformed

_MAX_FAILURES_IN_A_ROW = 100
# A site that guards its files answers all of them so.
_MAX_REFUSALS_IN_A_ROW = 5


@dataclass
class ScrapeCounts:
    """Counts of a scrape of `site`, kept while it runs up to `limit` accepted posts.

    `accepted` holds the ids of the accepted posts, `bytes` the length of their files. `listed`
    counts all posts that were looked at, `rejected` and `failed` those of them by reason. Of the
    rejected ones `hosts` counts those by host whose files are off the site, `faults` the malformed
    records by what is wrong with them, with the id of the first of each, and `misfound` those
    that lack a required tag which the site was asked for; `missing_tags` counts such tags, and
    `common_tags` are those that all these posts have. `last_failure` is the message of the last
    file that failed. `doubtful_answers` had no posts and ended the listing, in a row, though the
    site's search may have been down.
    """

    site: str
    limit: int
    accepted: list[int] = field(default_factory=list)
    listed: int = 0
    bytes: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    example_by_fault: dict[str, int] = field(default_factory=dict)
    misfound: int = 0
    missing_tags: Counter[str] = field(default_factory=Counter)
    common_tags: frozenset[str] | None = None
    last_failure: str = ""
    doubtful_answers: int = 0
    _failures_in_a_row: int = field(default=0, init=False)
    _refusals_in_a_row: int = field(default=0, init=False)

    @property
    def newest_first(self) -> list[int]:
        """Ids of the accepted posts, descending."""
        return sorted(self.accepted, reverse=True)

    @property
    def missing(self) -> int:
        """Number of posts still to be accepted."""
        return self.limit - len(self.accepted)

    def accept(self, post_id: int, length: int) -> None:
        """Count an accepted post whose file has `length` bytes."""
        self.accepted.append(post_id)
        self.bytes += length
        self._failures_in_a_row = self._refusals_in_a_row = 0

    def reject(self, reason: str) -> None:
        """Count a post that does not fit the rules."""
        self.rejected[reason] += 1

    def reject_malformed(self, record: Malformed) -> None:
        """Count a record that is no post."""
        self.reject("malformed")
        if record.fault:
            self.faults[record.fault] += 1
            self.example_by_fault.setdefault(record.fault, record.id)

    def reject_host(self, host: str) -> None:
        """Count a post whose file is on a host off the site."""
        self.reject("host")
        self.hosts[host] += 1

    def reject_tags(self, missing: Sequence[str], tags: Iterable[str]) -> None:
        """Count a post with `tags` that lacks required ones; the site was asked for `missing`."""
        self.reject("tags")
        if not missing:
            return
        self.misfound += 1
        self.missing_tags.update(missing)
        common = frozenset(tags)
        self.common_tags = common if self.common_tags is None else self.common_tags & common

    def fail(self, reason: str, problem: str) -> None:
        """Count a post whose file could not be fetched, because of `problem`."""
        self.failed[reason] += 1
        self.last_failure = problem

    def count_failure_in_a_row(
        self, problem: str, advice: str, *, is_refusal: bool = False
    ) -> None:
        """Count a file that failed or differs; an accepted post begins the count anew.

        Raises `PipelineError` with the last `problem`, and `advice`, when there are too many in a
        row, or a few that the site refuses: it is at fault then.
        """
        self._failures_in_a_row += 1
        self._refusals_in_a_row = self._refusals_in_a_row + 1 if is_refusal else 0
        if (
            self._failures_in_a_row >= _MAX_FAILURES_IN_A_ROW
            or self._refusals_in_a_row >= _MAX_REFUSALS_IN_A_ROW
        ):
            raise PipelineError(
                f"{self.site}: {self._failures_in_a_row} files in a row failed, "
                f"the last: {problem}; {advice}"
            )

    def show(self, progress: Progress) -> None:
        """Update `progress` with the counts."""
        progress.update(
            len(self.accepted),
            MB=self.bytes / 1e6,
            rejected=self.rejected.total(),
            failed=self.failed.total(),
        )

    def summary(self) -> str:
        """Return all counts in one line."""
        reasons = [
            f"{name} {counts.total()} ({_by_reason(counts)})"
            for name, counts in (("rejected", self.rejected), ("failed", self.failed))
            if counts
        ]
        accepted = f"accepted {len(self.accepted)}"
        return ", ".join([f"listed {self.listed}", *reasons, accepted])


def _by_reason(counts: Counter[str]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in counts.most_common())
