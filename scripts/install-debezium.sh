#!/usr/bin/env bash
# Fetches the jars of a Kafka Connect worker and of the pinned Debezium connectors into the cache, once. The last line on
# standard output is the path of their folder: libs is the worker's, plugins the connectors'.
set -euo pipefail

# Each is the newest whose dependencies all resolve; Connect isolates connectors, so their versions may differ.
version=3.7.0.Final
mariadb=3.5.0.Final
kafka=4.3.1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$here/cache.sh"
# shellcheck source-path=SCRIPTDIR source=maven.sh
. "$here/maven.sh"

# connector FOLDER NAME VERSION: what the worker has is left out; a second Jackson there would break its converters.
connector() {
	copy_jars "$1" "plugins/$2" Debezium "$here/debezium/connector.xml" -Dconnector="$2" -Ddebezium.version="$3" \
		-DexcludeGroupIds=org.apache.kafka,org.slf4j,org.xerial.snappy,com.github.luben,org.lz4,at.yawk.lz4,com.fasterxml.jackson.core
}

build() {
	copy_jars "$1" libs "Kafka Connect" "$here/debezium/connect.xml" -Dkafka.version="$kafka"
	connector "$1" postgres "$version"
	connector "$1" mariadb "$mariadb"
	rm -rf "$1/repository"
}

install_once "debezium-$version" "plugins/mariadb/debezium-connector-mariadb-$mariadb.jar" \
	"Fetching Kafka Connect $kafka and Debezium $version into $cache (once; about 30 seconds)." build
printf '%s\n' "$cache/debezium-$version"
