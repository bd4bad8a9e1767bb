"""`python -m pipelines doctor`: what is missing on this machine for what is set, and how to get it.

Each probe is a small function from a `Patient` to findings. One that fails itself is a finding too, so that a broken
driver or a server that hangs up hides nothing else.
"""

import re
from collections.abc import Mapping, Sequence

from pipelines.doctor import folders, machine, services
from pipelines.doctor.finding import Finding, Patient, Probe
from pipelines.environments import PREFIX, Settings, SettingsError, read_settings

PROBES: Sequence[Probe] = (
    machine.python,
    machine.packages,
    machine.browser,
    machine.fonts,
    machine.memory,
    machine.gpu,
    folders.data_folder,
    folders.world,
    folders.disk,
    folders.annotations,
    folders.thumbnails,
    folders.photos,
    folders.dagster_home,
    services.ports,
    services.daemon,
    services.addresses,
    services.contact,
    services.storage,
)


def diagnose(environment: Mapping[str, str], probes: Sequence[Probe] = PROBES) -> list[Finding]:
    """Findings of all probes. With wrong settings, what they say and then what the defaults need."""
    findings = []
    try:
        settings = read_settings(environment)
    except SettingsError as error:
        remedy = "docs/SETTINGS.md lists them with the values they take"
        problems = re.split(f"; (?={PREFIX})", str(error))
        findings += [Finding("settings", "fail", problem, remedy) for problem in problems]
        settings = Settings.model_validate({})
    patient = Patient(settings, environment)
    for probe in probes:
        try:
            findings += probe(patient)
        except Exception as error:
            told = f"could not be looked at: {type(error).__name__}: {error}"
            findings.append(Finding(probe.__name__, "fail", told, "mend what the message names"))
    return findings


def text(findings: Sequence[Finding]) -> str:
    """Findings as lines for a terminal, each remedy below what it mends."""
    lines = []
    for found in findings:
        lines.append(f"{found.level:<5} {found.probe:<14} {found.told}")
        lines += [f"{'':<20} → {found.remedy}"] if found.remedy else []
    bad = {level: sum(found.level == level for found in findings) for level in ("fail", "warn")}
    return "\n".join([*lines, f"{bad['fail']} to mend, {bad['warn']} to know about"])
