#!/usr/bin/env bash
# Installs the pinned Python clients of Weaviate and OpenAI, which the README's example uses, into the cache, once. The
# last line on standard output is the path of a Python that has them.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(sed -n 's/^weaviate-client==//p' "$here/python/requirements.txt")
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$here/cache.sh"

# The folder is renamed afterwards. Its Python finds its packages by its own place; only the scripts beside it would not,
# and nothing uses them.
build() {
	need python3 "install Python 3.10 or later"
	python3 -m venv "$1" >&2 || die "python3 cannot make an environment: install its venv module (Debian: python3-venv)"
	"$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir -r "$here/python/requirements.txt" >&2 ||
		die "pip could not install the Python clients"
	touch "$1/whole"
}

install_once "python-weaviate-$version" whole \
	"Installing Weaviate's Python client $version into $cache (once; about 20 seconds)." build
printf '%s\n' "$cache/python-weaviate-$version/bin/python"
