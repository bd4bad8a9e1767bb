"""The deployment's files agree with the code and with each other; nothing needs to be started for that."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from crawlers.config import BROWSERS
from pipelines.environments import OTHERS, Settings, variable
from search import server
from search.query import MAX_GARMENTS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
MANIFESTS = [
    document
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
WORKLOADS = [document for document in MANIFESTS if document["kind"] in {"Deployment", "StatefulSet"}]
END_SECONDS = server.BODY_SECONDS + server.PATIENCE + server._MARGIN
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()


def settings(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith("FASHION_")}


def test_environment__names_only_settings_that_there_are() -> None:
    texts = [path.read_text() for path in [*DEPLOY.rglob("*.yaml"), DEPLOY / ".env.example", DEPLOY / "Dockerfile"]]
    texts += [path.read_text() for path in (ROOT / ".github").rglob("*.yml")]
    named = {name for text in texts for name in re.findall(r"\bFASHION_[A-Z0-9_]+", text)}
    assert named
    assert named - {variable(name) for name in Settings.model_fields} - set(OTHERS) == set()


def test_dagster_yaml__differs_from_the_local_one_by_its_storage_only() -> None:
    shared, local = (yaml.safe_load((folder / "dagster.yaml").read_text()) for folder in (DEPLOY, ROOT))
    assert list(shared.pop("storage")) == ["postgres"]
    assert shared == local


def test_dagster_yaml__every_variable_is_given() -> None:
    wanted = set(re.findall(r"env: (\w+)", (DEPLOY / "dagster.yaml").read_text()))
    wanted |= set(re.findall(r"env: (\w+)", (DEPLOY / "workspace.yaml").read_text()))
    for name in ("code", "daemon", "webserver", "operator"):
        assert wanted <= set(SERVICES[name]["environment"]), name
    generated = next(document for document in MANIFESTS if document["kind"] == "Kustomization")
    given = {line.partition("=")[0] for line in generated["configMapGenerator"][0]["literals"]}
    assert wanted == {name for name in given if name.startswith("DAGSTER_")} | {"DAGSTER_POSTGRES_PASSWORD"}


def test_code__has_the_same_host_name_in_every_container() -> None:
    """By it a run knows which runs were killed with the container before (`pipelines.executor`)."""
    (pod,) = [work["spec"]["template"]["spec"] for work in WORKLOADS if work["metadata"]["name"] == "code"]
    assert SERVICES["code"]["hostname"] == pod["hostname"] == "code"


def test_compose__only_the_proxy_is_reachable() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert COMPOSE["networks"]["inside"]["internal"]
    assert {name for name, service in SERVICES.items() if "outside" in service["networks"]} == {"code", "proxy"}


def test_compose__every_reference_is_there() -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.MULTILINE))
    for service in SERVICES.values():
        assert set(service.get("depends_on", [])) <= set(SERVICES)
        assert service.get("build", {}).get("target", "search") in targets
        volumes = [line.partition(":")[0] for line in service.get("volumes", [])]
        assert {name for name in volumes if not name.startswith(".")} <= set(COMPOSE["volumes"])
    upstreams = {value for name, value in SERVICES["proxy"]["environment"].items() if name.endswith("_UPSTREAM")}
    assert {value.partition(":")[0] for value in upstreams} == {"search", "webserver", "operator"}
    assert (DEPLOY / "seccomp-chromium.json").is_file()


def test_compose__code_gets_every_setting_and_search_the_same_index() -> None:
    given = SERVICES["code"]["environment"]
    wanted = [variable(name) for name in Settings.model_fields if name not in {"profile", "data"}]
    assert {name: given.get(name) for name in wanted} == {name: f"${{{name}:-}}" for name in wanted}
    command = SERVICES["search"]["command"]
    assert command[command.index("--milvus") + 1] == given["FASHION_MILVUS"]
    assert f"CMD {json.dumps(command[:-2])}" in DOCKERFILE


def test_search__may_take_as_long_to_end_as_it_promises() -> None:
    work = next(work for work in WORKLOADS if work["metadata"]["name"] == "search")
    command = container(work)["command"]
    drain = int(command[command.index("--drain") + 1])
    assert work["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > drain + END_SECONDS
    assert int(SERVICES["search"]["stop_grace_period"].removesuffix("s")) > END_SECONDS


def test_doors__let_all_through_that_one_look_at_a_photo_fetches() -> None:
    static = ROOT / "search" / "static"
    shelf = re.search(r"SHELF = (\d+)", (static / "results.js").read_text())
    doors = re.search(r"burst=(\d+)", (DEPLOY / "nginx" / "fashion.conf.template").read_text())
    limits = next(document for document in MANIFESTS if document["kind"] == "Ingress")["metadata"]["annotations"]
    name = "nginx.ingress.kubernetes.io/limit-"
    assert shelf
    assert doors
    fetched = MAX_GARMENTS * int(shelf[1]) + len(list(static.iterdir()))
    assert int(doors[1]) > 2 * fetched  # and the next photo at once
    assert int(limits[f"{name}rps"]) * int(limits[f"{name}burst-multiplier"]) > 2 * fetched


def test_compose__every_service_is_hardened_and_watched() -> None:
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["healthcheck"]["test"], name
        assert service["mem_limit"], name


def test_webservers__the_shown_one_is_read_only() -> None:
    assert "--read-only" in SERVICES["webserver"]["command"]
    assert "--read-only" not in SERVICES["operator"]["command"]
    commands = {
        work["metadata"]["name"]: container(work)["command"] for work in WORKLOADS if "command" in container(work)
    }
    assert "--read-only" in commands["webserver"]
    ingress = next(document for document in MANIFESTS if document["kind"] == "Ingress")
    shown = [path["backend"]["service"]["name"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
    assert shown == ["search", "webserver"]
    assert "nginx.ingress.kubernetes.io/auth-url" in ingress["metadata"]["annotations"]


def test_metrics__closed_at_the_doors_and_open_to_prometheus() -> None:
    """In ingress-nginx, an exact path goes before the prefix `/` of another ingress of the same host."""
    shown, closed = (document for document in MANIFESTS if document["kind"] == "Ingress")
    (rule,) = closed["spec"]["rules"]
    assert rule["host"] == shown["spec"]["rules"][0]["host"]
    assert [(path["path"], path["pathType"]) for path in rule["http"]["paths"]] == [("/metrics", "Exact")]
    ranges = closed["metadata"]["annotations"]["nginx.ingress.kubernetes.io/whitelist-source-range"]
    assert ranges == "127.0.0.1/32"
    text = (DEPLOY / "kubernetes" / "network.yaml").read_text()
    commented = yaml.safe_load_all(re.sub("^# ?", "", text[text.index("\n# ---") :], flags=re.MULTILINE))
    (policy,) = (document for document in commented if document and document["metadata"]["name"] == "metrics")
    assert policy["spec"]["podSelector"]["matchLabels"] == {"app": "search"}
    assert policy["spec"]["ingress"][0]["ports"] == [{"port": 8700}]


def container(workload: dict[str, Any]) -> dict[str, Any]:
    return workload["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload["metadata"]["name"])
def test_kubernetes__every_pod_is_confined(workload: dict[str, Any]) -> None:
    pod, inside = workload["spec"]["template"]["spec"], container(workload)
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"]["type"] in {"RuntimeDefault", "Localhost"}
    assert not pod["automountServiceAccountToken"]
    assert inside["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert not inside["securityContext"]["allowPrivilegeEscalation"]
    assert inside["resources"]["limits"]["memory"]
    assert inside["resources"]["requests"]["cpu"]
    assert inside["readinessProbe"]
    assert inside["livenessProbe"]


def test_kubernetes__every_reference_is_there() -> None:
    names = {(document["kind"], document["metadata"]["name"]) for document in MANIFESTS if "metadata" in document}
    for work in WORKLOADS:
        pod = work["spec"]["template"]["spec"]
        mounted = {mount["name"] for mount in container(work)["volumeMounts"]}
        own = {claim["metadata"]["name"] for claim in work["spec"].get("volumeClaimTemplates", [])}
        assert mounted == {volume["name"] for volume in pod["volumes"]} | own
        for volume in pod["volumes"]:
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in names
    services = {name for kind, name in names if kind == "Service"}
    assert services <= {work["metadata"]["name"] for work in WORKLOADS}


def test_kubernetes__no_secret_is_written_down() -> None:
    assert not [document for document in MANIFESTS if document["kind"] == "Secret"]
    policy = next(document for document in MANIFESTS if document["kind"] == "NetworkPolicy")
    assert policy["spec"]["podSelector"] == {}


def test_dockerfile__images_run_as_nobody_and_are_watched() -> None:
    for target in ("search", "dagster"):
        stage = DOCKERFILE.split(f"FROM runtime AS {target}\n")[1].split("\nFROM ")[0]
        assert "USER 10001:10001" in stage
        assert "HEALTHCHECK" in stage


def test_dockerfile__installs_extras_that_there_are() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {name for line in re.findall(r"pip install '\.\[([^\]]+)\]'", DOCKERFILE) for name in line.split(",")}
    assert named
    assert named <= set(extras)


def test_setup__looks_for_the_browsers_that_crawls_take() -> None:
    text = (ROOT / "scripts/setup.sh").read_text()
    assert set(re.findall(r"-f (/\S+)", text)) == set(map(str, BROWSERS))
    installed = " ".join(re.findall(r"apt_install ([\w -]+)", text)).split()
    assert {"fontconfig", "fonts-noto-cjk", *(path.name for path in BROWSERS)} <= set(installed)
    assert f"/{BROWSERS[-1].relative_to('/')}\n" in text.partition("ln -sf")[2]


def test_dockerignore__lets_in_what_is_copied() -> None:
    let_in = set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == let_in


def test_workflow__actions_are_pinned_and_permissions_least() -> None:
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        text = path.read_text()
        workflow = yaml.safe_load(text)
        assert workflow["permissions"] == {}
        assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", used) for used in re.findall(r"uses: (\S+)", text))
        assert all(job["permissions"] == {"contents": "read"} for job in workflow["jobs"].values())
        assert all(job["timeout-minutes"] for job in workflow["jobs"].values())
