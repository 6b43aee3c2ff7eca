#!/usr/bin/env bash
# Installs the pinned Python clients of Weaviate and OpenAI, which the README's example uses, and that of Confluent, into the
# cache, once. The last line on standard output is the path of a Python that has them.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(sha256sum "$here/python/requirements.txt" | cut -c1-12)
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$here/cache.sh"
# shellcheck source-path=SCRIPTDIR source=venv.sh
. "$here/venv.sh"

build() { venv "$1" "the Python clients" 3.10 -r "$here/python/requirements.txt"; }

install_once "python-clients-$version" whole \
	"Installing the Python clients of Weaviate, OpenAI and Confluent into $cache (once; about 20 seconds)." build
printf '%s\n' "$cache/python-clients-$version/bin/python"
