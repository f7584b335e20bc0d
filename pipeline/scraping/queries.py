"""SQL statements of the store's two databases, whose tables `databases` creates."""

INSERT_LISTING = """
    INSERT OR IGNORE INTO listing.listings (key, started_at) VALUES (:listing, :started_at)
"""
SELECT_LISTING = """
    SELECT started_at, cursor, finished, short FROM listing.listings WHERE key = :listing
"""
FINISH_LISTING = """
    UPDATE listing.listings SET finished = 1 WHERE key = :listing
"""
SET_CURSOR = """
    UPDATE listing.listings SET cursor = :cursor WHERE key = :listing
"""
MARK_LISTING_SHORT = """
    UPDATE listing.listings SET short = 1 WHERE key = :listing
"""
DELETE_LISTING = """
    DELETE FROM listing.listings WHERE key = :listing
"""

INSERT_POST = """
    INSERT OR REPLACE INTO listing.posts (listing, id, record) VALUES (:listing, :id, :record)
"""
SELECT_POST = """
    SELECT record FROM listing.posts WHERE listing = :listing AND id = :id
"""
SELECT_POSTS_BELOW = """
    SELECT id, record FROM listing.posts WHERE listing = :listing AND id < :below
    ORDER BY id DESC LIMIT :count
"""
DELETE_POSTS = """
    DELETE FROM listing.posts WHERE listing = :listing
"""

SELECT_FILE = """
    SELECT announced_md5, bytes, validator, sha256, md5, asked FROM files WHERE key = :key
"""
# A web page announces no md5: what the API announced previous stays.
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
        sha256 = NULL, md5 = NULL, asked = 0
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
        tries = tries + 1, asked = CASE WHEN :md5_differs THEN asked + 1 ELSE 0 END
    WHERE key = :key
"""
COUNT_MISMATCH = """
    UPDATE files SET asked = asked + 1 WHERE key = :key
"""
COUNT_FAILED = """
    SELECT count(*) FROM files WHERE failure IS NOT NULL
"""
COUNT_BY_HASH = """
    SELECT count(*) FROM files WHERE sha256 = :sha256
"""
