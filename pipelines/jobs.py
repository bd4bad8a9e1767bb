"""Jobs and schedules: re-crawl at night, retrain once a week. Schedules start stopped; the UI switches them on."""

import dagster as dg

_CRAWL = dg.AssetSelection.groups("crawl")

everything = dg.define_asset_job(
    "everything", dg.AssetSelection.all(), description="The whole chain, from crawl to search."
)
recrawl = dg.define_asset_job("recrawl", _CRAWL, description="What is new on the sites, up to the frontier.")
retrain = dg.define_asset_job(
    "retrain", dg.AssetSelection.all() - _CRAWL, description="Everything after the crawl, on what is there."
)

nightly_recrawl = dg.ScheduleDefinition(
    name="nightly_recrawl", job=recrawl, cron_schedule="30 17 * * *", description="02:30 in Seoul, daily."
)
weekly_retraining = dg.ScheduleDefinition(
    name="weekly_retraining", job=retrain, cron_schedule="0 20 * * 6", description="Sunday 05:00 in Seoul."
)

JOBS = (everything, recrawl, retrain)
SCHEDULES = (nightly_recrawl, weekly_retraining)
