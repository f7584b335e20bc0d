"""SQL statements of the store's two databases, whose tables `databases` creates."""

INSERT_LISTING = """
    INSERT OR IGNORE INTO listing.listings (key, started_at) VALUES (:listing_key, :started_at)
"""
SELECT_LISTING = """
    SELECT started_at, cursor, finished, short FROM listing.listings WHERE key = :listing_key
"""
FINISH_LISTING = """
    UPDATE listing.listings SET finished = 1 WHERE key = :listing_key
"""
SET_CURSOR = """
    UPDATE listing.listings SET cursor = :cursor WHERE key = :listing_key
"""
MARK_LISTING_SHORT = """
    UPDATE listing.listings SET short = 1 WHERE key = :listing_key
"""
DELETE_LISTING = """
    DELETE FROM listing.listings WHERE key = :listing_key
"""

INSERT_POST = """
    INSERT OR REPLACE INTO listing.posts (listing, id, record) VALUES (:listing_key, :id, :record)
"""
SELECT_POST = """
    SELECT record FROM listing.posts WHERE listing = :listing_key AND id = :id
"""
SELECT_POSTS_BELOW = """
    SELECT id, record FROM listing.posts WHERE listing = :listing_key AND id <= :highest
    ORDER BY id DESC LIMIT :count
"""
DELETE_POSTS = """
    DELETE FROM listing.posts WHERE listing = :listing_key
"""

SELECT_FILE = """
    SELECT announced_md5, bytes, validator, sha256, md5, mismatch_tries FROM files WHERE key = :key
"""
# A web page announces no md5, so an earlier announcement by the API is kept.
BEGIN_TRANSFER = """
    INSERT INTO files (
        key, post_id, post_url, file_url, announced_md5, source, rating, tags, bytes, validator
    ) VALUES (
        :key, :post_id, :post_url, :file_url, :announced_md5, :source, :rating, :tags, :bytes,
        :validator
    ) ON CONFLICT (key) DO UPDATE SET
        post_id = excluded.post_id, post_url = excluded.post_url, file_url = excluded.file_url,
        announced_md5 = coalesce(nullif(excluded.announced_md5, ''), announced_md5),
        source = excluded.source, rating = excluded.rating, tags = excluded.tags,
        bytes = excluded.bytes, validator = excluded.validator,
        sha256 = NULL, md5 = NULL, mismatch_tries = 0
"""
RECORD_FAILURE = """
    INSERT INTO files (
        key, post_id, post_url, file_url, announced_md5, source, rating, tags, failure, tries
    ) VALUES (
        :key, :post_id, :post_url, :file_url, :announced_md5, :source, :rating, :tags, :failure, 1
    ) ON CONFLICT (key) DO UPDATE SET
        post_id = excluded.post_id, post_url = excluded.post_url, file_url = excluded.file_url,
        announced_md5 = coalesce(nullif(excluded.announced_md5, ''), announced_md5),
        source = excluded.source, rating = excluded.rating, tags = excluded.tags,
        failure = excluded.failure, tries = tries + 1
"""
COMMIT_FILE = """
    UPDATE files SET
        sha256 = :sha256, md5 = :md5, bytes = :bytes, fetched_at = :fetched_at, failure = NULL,
        tries = tries + 1,
        mismatch_tries = CASE WHEN :md5_differs THEN mismatch_tries + 1 ELSE 0 END
    WHERE key = :key
"""
COUNT_MISMATCH_TRY = """
    UPDATE files SET mismatch_tries = mismatch_tries + 1 WHERE key = :key
"""
COUNT_FAILED = """
    SELECT count(*) FROM files WHERE failure IS NOT NULL
"""
COUNT_BY_HASH = """
    SELECT count(*) FROM files WHERE sha256 = :sha256
"""
