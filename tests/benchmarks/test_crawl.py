"""What the benchmark of crawling calls a fair race."""

import asyncio
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from benchmarks import crawl
from crawlers.config import BROWSER


def test_main__no_speed_is_told_of_a_crawl_that_got_next_to_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(crawl, "_stock", lambda *_: b"")
    monkeypatch.setattr(crawl, "_prior", lambda *_: 20)
    monkeypatch.setattr(crawl, "_ours", lambda *_: 14)
    monkeypatch.setattr(sys, "argv", ["crawl", "--sites", "kream", "--posts", "5", "--pages", "0"])
    with pytest.raises(SystemExit, match="kream: this crawl got 14 pictures, the prior method 20"):
        crawl.main()
    assert "speedup" not in capsys.readouterr().out


@pytest.mark.browser
def test_prior__waits_for_no_photo_of_a_deleted_post() -> None:
    class Gone(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Gone) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        start = time.monotonic()
        got = asyncio.run(crawl._one_by_one("kream", f"http://127.0.0.1:{server.server_port}", 4, BROWSER))
        server.shutdown()
    assert got == 0
    assert time.monotonic() - start < 4 * crawl._WAIT / 1000 / 2
