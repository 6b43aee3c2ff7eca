#!/usr/bin/env bash
# Lints and renders the chart with each file of ci/, checks that it refuses what it should, and that skaffold.yaml names
# only what exists. It needs no cluster; HELM names another helm than that of scripts/tools.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

helm=${HELM:-bin/tools/helm}
if ! command -v "$helm" >/dev/null; then
	echo 'check-charts: no helm here: run `make lint` once, which builds the tools, or set HELM' >&2
	exit 1
fi
chart=charts/freshet
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
faults=0
fault() {
	echo "check-charts: $*" >&2
	faults=$((faults + 1))
}

# Strict about warnings too. The default values alone are no chart: they name no brokers.
for values in "$chart"/ci/*-values.yaml; do
	name=$(basename "$values" -values.yaml)
	"$helm" lint --strict --quiet --values "$values" "$chart" || fault "lint with $values"
	"$helm" template freshet "$chart" --namespace search --values "$values" >"$out/$name.yaml" || fault "template with $values"
	for kind in Deployment Job ServiceAccount; do
		grep -q "^kind: $kind$" "$out/$name.yaml" || fault "$values renders no $kind"
	done
	grep -q -- '- {name: admin, containerPort: 9090' "$out/$name.yaml" || fault "$values renders no admin port"
done

# refuses NAME EXPECTED ARGUMENT...: rendering fails, and says why.
refuses() {
	local name=$1 expected=$2
	shift 2
	if "$helm" template freshet "$chart" --values "$chart/ci/minimal-values.yaml" "$@" >"$out/refused" 2>&1; then
		fault "$name is taken"
	elif ! grep -q "$expected" "$out/refused"; then
		fault "$name is refused without saying \"$expected\": $(tail -1 "$out/refused")"
	fi
}
refuses 'an unknown value' 'replica' --set write.replica=3
refuses 'an unknown nested value' 'broker' --set kafka.broker=kafka:9092
refuses 'no brokers' 'kafka.brokers is empty' --set 'kafka.brokers=null'
refuses 'no pipeline file' 'pipeline.file is empty' --set pipeline.file=
refuses 'a mechanism without credentials' 'existingSecret' --set kafka.sasl.mechanism=PLAIN
refuses 'a password in a URL' 'redis.existingSecret' --set redis.url=redis://user:pass@redis:6379
refuses 'HTTP for everybody' 'who may send' --set http.enabled=true
refuses 'more replicas than partitions' 'nothing to do' --set write.replicas=25

# The full values use all secrets; each must be mounted where the services look for it.
for file in $(grep -o '/etc/freshet/secrets/[a-z-]*' "$out/full.yaml" | sort -u); do
	grep -q "mountPath: $file, readOnly" "$out/full.yaml" || fault "nothing is mounted at $file"
done

# What is rendered must be what the tests look at.
grep -q '^kind: PodMonitor$' "$out/full.yaml" || fault 'the full values render no PodMonitor'
for alert in $(sed -n 's/^  - alert: //p' "$chart/rules/freshet.yaml"); do
	grep -q -- "- alert: $alert$" "$out/full.yaml" || fault "the PrometheusRule lacks $alert"
done
for file in "$chart"/dashboards/*.json; do
	grep -q "^  $(basename "$file"): |-$" "$out/full.yaml" || fault "no ConfigMap has $file"
done

# A setting that no service knows would only be warned of at run time. The binaries list theirs; without them (make
# build) this is left out.
if [ -x bin/freshet-ingest ] && [ -x bin/freshet-embed ] && [ -x bin/freshet-write ]; then
	for service in ingest embed write; do
		"bin/freshet-$service" --config-table
	done | grep -o '`FRESHET_[A-Z_]*`' | tr -d '`' | sort -u >"$out/settings"
	for setting in $(grep -oh 'FRESHET_[A-Z_]*' "$out/minimal.yaml" "$out/full.yaml" | sort -u); do
		grep -qx -e "$setting" -e "${setting%_FILE}" "$out/settings" || fault "no service has a setting $setting"
	done
fi

# Each path of skaffold.yaml. There is no skaffold here to ask; that it is YAML is checked by rendering it as values.
"$helm" template freshet "$chart" --skip-schema-validation --values skaffold.yaml --values "$chart/ci/minimal-values.yaml" >/dev/null ||
	fault 'skaffold.yaml is no YAML'
for path in $(sed -n -E 's/^ *(- )?(context|dir|chartPath): //p; s/^ *(paths|valuesFiles): \[(.*)\]$/\2/p' skaffold.yaml | tr ',' ' '); do
	[ -e "$path" ] || fault "skaffold.yaml names $path, which does not exist"
done
for service in services/*/go.mod; do
	grep -q "dir: $(dirname "$service")$" skaffold.yaml || fault "skaffold.yaml builds no $(dirname "$service")"
done

if [ "$faults" -gt 0 ]; then
	exit 1
fi
echo 'check-charts: ok'
