# shellcheck shell=bash
# Sourced: a registry of images on loopback, for dry runs.

# serve_registry CRANE FOLDER LOG [HOST:PORT]: starts one whose blobs are kept in FOLDER, at a free port unless one is given, and sets
# registry (host:port) and registry_pid.
serve_registry() {
	local crane=$1 folder=$2 log=$3
	mkdir -p "$folder"
	for _ in 1 2 3 4 5; do
		registry=${4:-127.0.0.1:$((20000 + RANDOM % 20000))}
		"$crane" registry serve --address "$registry" --disk "$folder" >"$log" 2>&1 &
		registry_pid=$!
		for _ in $(seq 100); do
			kill -0 "$registry_pid" 2>/dev/null || break # the port was taken
			(exec 3<>"/dev/tcp/${registry%:*}/${registry#*:}") 2>/dev/null && return
			sleep 0.1
		done
		kill "$registry_pid" 2>/dev/null || true
	done
	cat "$log" >&2
	return 1
}
