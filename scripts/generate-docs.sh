#!/usr/bin/env bash
# Writes what the documentation takes from the code: docs/configuration.md from the services' and commands' settings, docs/pipeline.schema.json from the pipeline file's structs, docs/kafka.md from
# those of the Kafka clients and from their fixed options, docs/licences.md from the modules that are built in,
# charts/freshet/settings.yaml from docs/configuration.md, and the blocks of README.md, docs/redis.md and the chart's README that begin with
# <!-- docs/examples/… --> or <!-- charts/… --> from those files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

configuration() {
	cat <<-'MARKDOWN'
		# Configuration

		Written by `make generate` from the settings' structs. Each service prints its own table with `--config-table`, and
		`--help` for a terminal. A setting that does not fit, or a fault in the pipeline file, ends the service at its start with
		exit code 2, all of them named at once; a variable that is almost a known one is named with them, or warned of.

		Two services on one machine need two admin addresses. A password or key may stand in a file instead
		(`…_FILE`), which is read again when it changes. `FRESHET_SOURCE_KAFKA_*` is the cluster of the producers' topics: set
		none of them, and it is the pipeline's; set one, and nothing is taken over from the other cluster.

		## The command freshet

		`freshet` reads the services' variables; where none says where Kafka or Weaviate is, those of a running `freshet dev`.
		Of its own it has:

	MARKDOWN
	go run ./services/ctl config-table
	local service
	for service in ingest embed write; do
		printf '\n## freshet-%s\n\n' "$service"
		go run "./services/$service" --config-table
	done
}

kafka() {
	cat <<-'MARKDOWN'
		# Kafka clients

		Written by `make generate` from the code (`libs/kafka`). `FRESHET_SOURCE_KAFKA_*` has the same settings for another
		cluster of source topics; set one of them, a limit too, and none is taken over from the pipeline's. How a group's
		members share partitions is `FRESHET_GROUP_PROTOCOL` in [configuration.md](configuration.md).

		## Memory

		What a process holds is bounded by the sum of

		* a consumer: `MAX_CONCURRENT_FETCHES` × `FETCH_MAX_BYTES` (64 MiB) as the records come from the brokers; unpacked, that
		  times the ratio of their compression (JSON in zstd: 5 to 10);
		* a stage's queue: `FRESHET_QUEUE_BYTES` (128 MiB, of write 32 MiB), unpacked, and what one poll adds to it;
		* a producer: `MAX_BUFFERED_BYTES` (32 MiB);
		* what `ingest` takes over HTTP: `FRESHET_HTTP_MAX_IN_FLIGHT_BYTES` (32 MiB), and a producer more.

		`embed` has two of each, one a lane. A lane that keeps up holds a few MiB; the bounds matter when it catches up. Three
		brokers with JSON in zstd come to 3 × 8 MiB × 5 + 128 MiB + 32 MiB = 280 MiB for `ingest`, of the 512 MiB that the chart
		allows. For a larger cluster, or source topics that compress better, lower `FETCH_MAX_BYTES` first.

		## Rotation

		Passwords, tokens, certificate authorities and client certificates are looked at again for each new connection, so a
		rotated file needs no restart (a user name in the chart is no file: that needs one). A file that cannot be read keeps the last good one in use (for certificates with a warning). What is
		refused when a process starts ends it, with one line that says by whom; what is merely away is waited for.

		## Rights

		`freshet topics acl` prints the access control lists that each service needs, and no more: as a table, for Kafka's own
		tool (`-o commands`), or as users of Strimzi (`-o strimzi`). Each service may have a user of its own. Two more are for
		`freshet topics apply`, the only one that may create topics, and for `freshet selftest`, which `helm test` runs: it writes
		to the source topic that it takes by itself (`--selftest-topic` names others), reads what `freshet why` reads, and sees
		all groups (`*`), since it refuses a topic with other readers and Kafka leaves out of its list who may not be seen.
		Nobody needs a right for the whole cluster. `TestRights` runs everything with these rights alone on a broker that refuses
		the rest, and finds each of them used.

		    $ freshet topics acl -o commands --user ingest=User:CN=shop-ingest | BROKERS=kafka:9092 sh

		What looks into an installation (`freshet search`, `dlq list` and `show`, `cost`, `status`, `why`) reads all topics of the
		pipeline and describes its groups. `dlq redrive` reads the source topics, too, and writes live documents; `epoch raise`
		sets the offsets of all groups, and writes the control topic.

		## What the clients measure

		`/metrics` shows them as `messaging_kafka_*`, by broker and, for records, by topic: connections (with outcome
		`failure` where one could not be opened), bytes, errors, and the records produced and fetched. They count all clients of
		a process, of both clusters.

		## The group protocol

		`classic` works with every Kafka. With `consumer` (KIP-848) the broker shares the partitions out: a member that comes or
		goes stops only those whose partitions move, and a rolling restart is quieter. It needs Kafka 4.0, better 4.3 (before it a
		commit can fail with STALE_MEMBER_EPOCH during a rebalance, and its records are read twice), the broker's
		`group.consumer.session.timeout.ms` and `group.consumer.heartbeat.interval.ms` take the place of
		`FRESHET_SESSION_TIMEOUT`, and tools must be of Kafka 4 to show the group. A service that is set to `consumer` does not
		start where the brokers do not serve it. A running group changes over, in both directions, while its members are
		restarted one by one. `write` reads two topics that must stay together, and keeps to `classic`.

	MARKDOWN
	go run ./libs/kafka/kafkadoc
}

licences() {
	cat <<-'MARKDOWN'
		# Licences

		Written by `make generate` from the modules that the services and `freshet` are built of; it fails on a licence that is
		not permissive, but for MPL-2.0, whose files are used as they are. `NOTICE` has what the built-in model is made of.

	MARKDOWN
	go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./services/{ingest,embed,write,ctl} |
		sort -u | GOWORK=off go run -C scripts/tools ./licences
}

# The names that the chart takes in `env`. Of a secret it is the file's: values hold no secrets.
chart_settings() {
	echo '# Written by `make generate`: the settings that each service knows.'
	awk '
		/^## freshet-/ { service = 1; print substr($2, length("freshet-") + 1) ":" }
		/^\| `FRESHET_/ && service { gsub("`", "", $2); print "- " $2 (/; or `FRESHET_[A-Z_]*_FILE`/ ? "_FILE" : "") }
	' docs/configuration.md
}

# examples FILE: prints FILE with the code block behind each marker replaced by the file that the marker names.
examples() {
	awk '
		/^<!-- (docs\/examples|charts)\/[^ ]* -->$/ { print; file = $2; next }
		file != "" && /^```/ && !inside {
			print; inside = 1
			while ((getline line < file) > 0) print line
			close(file); next
		}
		inside && !/^```/ { next }
		inside { inside = 0; file = "" }
		{ print }
	' "$1"
}

# Written beside and renamed: a generator that fails leaves the old text.
trap 'rm -f docs/configuration.md.new docs/kafka.md.new docs/licences.md.new docs/pipeline.schema.json.new README.md.new docs/redis.md.new charts/freshet/settings.yaml.new charts/freshet/README.md.new' EXIT
configuration >docs/configuration.md.new
kafka >docs/kafka.md.new
licences >docs/licences.md.new
go run ./services/ctl plan --json-schema >docs/pipeline.schema.json.new
examples README.md >README.md.new
examples docs/redis.md >docs/redis.md.new
examples charts/freshet/README.md >charts/freshet/README.md.new
mv docs/pipeline.schema.json.new docs/pipeline.schema.json
mv docs/kafka.md.new docs/kafka.md
mv docs/licences.md.new docs/licences.md
mv docs/configuration.md.new docs/configuration.md
mv README.md.new README.md
mv docs/redis.md.new docs/redis.md
mv charts/freshet/README.md.new charts/freshet/README.md
chart_settings >charts/freshet/settings.yaml.new
mv charts/freshet/settings.yaml.new charts/freshet/settings.yaml
