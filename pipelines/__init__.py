"""Run: definitions, jobs, schedules, and the one reader of environment variables."""
