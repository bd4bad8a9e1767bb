"""Schedules: each site at night, training and upkeep once a week. All start stopped; the UI switches them on."""

from typing import Any, Final

import dagster as dg

from assets.resources import DataFolder, Recipes
from pipelines.decisions import why_no_training
from pipelines.jobs import recrawl_of, retrain
from pipelines.upkeep import upkeep

NIGHT_MINUTES: Final = 240.0  # after which a site is left alone until the next night, which goes on there
_TIMES: Final = {"kream_posts": "30 17 * * *", "onthelook_posts": "0 18 * * *", "kream_catalog": "0 17 * * *"}


def night_config(asset: str) -> dict[str, Any]:
    """Run configuration of a nightly crawl: it has a budget, lists the catalog anew, and retries posts that are due."""
    what = {"refresh": True} if asset == "kream_catalog" else {"retry_failed": True}
    return {"ops": {asset: {"config": {**what, "max_minutes": NIGHT_MINUTES}}}}


NIGHTLY = [
    dg.ScheduleDefinition(
        name=f"nightly_{asset}",
        job=recrawl_of[asset],
        cron_schedule=cron,
        run_config=night_config(asset),
        description=f"At night in Seoul ({cron} UTC): {asset}, what is new and what has waited its time.",
        tags={"fashion/automation": "nightly"},
    )
    for asset, cron in _TIMES.items()
]


@dg.schedule(
    job=retrain,
    cron_schedule="0 20 * * 6",
    description="Sunday 05:00 in Seoul, if the dataset has enough pairs that the encoder has not seen.",
)
def weekly_retraining(
    context: dg.ScheduleEvaluationContext, data: DataFolder, recipes: Recipes
) -> dg.RunRequest | dg.SkipReason:
    """Train, or say in the tick why not."""
    del context
    reason = why_no_training(data.path, recipes.least_new_pairs)
    return dg.SkipReason(reason) if reason else dg.RunRequest(tags={"fashion/automation": "weekly"})


weekly_upkeep = dg.ScheduleDefinition(
    name="weekly_upkeep",
    job=upkeep,
    cron_schedule="0 4 * * 1",
    description="Monday 04:00 UTC: old runs and versions go, and what the disk holds is reported.",
)

SCHEDULES = (*NIGHTLY, weekly_retraining, weekly_upkeep)
