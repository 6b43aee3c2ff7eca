#!/usr/bin/env bash
# Fetches the pinned schema registry of Apicurio, and its Avro converter for Kafka Connect, into the cache, once: a folder
# `registry` with the server, one `converter` with jars. The last line on standard output is the path of the folder above.
set -euo pipefail

version=2.6.13.Final
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$here/cache.sh"

plugin=org.apache.maven.plugins:maven-dependency-plugin:3.6.1

# The local repository is a part of the partial folder and goes with it: outside the cache nothing is left.
build() {
	need java "install a Java development kit, version 17 or later"
	need mvn "install Apache Maven"
	mkdir -p "$1/registry"
	local maven=(mvn -q -B -ntp "-Dmaven.repo.local=$1/repository")
	{
		"${maven[@]}" -f "$here/schema-registry/pom.xml" -Dapicurio.version="$version" -DincludeScope=runtime \
			-DoutputDirectory="$1/converter" "$plugin:copy-dependencies" &&
			"${maven[@]}" "$plugin:copy" -Dartifact="io.apicurio:apicurio-registry-app:$version:tar.gz:all" \
				-DoutputDirectory="$1" &&
			tar -xzf "$1/apicurio-registry-app-$version-all.tar.gz" -C "$1/registry"
	} >"$1/log" 2>&1 || {
		cat "$1/log" >&2
		die "Maven could not fetch Apicurio"
	}
	rm -rf "$1/repository" "$1/log" "$1/apicurio-registry-app-$version-all.tar.gz"
	mv "$1/registry/apicurio-registry-app-$version-runner.jar" "$1/registry/runner.jar"
}

install_once "apicurio-$version" registry/runner.jar \
	"Fetching the schema registry of Apicurio $version into $cache (once; 170 MB, about 30 seconds)." build
printf '%s\n' "$cache/apicurio-$version"
