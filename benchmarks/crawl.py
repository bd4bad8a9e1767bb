"""This crawler against the method of the field's prior work, on the same posts of the sandbox, side by side.

The prior method, re-created: one browser, one page at a time; wait for a class name, take what is there; fetch each
picture by a request of its own, one after the other; no ledger, no retry. Every response takes a fixed time, as a site
over the internet does. The memory of the browser is watched over many pages.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx
import psutil
from parsel import Selector

from crawlers.config import BROWSER
from sandbox.people import KREAM_SHARE
from sandbox.sites.server import ServeOptions, serving
from sandbox.world import World

_SELECTORS: Final = {
    "kream": ("/social/posts/{}", ".social_image_box img", ".product_item img"),
    "onthelook": ("/post/{}", "#post-image", ".product-item img"),
}
"""Path, photo and products: what the prior notebooks read."""
_WAIT: Final = 5000  # ms for the photo to appear; the notebooks gave up after 500, and lost slow pages
_SEED: Final = 7
_LEAST_PICTURES: Final = 0.75  # of the prior method's, which takes those of posts marked AI-made too
_SAMPLE_SECONDS: Final = 1.0


class _StockWorld(World):
    """Every photo and thumbnail is the same picture, so that drawing costs nobody time."""

    def photo(self, site: str, post_id: int, position: int, width: int | None = None) -> bytes:
        """The first photo that is not broken."""
        del post_id, position, width
        return _stock("photo", site)

    def thumbnail(self, site: str, product_id: int, width: int | None = None) -> bytes:
        """The first thumbnail that is not broken."""
        del product_id, width
        return _stock("thumbnail", site)


@cache
def _stock(role: str, site: str) -> bytes:
    world = World(seed=_SEED, posts=50)
    if role == "photo":
        posts = world.posts[site].values()
        post = next(post for post in posts if not post.copy and not post.photos[0].fault)
        return world.photo(site, post.post_id, 0)
    usable = (n for n in world.products if world.has_thumbnail(site, n) and not world.thumbnail_fault(site, n))
    return world.thumbnail(site, next(usable))


def main() -> None:
    """Run both on each site, then the long crawl; print a table, and the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crawl", description=__doc__)
    parser.add_argument("--sites", nargs="*", choices=_SELECTORS, default=list(_SELECTORS), help="to compare on")
    parser.add_argument("--posts", type=int, default=300, help="of each site")
    parser.add_argument("--delay", type=float, default=0.1, help="seconds before every response")
    parser.add_argument("--pages", type=int, default=2000, help="browser pages of the memory run; 0: no such run")
    parser.add_argument("--browser", type=Path, default=BROWSER, help=f"Chromium of both methods (default {BROWSER})")
    options = parser.parse_args()
    figures: dict[str, float] = {}
    print(f"{'site':<12}{'prior':>12}{'this':>12}{'ratio':>8}{'pictures':>16}")
    with serving(_world(options.posts), ServeOptions(delay=options.delay)) as server:
        for site in options.sites:
            _stock("photo", site), _stock("thumbnail", site)  # drawn before the clock starts
            theirs, prior = _timed(_prior, site, server.urls[site], options.posts, options.browser)
            mine, ours = _timed(_ours, site, server.urls[site], options.posts, options.browser)
            if mine < _LEAST_PICTURES * theirs:
                raise SystemExit(f"{site}: this crawl got {mine} pictures, the prior method {theirs}: no fair race")
            figures[f"{site}_speedup"] = round(prior / ours, 2)
            print(
                f"{site:<12}{prior:>10.1f} s{ours:>10.1f} s{prior / ours:>8.1f}{f'{theirs} / {mine}':>16}", flush=True
            )
    if options.pages:
        figures["browser_memory_growth"] = round(_growth(options.pages, options.browser), 3)
    print(json.dumps(figures))


def _world(posts: int) -> World:
    """A world of which either site has at least so many posts."""
    return _StockWorld(_SEED, round(posts / (1 - KREAM_SHARE) * 1.15))


def _timed(work: Callable[[str, str, int, Path], int], *arguments: Any) -> tuple[int, float]:
    start = time.monotonic()
    return work(*arguments), time.monotonic() - start


def _prior(site: str, url: str, posts: int, browser: Path) -> int:
    """Pictures that the prior method gets, in a process of its own as ours is."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_notebook, site, url, posts, browser).result()


def _notebook(site: str, url: str, posts: int, browser: Path) -> int:
    return asyncio.run(_one_by_one(site, url, posts, browser))


async def _one_by_one(site: str, url: str, posts: int, executable: Path) -> int:
    from playwright.async_api import Error as PlaywrightError
    from playwright.async_api import async_playwright

    path, photo, products = _SELECTORS[site]
    got = 0
    async with async_playwright() as playwright, httpx.AsyncClient(timeout=30) as client:
        browser = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page()
        for post_id in range(1, posts + 1):
            try:
                shown = await page.goto(url + path.format(post_id))
                if shown is None or not shown.ok:
                    continue  # of a deleted post no photo will appear, however long it is waited for
                await page.wait_for_selector(photo, state="attached", timeout=_WAIT)
            except PlaywrightError:
                continue
            selector = Selector(await page.content())
            found = [selector.css(f"{photo}::attr(src)").get(), *selector.css(f"{products}::attr(src)").getall()]
            for address in filter(None, found):
                answer = await client.get(urlunsplit((*urlsplit(urljoin(url, address))[:3], "", "")))
                got += answer.status_code == httpx.codes.OK
        await browser.close()
    return got


def _ours(site: str, url: str, posts: int, browser: Path) -> int:
    """Pictures that this crawler gets of the same posts."""
    with tempfile.TemporaryDirectory(prefix="fashion-crawl-") as out:
        stats = _crawl(site, url, Path(out), posts, browser)
        return int(stats["pictures"]["ok"])


def _crawl(site: str, url: str, out: Path, posts: int, browser: Path) -> dict[str, Any]:
    """A crawl without its delays, which the prior method does not have either; all else as the defaults are."""
    line = [sys.executable, "-m", "crawlers", site, "--base-url", url, "--out", str(out), "--allow-private"]
    line += ["--delay", "0", "--max-posts", str(posts), "--browser", str(browser)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def _growth(pages: int, browser: Path) -> float:
    """Share by which the browser's memory grows between the second and the last fifth of a long crawl."""
    samples: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLE_SECONDS):
            samples.append(_browser_memory())

    with serving(_world(pages)) as server, tempfile.TemporaryDirectory(prefix="fashion-crawl-") as out:
        thread = threading.Thread(target=watch)
        thread.start()
        try:
            _crawl("onthelook", server.urls["onthelook"], Path(out), pages, browser)
        finally:
            ended.set()
            thread.join()
    used = [sample for sample in samples if sample]
    fifth = len(used) // 5
    if not fifth:
        raise SystemExit(f"--pages: {pages} are over before memory was looked at five times")
    early, late = (sum(part) / len(part) for part in (used[fifth : 2 * fifth], used[-fifth - 1 : -1]))
    print(
        f"browser memory over {pages} pages: {early / 2**20:.0f} MiB in the second fifth, {late / 2**20:.0f} at the end"
    )
    return late / early - 1


def _browser_memory() -> float:
    """Bytes of all browser processes below this one, shared pages counted once (proportional set size)."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            if "chrom" in process.name():
                total += process.memory_full_info().pss
        except psutil.Error:
            continue  # ended meanwhile
    return total


if __name__ == "__main__":
    main()
