#!/usr/bin/env bash
# A release as a dry run: builds the images twice into registries of its own on loopback, compares their digests, reads their lists of
# contents, packs the chart with the version and pushes and shows it there. Nothing leaves the machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=registry.sh
. scripts/registry.sh

export VERSION=${VERSION:-$(git describe --tags --always --dirty)}
tools=$(scripts/install-image-tools.sh)
helm=${HELM:-bin/tools/helm}
work=$(mktemp -d)
registry_pid=''
trap '[ -z "$registry_pid" ] || kill "$registry_pid" 2>/dev/null || true; rm -rf "$work"' EXIT

# The second one has the first one's address: an image names its base, and that is there, too.
registry=''
for turn in first second; do
	[ -z "$registry_pid" ] || { kill "$registry_pid" && wait "$registry_pid" || true; }
	serve_registry "$tools/crane" "$work/$turn" "$work/log" $registry
	scripts/images.sh "$registry/freshet" | sed "s|^$registry/||" | sort >"$work/$turn.images"
done
diff "$work/first.images" "$work/second.images" || {
	echo 'release: two builds of the same sources have other digests' >&2
	exit 1
}

# A version of a chart is semantic; a commit is none.
chart=$VERSION
[[ $chart =~ ^v?[0-9]+\.[0-9]+\.[0-9]+ ]] || chart=0.0.0+$VERSION
"$helm" package charts/freshet --version "${chart#v}" --app-version "$VERSION" --destination "$work" >/dev/null
"$helm" push --plain-http "$work"/freshet-*.tgz "oci://$registry/charts" >/dev/null 2>&1
"$helm" show chart --plain-http "oci://$registry/charts/freshet" --version "${chart#v}" 2>/dev/null | grep -E '^(name|version|appVersion):'
while read -r image; do
	for platform in linux/amd64 linux/arm64; do
		digest=$("$tools/crane" digest --platform "$platform" "$registry/$image")
		list=${image%%@*}
		packages=$("$tools/crane" export "$registry/${list%%:*}:${digest/:/-}.sbom" - 2>/dev/null | grep -c '"SPDXID"' || true)
		printf '%-60s %-12s %s, %s entries in its list\n' "${image%%@*}" "$platform" "$digest" "$packages"
	done
done <"$work/first.images"
