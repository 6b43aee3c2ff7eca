#!/usr/bin/env bash
# Installs the pinned Schemathesis, which tries the HTTP interface of ingest by its OpenAPI document, into the cache, once.
# The last line on standard output is the path of a Python that has it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(sed -n 's/^schemathesis==\([^ ;]*\).*/\1/p' "$here/schemathesis/requirements.txt")
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$here/cache.sh"

# The folder is renamed afterwards. Its Python finds its packages by its own place; only the scripts beside it would not,
# and nothing uses them.
build() {
	need python3 "install Python 3.11 or later"
	python3 -m venv "$1" >&2 || die "python3 cannot make an environment: install its venv module (Debian: python3-venv)"
	"$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --require-hashes --only-binary :all: \
		-r "$here/schemathesis/requirements.txt" >&2 || die "pip could not install Schemathesis"
	touch "$1/whole"
}

install_once "schemathesis-$version" whole \
	"Installing Schemathesis $version into $cache (once; about 20 seconds)." build
printf '%s\n' "$cache/schemathesis-$version/bin/python"
