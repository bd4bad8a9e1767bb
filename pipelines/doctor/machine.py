"""Probes of the machine: Python, packages, browser, fonts, memory, GPU."""

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import psutil
from packaging.requirements import Requirement

from crawlers.config import BROWSERS
from pipelines.doctor.finding import Finding, Patient

_PACKAGE: Final = "fashion-pairs"
_OLDEST: Final = (3, 11)
_GIB: Final = 1024**3
_MEMORY_GIB: Final = {"sandbox": 4, "full": 32}
"""The demo peaks at 2.8 GiB; at full size two workers decode, and the index of a million products is built in 3.6."""
_GPU_GIB: Final = 16
"""A batch of 64 pairs of a Swin-B with gradient caching in bfloat16, with room to spare; see `docs/OPERATING.md`."""
_CGROUP: Final = Path("/sys/fs/cgroup/memory.max")


def python(patient: Patient) -> list[Finding]:
    """The interpreter is new enough."""
    del patient
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < _OLDEST:
        return [Finding("python", "fail", f"Python {version} is too old", "make setup PYTHON=python3.11, or newer")]
    return [Finding("python", "ok", f"Python {version}")]


def packages(patient: Patient) -> list[Finding]:
    """Every package of the extras that the settings need is there, in a version that is allowed."""
    wanted = importlib.metadata.requires(_PACKAGE) or []
    problems = {extra: _unmet(wanted, extra) for extra in ["", *_extras(patient)]}
    bad = {extra: unmet for extra, unmet in problems.items() if unmet}
    if not bad:
        return [Finding("packages", "ok", f"all of {_PACKAGE}[{','.join(_extras(patient))}]")]
    return [
        Finding(
            "packages",
            "fail",
            f"{extra or 'core'}: {', '.join(unmet)}",
            f"pip install -e '.[{extra}]'" if extra else "pip install -e .",
        )
        for extra, unmet in bad.items()
    ]


def _extras(patient: Patient) -> list[str]:
    extras = ["crawl", "train", "serve", "pipeline"]
    extras += [] if patient.full else ["sandbox"]
    extras += ["milvus"] if patient.settings.milvus else []
    return extras + (["ray"] if patient.settings.engine == "ray" else [])


def _unmet(wanted: list[str], extra: str) -> list[str]:
    unmet = []
    for line in wanted:
        need = Requirement(line)
        inside = need.marker is None or need.marker.evaluate({"extra": extra})
        if not inside or (extra and need.marker is None):
            continue
        try:
            version = importlib.metadata.version(need.name)
        except importlib.metadata.PackageNotFoundError:
            unmet.append(f"{need.name} is not installed")
            continue
        if not need.specifier.contains(version, prereleases=True):
            unmet.append(f"{need.name} {version} is not {need.specifier}")
    return unmet


def browser(patient: Patient) -> list[Finding]:
    """Chromium is there for the pages that must be rendered; the lighter one is worth having."""
    del patient
    found = [path for path in BROWSERS if path.is_file()]
    if not found:
        return [Finding("browser", "fail", "no Chromium", "apt-get install chromium-headless-shell chromium")]
    if found[0].name != BROWSERS[0].name:
        told = f"{found[0]}; chromium-headless-shell renders a page with half the work"
        return [Finding("browser", "warn", told, "apt-get install chromium-headless-shell")]
    return [Finding("browser", "ok", str(found[0]))]


def fonts(patient: Patient) -> list[Finding]:
    """Korean text is drawn as text, in pages and pictures."""
    del patient
    remedy = "apt-get install fontconfig fonts-noto-cjk"
    if shutil.which("fc-list") is None:
        return [Finding("fonts", "warn", "no fc-list, so fonts could not be listed", remedy)]
    listed = subprocess.run(["fc-list", ":lang=ko", "family"], capture_output=True, text=True, check=True, timeout=30)  # noqa: S607
    families = sorted(set(filter(None, listed.stdout.splitlines())))
    if not families:
        return [Finding("fonts", "warn", "no font has Korean letters: pages show boxes instead", remedy)]
    return [Finding("fonts", "ok", families[0])]


def memory(patient: Patient) -> list[Finding]:
    """There is as much memory as the profile's largest stage takes."""
    needed = _MEMORY_GIB[patient.settings.profile]
    there = min(psutil.virtual_memory().total, _cgroup_limit()) / _GIB
    told = f"{there:.1f} GiB; {patient.settings.profile} needs {needed}"
    remedy = "a larger machine, or FASHION_CONCURRENCY=1" if there < needed else ""
    return [Finding("memory", "warn" if there < needed else "ok", told, remedy)]


def _cgroup_limit() -> float:
    """Bytes that this container may use; infinite outside one."""
    limit = _CGROUP.read_text().strip() if _CGROUP.is_file() else "max"
    return float("inf") if limit == "max" else float(limit)


def gpu(patient: Patient) -> list[Finding]:
    """Full-size models have a GPU with enough memory, and a torch that can use it."""
    if not patient.full:
        return [Finding("gpu", "ok", "not needed in the sandbox")]
    cards = _cards()
    if not cards:
        remedy = "a machine with an NVIDIA GPU and its driver (nvidia-smi must work)"
        return [Finding("gpu", "fail", "none; full-size training takes weeks without", remedy)]
    findings = []
    for name, gib in cards:
        small = gib < _GPU_GIB
        remedy = "a larger GPU, or a smaller batch in the preset" if small else ""
        findings.append(Finding("gpu", "warn" if small else "ok", f"{name}, {gib:.0f} GiB; {_GPU_GIB} wanted", remedy))
    if "+cpu" in importlib.metadata.version("torch"):
        findings.append(
            Finding("gpu", "fail", "torch is the build without CUDA", "pip install --force-reinstall torch")
        )
    return findings


def _cards() -> list[tuple[str, float]]:
    """Name and GiB of each NVIDIA GPU."""
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    answer = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30)
    rows = [line.rsplit(",", 1) for line in answer.stdout.splitlines() if line.strip()]
    return [(name.strip(), float(mib) / 1024) for name, mib in rows]
