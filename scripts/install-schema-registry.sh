#!/usr/bin/env bash
# Fetches the pinned schema registry of Apicurio, and its Avro converter for Kafka Connect, into the cache, once: a folder
# `registry` with the server, one `converter` with jars. The last line on standard output is the path of the folder above.
set -euo pipefail

version=2.6.13.Final
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$here/cache.sh"
# shellcheck source-path=SCRIPTDIR source=maven.sh
. "$here/maven.sh"

build() {
	local archive=apicurio-registry-app-$version
	copy_jars "$1" converter Apicurio "$here/schema-registry/pom.xml" -Dapicurio.version="$version"
	maven "$1" Apicurio copy -Dartifact="io.apicurio:apicurio-registry-app:$version:tar.gz:all" -DoutputDirectory="$1"
	mkdir "$1/registry"
	tar -xzf "$1/$archive-all.tar.gz" -C "$1/registry"
	mv "$1/registry/$archive-runner.jar" "$1/registry/runner.jar"
	rm -rf "$1/repository" "$1/$archive-all.tar.gz"
}

install_once "apicurio-$version" registry/runner.jar \
	"Fetching the schema registry of Apicurio $version into $cache (once; 170 MB, about 30 seconds)." build
printf '%s\n' "$cache/apicurio-$version"
