"""A headless browser: what it needs to start here, and what it makes of a page."""

import subprocess
from pathlib import Path

NAMES = ("chromium", "google-chrome", "chromium-browser")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars"),
    "--enable-logging=stderr",
)
TIMEOUT_S = 120


def opened(
    browser: str, page: Path, folder: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    """What a browser with a new profile writes when it opens a page.

    Args:
        browser: Its program.
        page: A file.
        folder: For the profile.
        *options: Of the browser.
    """
    command = [browser, *OPTIONS, f"--user-data-dir={folder / 'profile'}", *options, page.as_uri()]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, errors="replace"
    )


def console(log: str) -> list[str]:
    """What pages said on the console; not what the browser says of its own bars and menus.

    Args:
        log: What the browser wrote.
    """
    said = (line for line in log.splitlines() if ":CONSOLE:" in line)
    return [line for line in said if "source: chrome://" not in line]
