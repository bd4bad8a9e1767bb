"""The review page in a real Chromium."""

from pathlib import Path
from typing import Any

import pytest

from curation.doubts import make_doubts
from curation.review import read_verdicts
from search.app import create_app
from search.errors import NotFoundError
from search.query import SearchService
from search.review import ReviewQueue
from search.review.pairs import PairPictures
from tests.curation.data_folder import make_data
from tests.search.browsing import BROWSER, expect, violations, visiting
from tests.search.review.conftest import lose_pictures, prepared
from tests.search.serving import serving

pytestmark = BROWSER
TOKEN = "correct horse battery"
SHOWN = "#pair[aria-busy=false]:not([hidden])"


def _enter(page: Any) -> None:
    """Log in, and wait for the first pair."""
    page.fill("#reviewer", "ann")
    page.fill("#token", TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_selector(SHOWN)


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
            page.wait_for_selector(SHOWN)
            shown.append(page.get_attribute("#pair", "data-pair"))
            found += violations(page) if key == "r" else []
            page.keyboard.press(key)
            expect(page, "#done").to_have_js_property("value", len(shown))
        expect(page, "#pair").not_to_have_attribute("data-pair", shown[-1])
        page.keyboard.press("z")
        expect(page, "#pair").to_have_attribute("data-pair", shown[-1])
        for key in ("a", "a"):
            page.wait_for_selector(SHOWN)
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


def test_review__a_key_does_not_judge_what_is_not_shown_yet(browser: Any, service: SearchService, data: Path) -> None:
    queue = prepared(ReviewQueue(data))
    first, second = queue.next("ann", 2)
    held: list[Any] = []
    app = create_app(service, review=(queue, TOKEN))
    with serving(app) as address, visiting(browser, f"{address}/review") as page:
        page.route(f"**/{second.id}/thumbnail", lambda route: held.append(route))
        _enter(page)
        assert page.get_attribute("#pair", "data-pair") == first.id
        page.keyboard.press("a")
        expect(page, "#done").to_have_js_property("value", 1)
        for key in ("a", "1"):
            page.keyboard.press(key)
        page.click("[data-decision=reject]")
        page.wait_for_timeout(200)
        assert len(read_verdicts(data / "review" / "verdicts")) == 1
        assert page.get_attribute("#pair", "data-pair") is None  # it names what is on the screen
        (route,) = held
        route.continue_()
        expect(page, SHOWN).to_have_attribute("data-pair", second.id)
        page.keyboard.press("a")
        expect(page, "#done").to_have_js_property("value", 2)


def test_review__a_pair_that_is_gone_makes_room(browser: Any, service: SearchService, data: Path) -> None:
    queue = prepared(ReviewQueue(data))
    first, second, third, *rest = queue.next("ann", 10)
    lose_pictures(data, first.post_id)
    app = create_app(service, review=(queue, TOKEN))
    with serving(app) as address, visiting(browser, f"{address}/review", refused="404") as page:
        _enter(page)
        assert page.get_attribute("#pair", "data-pair") == second.id
        assert page.inner_text("#counts") == "0 of 7 looked at, 0 rejected"
        page.keyboard.press("a")
        expect(page, SHOWN).to_have_attribute("data-pair", third.id)
        for pair in (second, third):  # taken down while it is on the screen, and after it was judged
            lose_pictures(data, pair.post_id)
            queue.pictures = PairPictures(data / "crawl" / "posts")
            with pytest.raises(NotFoundError):
                queue.draw(pair.id, queue.pictures.photo)
        page.keyboard.press("a")
        expect(page, SHOWN).to_have_attribute("data-pair", rest[0].id)
        page.keyboard.press("z")
        expect(page, "#undo").to_be_disabled()
        expect(page, SHOWN).to_have_attribute("data-pair", rest[0].id)
        page.keyboard.press("a")
        expect(page, SHOWN).to_have_attribute("data-pair", rest[1].id)


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
