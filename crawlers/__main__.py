"""Command line of the crawlers: `python -m crawlers kream --blocks 0-3 --out DIR`."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from typing import Any, get_args

from pydantic.fields import FieldInfo

from crawlers.config import CrawlConfig, Kind, make_config
from crawlers.errors import CrawlError


def main(arguments: Sequence[str] | None = None) -> int:
    """Crawl and return the exit code: 0 only when the work is done and something was kept."""
    options = vars(_parser().parse_args(arguments))
    try:
        config = make_config(**{name: value for name, value in options.items() if value is not None})
    except CrawlError as error:
        print(f"crawlers: {error}", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    logging.getLogger("crawlers").setLevel(logging.INFO)
    from crawlers.process import die_with_parent, run  # after the options are known to be good

    die_with_parent()
    try:
        stats = run(config)
    except CrawlError as error:
        print(f"crawlers: {error}", file=sys.stderr)
        return 1
    print(json.dumps(stats, ensure_ascii=False))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m crawlers", description=__doc__)
    parser.add_argument("kind", choices=get_args(Kind))
    for name, field in CrawlConfig.model_fields.items():
        if name != "kind":
            parser.add_argument(f"--{name.replace('_', '-')}", **_argument(field))
    return parser


def _argument(field: FieldInfo) -> dict[str, Any]:
    """An option without type: the configuration checks its value, so that a bad one is refused in one way."""
    if field.annotation is bool:
        return {"action": "store_true", "default": None, "help": field.description}
    default = "" if field.is_required() else f" (default {field.default})"
    return {"required": field.is_required(), "metavar": "VALUE", "help": f"{field.description}{default}"}


if __name__ == "__main__":
    sys.exit(main())
