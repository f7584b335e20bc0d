"""A real browser for the pages that people look at."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

_PATH = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
needs_chromium = pytest.mark.skipif(_PATH is None, reason="no Chromium is installed here")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that asks nobody but the page's own server for anything."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=_PATH, args=arguments)
        yield browser
        browser.close()
