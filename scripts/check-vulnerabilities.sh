#!/usr/bin/env bash
# Looks up whether the programs call anything with a known vulnerability. The database is that of the Go project as its module has it:
# CI reaches modules and no website, and another day's run gives the same answer. Raise the version to look at newer ones.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=v0.0.0-20261105234957-e22db6528018
# shellcheck source-path=SCRIPTDIR source=cache.sh
. scripts/cache.sh

build() {
	local module
	module=$(GOWORK=off go mod download -json "golang.org/x/vulndb@$version" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
	go run "golang.org/x/vulndb/cmd/indexdb@$version" -vulns "$module/data/osv" -out "$1"
}
install_once "vulnerabilities-$version" index/db.json "Reading the database of vulnerabilities $version into $cache (once)." build

# freshet holds all three services.
GOWORK=off go run -C services/ctl golang.org/x/vuln/cmd/govulncheck@v1.9.0 -format json -db "file://$cache/vulnerabilities-$version" ./... |
	GOWORK=off go run -C scripts/tools ./vulnerabilities "$PWD/scripts/vulnerabilities.txt"
