# `make` prints the targets. Everything is built into bin/; servers for tests go into ${XDG_CACHE_HOME:-~/.cache}/freshet.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X github.com/freshet-io/freshet/libs/service.Version=$(VERSION)
TOOLS := $(CURDIR)/bin/tools
# Of go test, for make test.
TESTFLAGS ?=
# The pattern of a workspace that tools other than go understand: one ./… a module.
MODULES = $(shell go work edit -json | sed -n 's|.*"DiskPath": "\(.*\)".*|\1/...|p')

.PHONY: help
help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## Build freshet and the three services into bin/
	@[ -x bin/freshet ] || echo 'Building Freshet into bin/ (3 minutes with an empty Go build cache, which takes 2 GB).' >&2
	@for service in ingest embed write; do \
		go build -trimpath -ldflags '$(LDFLAGS)' -o bin/freshet-$$service ./services/$$service; \
	done
	@go build -trimpath -ldflags '$(LDFLAGS)' -o bin/freshet ./services/ctl

.PHONY: servers
servers: weaviate kafka schema-registry redis prometheus jaeger chromium python definitions ## Install the pinned Weaviate, Kafka, Debezium, databases, Redis, Prometheus, Jaeger, Chromium, Python clients and definitions of custom resources into the cache (once, about 13 minutes)

.PHONY: weaviate
weaviate:
	@scripts/install-weaviate.sh >/dev/null

# Without Java and Maven a developer's machine goes on, loudly; CI must not.
.PHONY: jaeger
jaeger:
	@scripts/install-jaeger.sh >/dev/null

.PHONY: kafka
kafka:
	@if [ "$${CI:-}" = true ] || { command -v java && command -v mvn; } >/dev/null; then \
		for server in kafka debezium postgres mariadb; do scripts/install-$$server.sh >/dev/null; done; \
	else \
		echo '*** SKIPPED: no java or mvn here, so nothing is tested against Apache Kafka, Debezium and databases ***' >&2; \
	fi

.PHONY: schema-registry
schema-registry:
	@if [ "$${CI:-}" = true ] || { command -v javac && command -v mvn; } >/dev/null; then \
		scripts/install-schema-registry.sh >/dev/null; \
	else \
		echo '*** SKIPPED: no javac or mvn here, so nothing is tested against a real schema registry ***' >&2; \
	fi

.PHONY: redis
redis:
	@if [ "$${CI:-}" = true ] || command -v apt-get >/dev/null; then \
		scripts/install-redis.sh >/dev/null; \
	else \
		echo '*** SKIPPED: no apt-get here, so nothing is tested against Redis ***' >&2; \
	fi

.PHONY: prometheus
prometheus:
	@if [ "$${CI:-}" = true ] || command -v apt-get >/dev/null; then \
		scripts/install-prometheus.sh >/dev/null; \
	else \
		echo '*** SKIPPED: no apt-get here, so nothing is tested against Prometheus ***' >&2; \
	fi

.PHONY: python
python:
	@if [ "$${CI:-}" = true ] || python3 -c 'import ensurepip, venv' 2>/dev/null; then \
		scripts/install-python-client.sh >/dev/null && scripts/install-schemathesis.sh >/dev/null; \
	else \
		echo '*** SKIPPED: no python3 with venv here, so the Python example and the contract of HTTP are not tested ***' >&2; \
	fi

.PHONY: definitions
definitions:
	@if [ "$${CI:-}" = true ] || { command -v java && command -v mvn && python3 -c 'import ensurepip, venv'; } >/dev/null 2>&1; then \
		scripts/install-definitions.sh >/dev/null; \
	else \
		echo '*** SKIPPED: no java, mvn or python3 with venv here, so examples for Strimzi and Argo CD are not checked ***' >&2; \
	fi

.PHONY: chromium
chromium:
	@if [ "$${CI:-}" = true ] || command -v apt-get >/dev/null; then \
		scripts/install-chromium.sh >/dev/null; \
	else \
		echo '*** SKIPPED: no apt-get here, so the console is not tested in a browser ***' >&2; \
	fi

.PHONY: run
run: build weaviate ## Try Freshet on this machine: a catalogue that stays searchable (ARGS='--once' ends by itself)
	@bin/freshet dev $(ARGS)

.PHONY: test
test: servers ## Run every test under the race detector, also against the real servers
	go test -race -count=1 -timeout 30m $(TESTFLAGS) work
	go test -race -tags synctests -count=1 -timeout 15m $(TESTFLAGS) ./services/ctl/chaos
	go test -count=1 -timeout 15m -v -run Explorer ./services/write/writer
	go test -tags synctests -count=1 -timeout 15m -v -run 'TestChaos|TestMutants' ./services/ctl/chaos
	FRESHET_TEST_CLUSTER=1 go test -count=1 -timeout 15m -v ./services/ctl/cluster
	@$(MAKE) test-charts

.PHONY: test-cdc
test-cdc: servers ## Change real databases, capture them by Debezium, and compare each table with the index (about 4 minutes)
	FRESHET_TEST_CDC=1 go test -count=1 -timeout 30m -v -run TestCDC ./services/ctl/e2e

# The last release, or what was there before the first one.
PREVIOUS ?= $(shell git describe --tags --abbrev=0 HEAD^ 2>/dev/null || echo 366f1ed)
.PHONY: test-versions
test-versions: servers ## Roll services of an earlier build over to this one and back, under load (PREVIOUS=tag or commit; about 3 minutes)
	FRESHET_TEST_PREVIOUS=$(PREVIOUS) go test -count=1 -timeout 20m -v -run 'TestVersions$$' ./services/ctl/e2e

.PHONY: test-charts
test-charts: $(TOOLS)/installed build definitions ## Render the charts and hold them against Kubernetes' types, the operators' definitions and the services' settings
	GOWORK=off go -C charts/tests test -count=1 -timeout 15m $(TESTFLAGS) ./...

.PHONY: test-kubernetes
test-kubernetes: ## Install the chart into a real Kubernetes of one node, and disturb it under load (root, Debian 12, JDK, Maven, Python; 4 minutes once built)
	@scripts/test-kubernetes.sh

.PHONY: images
images: ## Build the images with ko and push them: REPO=registry.example/freshet (BASE, PLATFORMS, VERSION)
	@scripts/images.sh $(or $(REPO),$(error say where the images go: make images REPO=registry.example/freshet))

.PHONY: release
release: $(TOOLS)/installed ## A release as a dry run: images twice, with equal digests, and the packed chart
	@BASE=$(or $(BASE),own) scripts/release.sh

.PHONY: test-fast
test-fast: ## Run the tests that need no server (under a minute once built)
	go test -short work
	go test -short -tags synctests ./services/ctl/chaos

.PHONY: fuzz
fuzz: ## Run each fuzz test under Go's fuzzer (TIME=10s, PATTERN=ingest for some of them)
	@scripts/fuzz.sh $(or $(TIME),10s) $(PATTERN)

.PHONY: lint
lint: $(TOOLS)/installed ## Check style and formatting
	@for script in scripts/*.sh scripts/*/*.sh .ci/run; do bash -n "$$script"; done
	@go vet scripts/builtin-model/*.go
	@$(TOOLS)/buf lint
	@$(TOOLS)/golangci-lint run $(MODULES)
	@cd charts/tests && GOWORK=off $(TOOLS)/golangci-lint run

.PHONY: format
format: $(TOOLS)/installed ## Format the Go code
	@$(TOOLS)/golangci-lint fmt $(MODULES) charts/tests

.PHONY: generate
generate: $(TOOLS)/installed $(TOOLS)/protoc-gen-go ## Write the generated code and documentation again
	@PATH="$(TOOLS):$$PATH" $(TOOLS)/buf generate
	@scripts/generate-docs.sh

.PHONY: vulncheck
vulncheck: ## Look up whether the programs call anything with a known vulnerability
	@scripts/check-vulnerabilities.sh

.PHONY: capacity
capacity: servers ## Measure what an item costs in CPU time, memory, disk and tokens (docs/capacity.md; about 8 minutes)
	FRESHET_TEST_CAPACITY=1 go test -count=1 -timeout 30m -v -run 'TestCapacity$$' ./services/ctl/e2e

.PHONY: bench
bench: build servers ## Measure against floors of the same run (NAME=stage|ingest|embed|write|e2e|builtin, ARGS='-o json')
	@go test -c -ldflags '$(LDFLAGS)' -o bin/bench ./services/ctl/bench
	@bin/bench -measure $(ARGS) $(NAME)

.PHONY: clean
clean: ## Remove bin/ (the cache of servers stays)
	@rm -rf bin

# Outside the workspace: the tools' modules must not move the product's.
$(TOOLS)/installed: scripts/tools/go.mod scripts/tools/go.sum
	@echo 'Building the pinned tools into bin/tools (once; about 6 minutes on 2 cores).' >&2
	@GOBIN=$(TOOLS) GOWORK=off go -C scripts/tools install tool
	@touch $@

# From the product's own module: generator and runtime library are then of one version.
$(TOOLS)/protoc-gen-go: libs/go.mod
	@GOBIN=$(TOOLS) GOWORK=off go -C libs install google.golang.org/protobuf/cmd/protoc-gen-go
	@touch $@
