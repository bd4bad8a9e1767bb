#!/bin/sh
# Build the virtual environment given as $1 and install what the project needs, the browser too.
set -eu
venv=$1
python=${PYTHON:-python3}

sudo=""
[ "$(id -u)" -eq 0 ] || sudo=sudo

apt_install() {
    command -v apt-get >/dev/null || { echo "please install: $*" >&2; exit 1; }
    # A fresh Ubuntu holds the lock for its own upgrades for a while after it starts.
    apt="$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300"
    $apt update
    $apt install -y --no-install-recommends "$@"
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$python is older than Python 3.11" >&2; exit 1; }
"$python" -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    apt_install chromium fonts-noto-cjk
# Renders a page with half the work, for crawls; without it they take the other one.
command -v chromium-headless-shell >/dev/null || (apt_install chromium-headless-shell) || echo "going on without" >&2

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --upgrade pip
"$venv/bin/python" -m pip install --quiet -e '.[dev]'
# By itself: what is installed already is kept, so there is little left to resolve.
"$venv/bin/python" -m pip install --quiet -e '.[dev-cluster]'
