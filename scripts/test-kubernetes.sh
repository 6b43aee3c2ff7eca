#!/usr/bin/env bash
# Builds a Kubernetes of one node, the images and the ladder of services/ctl/ladder, and climbs it in a network namespace of its own.
# It prints a table of its steps. Root, Go, a JDK 17, Maven, Python and Debian 12's apt are needed; everything that was started or made is taken away at the
# end, also where a step fails or the run is interrupted.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."
# shellcheck source-path=SCRIPTDIR source=cache.sh
. scripts/cache.sh
# shellcheck source-path=SCRIPTDIR source=registry.sh
. scripts/registry.sh

[ "$(id -u)" = 0 ] || die 'network namespaces and containers need root'
need apt-get "containerd, runc and the CNI plugins are Debian 12's"
if ! { command -v containerd && command -v runc && command -v ip && command -v iptables && command -v openssl && [ -x /usr/lib/cni/bridge ]; } >/dev/null; then
	say 'Installing containerd, runc, the CNI plugins, iproute2, iptables and openssl.'
	{ apt-get -qq update && apt-get -qq install --no-install-recommends -y containerd runc containernetworking-plugins iproute2 iptables openssl; } >/dev/null
fi

KUBERNETES=$(scripts/install-kubernetes.sh)
DEFINITIONS=$(scripts/install-definitions.sh)
tools=$(scripts/install-image-tools.sh)
scripts/install-weaviate.sh >/dev/null
scripts/install-kafka.sh >/dev/null

work=$(mktemp -d)
export CLUSTER=$work/cluster DEFINITIONS KUBERNETES REGISTRY=127.0.0.1:5055
registry_pid=''
finish() {
	trap - EXIT INT TERM
	[ -z "$registry_pid" ] || kill "$registry_pid" 2>/dev/null || true
	"$here/kubernetes/cluster.sh" down && rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# ko may need the internet, and the namespace has none: images are made before, and pushed to the registry there.
serve_registry "$tools/crane" "$work/registry" "$work/log"
TAG=$(git describe --tags --always --dirty)
export TAG VERSION=$TAG
images=(pause:latest)
for image in freshet freshet-ingest freshet-embed freshet-write; do images+=("freshet/$image:$TAG"); done
{
	PLATFORMS=linux/amd64 BASE=${BASE:-own} scripts/images.sh "$registry/freshet"
	cd scripts/kubernetes
	GOWORK=off KO_DOCKER_REPO=$registry/pause KO_DEFAULTBASEIMAGE=$registry/freshet/base:own "$tools/ko" build --bare --sbom=none --platform linux/amd64 ./pause
	cd ../..
	for image in "${images[@]}"; do
		mkdir -p "$work/$image"
		"$tools/crane" pull --format oci "$registry/$image" "$work/$image"
	done
} >"$work/images" 2>&1 || {
	cat "$work/images" >&2
	die 'the images could not be made'
}
kill "$registry_pid"
registry_pid=''
CGO_ENABLED=0 go test -c -o "$work/ladder.test" ./services/ctl/ladder

scripts/kubernetes/cluster.sh net
inside() { nsenter --net=/var/run/netns/freshet-ladder "$@"; }
inside "$tools/crane" registry serve --address "$REGISTRY" >"$work/log" 2>&1 &
for image in "${images[@]}"; do
	for _ in $(seq 100); do # the registry is starting
		inside "$tools/crane" push "$work/$image" "$REGISTRY/$image" >"$work/images" 2>&1 && continue 2
		sleep 0.2
	done
	cat "$work/images" >&2
	die "the registry in the namespace does not take $image"
done
cd services/ctl/ladder
# Its temporary files go with ours. Beside, since bash hears of a signal only when what it waits for is over, but for wait itself.
FRESHET_TEST_KUBERNETES=1 TMPDIR=$work inside "$work/ladder.test" -test.v -test.timeout 60m -test.run TestLadder &
wait $!
