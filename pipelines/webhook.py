"""Tells a webhook that a run failed. What is sent names the run, and holds no message, path, setting or secret."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any, Final

_TIMEOUT_S: Final = 10.0


def failure_body(job: str, run_id: str, steps: Sequence[str]) -> dict[str, Any]:
    """JSON body: messages of errors stay out, since they may quote addresses with passwords."""
    failed = ", ".join(steps) or "before any step"
    return {"text": f"{job} failed ({failed}), run {run_id}", "job": job, "run_id": run_id, "failed_steps": list(steps)}


def send(url: str, body: dict[str, Any], timeout: float = _TIMEOUT_S) -> str | None:
    """Post a body; what went wrong, or None. The answer names neither the address nor what it contains.

    Args:
        url: http or https.
        body: sent as JSON.
        timeout: seconds, of connecting and of every read.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        return "the address is neither http nor https"
    data = json.dumps(body, ensure_ascii=False).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=timeout):  # noqa: S310
            return None
    except urllib.error.HTTPError as error:
        error.close()
        return f"answered {error.code}"
    except (OSError, ValueError) as error:
        return type(error).__name__
