#!/usr/bin/env bash
# images.sh REPOSITORY: builds the images freshet, freshet-ingest, freshet-embed and freshet-write with ko, each with a list of what
# is in it (SPDX), and pushes them to REPOSITORY (host:port/path), tagged with the version. Each image's name with its digest is a line on
# standard output: the same sources have the same digests. From the environment:
#   VERSION    by git, if unset
#   PLATFORMS  linux/amd64,linux/arm64 if unset
#   BASE       the base image; distroless static, nonroot, if unset. `own` makes one of this machine's certificates instead, for tests
#              without the internet: it is not reproducible elsewhere, and not for release.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

repository=${1:?usage: images.sh REPOSITORY}
export VERSION=${VERSION:-$(git describe --tags --always --dirty)}
platforms=${PLATFORMS:-linux/amd64,linux/arm64}
base=${BASE:-gcr.io/distroless/static-debian12:nonroot}
tools=$(scripts/install-image-tools.sh)

# own_base: certificates, the user nonroot and a folder /tmp, for each platform.
own_base() {
	local root platform members=()
	root=$(mktemp -d)
	trap 'rm -rf "$root"' RETURN
	mkdir -p "$root/files/etc/ssl/certs" "$root/files/tmp"
	chmod 755 "$root/files" "$root/files/etc" "$root/files/etc/ssl" "$root/files/etc/ssl/certs"
	chmod 1777 "$root/files/tmp"
	printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >"$root/files/etc/passwd"
	cp /etc/ssl/certs/ca-certificates.crt "$root/files/etc/ssl/certs/"
	chmod 644 "$root"/files/etc/passwd "$root"/files/etc/ssl/certs/*
	tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$root/files" -cf "$root/base.tar" .
	for platform in ${platforms//,/ }; do
		local name=$repository/base:${platform//\//-}
		"$tools/crane" append --oci-empty-base --new_layer "$root/base.tar" --new_tag "$name" --platform "$platform" >/dev/null
		"$tools/crane" mutate "$name" --user 65532:65532 --set-platform "$platform" --tag "$name" >/dev/null
		members+=(--manifest "$name")
	done
	"$tools/crane" index append "${members[@]}" --tag "$repository/base:own" >/dev/null
}

if [ "$base" = own ]; then
	own_base 2>/dev/null
	base=$repository/base:own
elif ! "$tools/crane" digest "$base" >/dev/null; then
	echo "images: the base image $base cannot be read; BASE names another one, BASE=own makes one for tests" >&2
	exit 1
fi
for service in ingest embed write ctl; do
	name=freshet-$service
	[ "$service" != ctl ] || name=freshet
	KO_CONFIG_PATH=scripts/images KO_DOCKER_REPO=$repository/$name KO_DEFAULTBASEIMAGE=$base \
		"$tools/ko" build --bare --sbom=spdx --tags "${VERSION//+/_}" --platform "$platforms" --jobs 1 \
		--image-label org.opencontainers.image.source=https://github.com/freshet-io/freshet --image-label org.opencontainers.image.licenses=Apache-2.0 \
		--image-label "org.opencontainers.image.version=$VERSION" "./services/$service"
done
