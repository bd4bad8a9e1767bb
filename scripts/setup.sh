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
# Crawls take these, where Debian puts them (crawlers/config.py). The second renders a page with half the work.
[ -f /usr/bin/chromium ] || (apt_install chromium) || echo "no such package: going on without" >&2
[ -f /usr/bin/chromium-headless-shell ] || (apt_install chromium-headless-shell) || echo "going on without" >&2
[ -n "$(fc-list :lang=ko 2>/dev/null)" ] || (apt_install fontconfig fonts-noto-cjk) || echo "going on without" >&2

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --upgrade pip
"$venv/bin/python" -m pip install --quiet -e '.[dev]'
# By itself: what is installed already is kept, so there is little left to resolve.
"$venv/bin/python" -m pip install --quiet -e '.[dev-cluster]'

# Ubuntu has Chromium as a snap alone, which no program can drive. Playwright brings its own, with the libraries that it needs.
if ! [ -f /usr/bin/chromium ] && ! [ -f /usr/bin/chromium-headless-shell ] && ! [ -f /usr/local/bin/chromium-headless-shell ]
then
    PLAYWRIGHT_BROWSERS_PATH=$(realpath "$venv")/browsers
    export PLAYWRIGHT_BROWSERS_PATH
    "$venv/bin/python" -m playwright install --with-deps chromium-headless-shell
    shell=$(find "$PLAYWRIGHT_BROWSERS_PATH" -type f \( -name headless_shell -o -name chrome-headless-shell \) | head -n 1)
    $sudo ln -sf "$shell" /usr/local/bin/chromium-headless-shell
fi
