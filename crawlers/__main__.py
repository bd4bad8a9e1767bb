"""Command line of the crawlers: `python -m crawlers kream --blocks 0-3 --out DIR`, and what belongs to running it."""

import argparse
import json
import logging
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final, get_args

from pydantic.fields import FieldInfo

from crawlers import exclusions
from crawlers.config import CrawlConfig, FeedConfig, checked, folder, make_config
from crawlers.errors import REFUSED, ConfigError, CrawlError
from crawlers.sites import CATALOG_SUFFIX, KINDS, kind_of, known_sites
from curation.tables import write_json

_OF_POSTS: Final = frozenset({"blocks", "max_posts", "retry_failed", "gone_days"})
"""Options that a catalog refuses: it has no posts."""
_OF_CATALOGS: Final = frozenset({"categories", "max_products"})
"""Options that posts refuse."""
_OF_OTHERS: Final = {
    True: frozenset({"block_size", "frontier_window", "retry_wait"}),
    False: frozenset({"scroll_wait"}),
}
"""Whether it is a catalog → options that change nothing. Taken, not shown: the sandbox gives all crawls one pace."""
_OF_FEEDS: Final = (
    *("out", "max_seconds", "delay", "concurrency", "retries", "timeout", "allow_private", "user_agent"),
    "progress_every",
)
_METAVARS: Final = {int: "INTEGER", float: "NUMBER", Path: "PATH"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code: 2 for a wrong argument, 1 when the work could not be done."""
    options = vars(_parser().parse_args(arguments))
    run = options.pop("run")
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    logging.getLogger("crawlers").setLevel(logging.INFO)
    try:
        print(json.dumps(run(options), ensure_ascii=False))
    except ConfigError as error:
        print(f"crawlers: {error}", file=sys.stderr)
        return 2
    except CrawlError as error:
        print(f"crawlers: {error}", file=sys.stderr)
        return 1
    return 0


def _crawl(options: dict[str, Any]) -> dict[str, Any]:
    try:
        config = _config(options)
        from crawlers.process import die_with_parent, run  # after the options are known to be good

        die_with_parent()
        return run(config)
    except ConfigError as error:
        if Path(options["out"]).is_dir():  # for the run that started this one: trying again would be in vain
            stats = {"finish_reason": REFUSED, "error": f"ConfigError: {error}"}
            write_json(Path(options["out"]) / f"stats-{options['kind']}.json", stats)
        raise


def _import(options: dict[str, Any]) -> dict[str, Any]:
    site = options.pop("site")
    config = checked(FeedConfig, _given(options) | {"kind": f"{site}{CATALOG_SUFFIX}"})
    from crawlers.process import die_with_parent, import_catalog  # after the options are known to be good

    die_with_parent()
    return import_catalog(config)


def _fixture(options: dict[str, Any]) -> dict[str, Any]:
    url = options.pop("url")
    config = _config({**options, "kind": kind_of(url, options["base_url"]), "delay": 0.0})
    from crawlers.process import save_fixture

    return save_fixture(config, url)


def _exclude(options: dict[str, Any]) -> dict[str, Any]:
    wanted = {kind: options[kind] for kind in get_args(exclusions.Kind) if options[kind]}
    if not wanted:
        raise ConfigError("exclude: name at least one --post, --product or --image-url")
    try:
        folder(options["out"])
    except ValueError as error:
        raise ConfigError(f"out: {error}") from error
    if options["site"] not in (known := known_sites(options["out"])):
        raise ConfigError(f"site: must be one of {', '.join(known)}, got {options['site']!r}")
    return {
        kind: exclusions.exclude(options["out"], options["site"], kind, values, options["reason"])
        for kind, values in wanted.items()
    }


def _config(options: dict[str, Any]) -> CrawlConfig:
    return make_config(**_given(options))


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m crawlers", description=__doc__)
    commands = parser.add_subparsers(dest="kind", required=True, metavar="COMMAND")
    for kind in KINDS:
        crawl = commands.add_parser(kind, help=f"crawl {kind.replace('-', ' ')}")
        catalog = kind.endswith(CATALOG_SUFFIX)
        left_out = {"kind"} | (_OF_POSTS if catalog else _OF_CATALOGS)
        _add_options(crawl, [name for name in CrawlConfig.model_fields if name not in left_out], _OF_OTHERS[catalog])
        crawl.set_defaults(run=_crawl)
    feed = commands.add_parser("import-catalog", help="take a shop's product feed as its catalog")
    feed.add_argument("feed", metavar="FEED", help="CSV or JSON lines with id, category and image, one product a row")
    feed.add_argument("--site", required=True, metavar="NAME", help="what the shop is called in tables and answers")
    _add_options(feed, _OF_FEEDS)
    feed.set_defaults(run=_import)
    fixture = commands.add_parser(
        "fixture", help="save the page of a post or a listing and what is read from it, as a test"
    )
    fixture.add_argument("url", help="address of a post or of a listing")
    fixture.add_argument("--out", required=True, metavar="PATH", help="folder for the saved page and its JSON")
    _add_options(fixture, ["base_url", "allow_private", "user_agent", "browser", "timeout"])
    fixture.set_defaults(run=_fixture)
    exclude = commands.add_parser("exclude", help="record a take-down: what is named is never crawled again")
    exclude.add_argument("--out", type=Path, required=True, help="folder of the crawl's tables")
    exclude.add_argument("--site", metavar="NAME", required=True, help="where it was crawled or imported")
    exclude.add_argument("--reason", required=True, help="who asked, when, by which right")
    exclude.add_argument("--post", action="append", metavar="ID")
    exclude.add_argument("--product", action="append", metavar="ID")
    exclude.add_argument("--image-url", dest="image", action="append", metavar="URL")
    exclude.set_defaults(run=_exclude)
    return parser


def _add_options(parser: argparse.ArgumentParser, names: Sequence[str], hidden: Collection[str] = ()) -> None:
    for name in names:
        argument = _argument(CrawlConfig.model_fields[name]) | ({"help": argparse.SUPPRESS} if name in hidden else {})
        parser.add_argument(f"--{name.replace('_', '-')}", **argument)


def _argument(field: FieldInfo) -> dict[str, Any]:
    """An option without type: the configuration checks its value, so that a bad one is refused in one way."""
    if field.annotation is bool:
        return {"action": "store_true", "default": None, "help": field.description}
    default = "" if field.is_required() or field.default is None else f" (default {field.default})"
    kinds = (field.annotation, *get_args(field.annotation))
    metavar = next((name for kind, name in _METAVARS.items() if kind in kinds), "TEXT")
    return {"required": field.is_required(), "metavar": metavar, "help": f"{field.description}{default}"}


if __name__ == "__main__":
    sys.exit(main())
