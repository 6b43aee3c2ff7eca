#!/usr/bin/env bash
# Writes what the documentation takes from the code: docs/configuration.md from the services' settings, and the blocks of
# README.md that begin with <!-- docs/examples/… --> from the files that the tests run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

configuration() {
	cat <<-'MARKDOWN'
		# Configuration

		Written by `make generate` from the settings' structs. Each service prints its own table with `--config-table`, and
		`--help` for a terminal. A setting that does not fit ends the service at its start, all of them named at once; a
		variable that is almost a known one is warned of.

		Two services on one machine need two admin addresses. A password or key may stand in a file instead
		(`…_FILE`), which is read again when it changes. `FRESHET_SOURCE_KAFKA_*` is the cluster of the producers' topics: set
		none of them, and it is the pipeline's; set one, and nothing is taken over from the other cluster.
	MARKDOWN
	local service
	for service in ingest embed write; do
		printf '\n## freshet-%s\n\n' "$service"
		go run "./services/$service" --config-table
	done
}

# examples FILE: prints FILE with the code block behind each marker replaced by the file that the marker names.
examples() {
	awk '
		/^<!-- docs\/examples\/[^ ]* -->$/ { print; file = $2; next }
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
trap 'rm -f docs/configuration.md.new README.md.new' EXIT
configuration >docs/configuration.md.new
examples README.md >README.md.new
mv docs/configuration.md.new docs/configuration.md
mv README.md.new README.md
