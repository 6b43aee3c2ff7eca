#!/usr/bin/env bash
# Fetches the jars of the pinned Apache Kafka broker into the cache, once. The last line on standard output is the path
# of the folder with the jars.
set -euo pipefail

version=4.3.1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$here/cache.sh"
# shellcheck source-path=SCRIPTDIR source=maven.sh
. "$here/maven.sh"

build() {
	copy_jars "$1" libs "Apache Kafka" "$here/kafka/pom.xml" -Dkafka.version="$version"
	rm -rf "$1/repository"
	archive_classes "$1" || say "Kafka's classes were not archived; its starts take twice as long."
}

# archive_classes FOLDER: one broker is started and stopped, and the JVM keeps the classes it loaded in kafka.jsa. That
# halves each later start (2.1 s to 0.9 s, and the processor time with it). The jars are named relative to the folder,
# because an archive is good only for the class path it was made with, and the folder is renamed afterwards.
archive_classes() (
	cd "$1"
	mkdir warm
	broker='' waited=0 # not local: the trap reads it when the function is over
	trap 'kill "$broker" 2>/dev/null || true; rm -rf warm' EXIT
	cat >warm/properties <<-PROPERTIES
		process.roles=broker,controller
		node.id=1
		controller.quorum.bootstrap.servers=127.0.0.1:1
		listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0
		controller.listener.names=CONTROLLER
		listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
		log.dirs=$PWD/warm/log
		log.cleaner.dedupe.buffer.size=8388608
	PROPERTIES
	local flags=(-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData "-Djava.io.tmpdir=$PWD/warm"
		-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info -cp 'libs/*')
	java "${flags[@]}" kafka.tools.StorageTool format --standalone -t MkU3OEVBNTcwNTJENDM2Qg -c warm/properties \
		>warm/format 2>&1 || return
	java -XX:ArchiveClassesAtExit=kafka.jsa "${flags[@]}" kafka.Kafka warm/properties >warm/out 2>&1 &
	broker=$!
	until grep -qs 'Server started' warm/out || [ $((waited++)) -ge 600 ] || ! kill -0 "$broker" 2>/dev/null; do
		sleep 0.1
	done
	kill "$broker"
	wait "$broker" || true # ended by the signal
	[ -e kafka.jsa ]
)

install_once "kafka-$version" "libs/kafka_2.13-$version.jar" \
	"Fetching Apache Kafka $version into $cache (once; about 20 seconds)." build
printf '%s\n' "$cache/kafka-$version/libs"
