#!/usr/bin/env bash
# Installs the pinned Schemathesis, which tries the HTTP interface of ingest by its OpenAPI document, into the cache, once.
# The last line on standard output is the path of a Python that has it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(sed -n 's/^schemathesis==\([^ ;]*\).*/\1/p' "$here/schemathesis/requirements.txt")
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$here/cache.sh"
# shellcheck source-path=SCRIPTDIR source=venv.sh
. "$here/venv.sh"

build() { venv "$1" Schemathesis 3.11 --require-hashes --only-binary :all: -r "$here/schemathesis/requirements.txt"; }

install_once "schemathesis-$version" whole \
	"Installing Schemathesis $version into $cache (once; about 20 seconds)." build
printf '%s\n' "$cache/schemathesis-$version/bin/python"
