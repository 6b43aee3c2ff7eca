#!/usr/bin/env bash
# Builds the Kubernetes of the tests into the cache, once: one static binary, with links to it by the names helm and kubectl. The
# last line on standard output is the path of its folder.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(sed -n 's|^\tk8s.io/kubernetes v||p' "$here/kubernetes/go.mod")
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$here/cache.sh"
sources=$(cat "$here"/kubernetes/{go.mod,go.sum,main.go} | sha256sum | cut -c1-8)

# The API server says which version it is, and refuses others by that.
build() {
	need go "install Go 1.26 or later"
	mkdir -p "$1"
	local stamp=k8s.io/component-base/version minor=${version#1.}
	(
		cd "$here/kubernetes"
		CGO_ENABLED=0 GOWORK=off nice go build -trimpath -buildvcs=false -o "$1/hyperkube" \
			-ldflags "-s -w -X $stamp.gitVersion=v$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=${minor%%.*} -X $stamp.gitTreeState=clean" . >&2
	)
	ln -s hyperkube "$1/helm"
	ln -s hyperkube "$1/kubectl"
}

install_once "kubernetes-$version-$sources" kubectl \
	"Building Kubernetes $version, etcd, CoreDNS and helm into $cache (once; about 10 minutes on 2 cores)." build
printf '%s\n' "$cache/kubernetes-$version-$sources"
