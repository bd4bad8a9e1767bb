"""The review page in a real Chromium."""

from pathlib import Path
from typing import Any

from curation.doubts import make_doubts
from curation.review import read_verdicts
from search.app import create_app
from search.query import SearchService
from search.review import ReviewQueue
from tests.curation.data_folder import make_data
from tests.search.browsing import BROWSER, expect, violations, visiting
from tests.search.serving import serving

pytestmark = BROWSER
TOKEN = "correct horse battery"


def test_review__by_keyboard(browser: Any, service: SearchService, tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", [1, 2, 3, 4])
    make_doubts(data, data / "pair_dataset")
    verdicts = data / "review" / "verdicts"
    app = create_app(service, review=(ReviewQueue(data), TOKEN))
    with serving(app) as address, visiting(browser, f"{address}/review") as page:
        page.keyboard.type("ann")
        page.keyboard.press("Tab")
        page.keyboard.type(TOKEN)
        found = violations(page)
        page.keyboard.press("Enter")
        shown = []
        for key in ("r", "2", "s"):
            page.wait_for_selector("#pair[aria-busy=false]:not([hidden])")
            shown.append(page.get_attribute("#pair", "data-pair"))
            found += violations(page) if key == "r" else []
            page.keyboard.press(key)
            expect(page, "#done").to_have_js_property("value", len(shown))
        expect(page, "#pair").not_to_have_attribute("data-pair", shown[-1])
        page.keyboard.press("z")
        expect(page, "#pair").to_have_attribute("data-pair", shown[-1])
        for key in ("a", "a"):
            page.wait_for_selector("#pair[aria-busy=false]:not([hidden])")
            page.keyboard.press(key)
            page.wait_for_timeout(200)
        page.wait_for_selector("#message:not([hidden])")
        assert page.inner_text("#message-title") == "Nothing left to look at"
        assert page.inner_text("#counts") == "4 of 4 looked at, 1 rejected"
        assert found + violations(page) == []
    said = [(verdict.reviewer, verdict.decision, verdict.category) for verdict in read_verdicts(verdicts)]
    assert said == [
        ("ann", "reject", None),
        ("ann", "accept", "bottom"),
        ("ann", "unsure", None),
        ("ann", "withdraw", None),
        ("ann", "accept", None),
        ("ann", "accept", None),
    ]


def test_review__wrong_token(browser: Any, service: SearchService, tmp_path: Path) -> None:
    app = create_app(service, review=(ReviewQueue(tmp_path), TOKEN))
    with serving(app) as address:
        page = browser.new_page(locale="ko-KR")
        page.goto(f"{address}/review")
        page.fill("#reviewer", "ann")
        page.fill("#token", "guess")
        page.keyboard.press("Enter")
        page.wait_for_selector("#wrong:not([hidden])")
        assert page.inner_text("#wrong") == "토큰이 맞지 않습니다."
        page.close()
