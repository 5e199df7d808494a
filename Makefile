# The tasks of the project; `make` lists them. They need Go, and for the cluster root on Debian or Ubuntu.

CLUSTER_DIR ?= .cluster
# The cluster number to try first; if it is taken, the next free one is used.
CLUSTER_NUMBER ?= $(if $(filter .cluster-test,$(notdir $(CLUSTER_DIR))),2,1)

# The CLI: Terraform or OpenTofu, whichever is installed; TF=tofu selects one. If neither is installed, OpenTofu is built.
TF ?= $(or $(shell command -v terraform || command -v tofu),tofu)
CLI := $(shell command -v $(TF))
ifeq ($(CLI),)
ifneq ($(TF),tofu)
$(error TF=$(TF) is not on the PATH; leave TF out to take what is there)
endif
CLI := $(CURDIR)/.bin/tofu
CLI_BUILT := .bin/tofu
endif

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The provider ----------------------------------------------------------------------------------------------

# The directory in which a CLI finds the built provider, under its addresses for Terraform and OpenTofu.
# No release has this version.
PLATFORM := $(shell go env GOOS)_$(shell go env GOARCH)
MIRRORED := $(foreach host,registry.terraform.io registry.opentofu.org,.bin/mirror/$(host)/braneframework/brane/0.0.1/$(PLATFORM))

.PHONY: build
build: ## Build the provider into the directory in which a CLI finds it (TF_CLI_CONFIG_FILE in the cluster's env)
	@echo "Building the provider: 2 minutes the first time, then seconds."
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o .bin/terraform-provider-brane .
	@for dir in $(MIRRORED); do mkdir -p $$dir && cp -f .bin/terraform-provider-brane $$dir/terraform-provider-brane_v0.0.1 || exit 1; done

# Terraform and OpenTofu look here before they ask a registry, without any configuration.
INSTALLED := $(foreach host,registry.terraform.io registry.opentofu.org,$(HOME)/.terraform.d/plugins/$(host)/braneframework/brane/0.0.1/$(PLATFORM))

.PHONY: install
install: build ## Install the built provider as version 0.0.1 for Terraform and OpenTofu, in ~/.terraform.d/plugins
	@for dir in $(INSTALLED); do mkdir -p $$dir && cp -f .bin/terraform-provider-brane $$dir/terraform-provider-brane_v0.0.1 || exit 1; done
	@echo "Installed in $(HOME)/.terraform.d/plugins"

.PHONY: agent-image
agent-image: ## Build the agent's image for amd64 and arm64, push it to REPOSITORY with the credentials of docker, and print agent_image for it
	@go -C tools/image run ./release -push "$(or $(REPOSITORY),$(error set REPOSITORY, for example registry.example.org/brane-agent))"

.PHONY: quickstart
# CLUSTER=external uses the cluster and the Redis of the environment.
quickstart: $(if $(filter external,$(CLUSTER)),build,cluster-up) $(CLI_BUILT) ## Start a cluster, apply examples/quickstart and print the result
	@CLI=$(CLI) CLUSTER_DIR=$(if $(filter external,$(CLUSTER)),,$(abspath $(CLUSTER_DIR))) tools/quickstart up

.PHONY: quickstart-down
quickstart-down: $(if $(filter external,$(CLUSTER)),build,cluster-up) $(CLI_BUILT) ## Destroy what make quickstart has created; the cluster keeps running
	@CLI=$(CLI) CLUSTER_DIR=$(if $(filter external,$(CLUSTER)),,$(abspath $(CLUSTER_DIR))) tools/quickstart down

# Tests -----------------------------------------------------------------------------------------------------

TEST_CLUSTER := .cluster-test
PACKAGES ?= ./...
# Acceptance tests often wait for the cluster, so more of them run concurrently than there are processors.
TEST_FLAGS ?= -parallel 4 -timeout 60m

# Starts the test cluster and sets its environment. With CLUSTER=external, the environment names another cluster: then only tests are skipped that stop parts
# of the cluster or read files of its nodes.
ifeq ($(CLUSTER),external)
TEST_CLUSTER_UP := @for name in KUBECONFIG BRANE_REDIS_URL BRANE_REDIS_POD_URL BRANE_REGISTRY BRANE_AGENT_IMAGE BRANE_TOOLS_IMAGE BRANE_BRIDGE_IP BRANE_API_CLUSTER_URL; do \
	eval "test -n \"\$$$$name\"" || { echo "CLUSTER=external needs $$name in the environment; see CONTRIBUTING.md" >&2; exit 1; }; done
TEST_ENV := export BRANE_TEST_CLUSTER=external KUBE_CONFIG_PATH="$$KUBECONFIG"
else
TEST_CLUSTER_UP = @$(MAKE) --no-print-directory cluster-up CLUSTER_DIR=$(TEST_CLUSTER)
TEST_ENV := . ./$(TEST_CLUSTER)/env
endif

.PHONY: test
test: chromium $(CLI_BUILT) .bin/gotestsum ## Run all tests but the long ones on a separate cluster; CLUSTER=external uses that of the environment, RACE=all the race detector also for tests of the CLI
	$(TEST_CLUSTER_UP)
	@go -C tools/image test -timeout 40m ./...
	@go -C test/cluster test ./...
	@go -C test/browser test ./...
	@go test -run '^TestIncremental$$' ./internal/brane/workflow/engine
	@$(TEST_ENV) && TF_ACC=1 TF_ACC_TERRAFORM_PATH=$(CLI) $(TF_ACC_HOST) TEST_FLAGS='$(TEST_FLAGS)' RACE='$(RACE)' CLUSTER='$(CLUSTER)' .ci/test-packages $(PACKAGES)

.PHONY: images
images: ## Build the images of the tests, push them to REGISTRY=host:port, and print the variables that CLUSTER=external needs for them
	@go -C test/cluster run . images -root $(CURDIR) -registry "$(REGISTRY)"

# A browser for test/browser. Debian's headless package is installed in 12 s and needs no display; any other Chromium can be used as well.
.PHONY: chromium
chromium:
	@for program in chromium-headless-shell chromium chromium-browser google-chrome; do command -v $$program >/dev/null && exit 0; done; \
	mkdir -p .bin; \
	echo "Installing Debian's chromium-headless-shell"; \
	{ apt-get -o DPkg::Lock::Timeout=300 update -q && DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends chromium-headless-shell fonts-dejavu-core; } \
		>.bin/chromium.log 2>&1 || { cat .bin/chromium.log >&2; echo "the tests need a Chromium on the PATH" >&2; exit 1; }

# The CLI that make test does not use.
OTHER := $(if $(filter tofu,$(notdir $(CLI))),$(shell command -v terraform),$(or $(shell command -v tofu),$(CURDIR)/.bin/tofu))
# The tests that depend most on the CLI: the lifecycle of each resource, imports, runs and their outputs, write-only values, killed providers and Ctrl-C.
OTHER_TESTS := ^(TestAccNamespace|TestAccInfrastructure|TestAccFileSet|TestAccFileSet_import|TestAccWorkflowRun|TestAccWorkflowRun_(pod|fails|waitNot)|TestAccRunFaults)$$

.PHONY: test-long
test-long: $(CLI_BUILT) $(if $(filter $(CURDIR)/.bin/tofu,$(OTHER)),.bin/tofu) ## Run the long tests: a file of 5 GiB, 100,000 files, kills and outages in many kinds of runs, the other CLI; 1 to 2 hours, 6 GiB
	@$(MAKE) --no-print-directory cluster-up CLUSTER_DIR=$(TEST_CLUSTER)
	@. ./$(TEST_CLUSTER)/env && TF_ACC=1 TF_ACC_TERRAFORM_PATH=$(CLI) $(TF_ACC_HOST) go test -tags long -run Long -parallel 6 -timeout 180m $(PACKAGES)
	@if [ -z '$(OTHER)' ]; then echo "There is no Terraform on the PATH, so the tests ran only with OpenTofu."; else \
		. ./$(TEST_CLUSTER)/env && TF_ACC=1 TF_ACC_TERRAFORM_PATH=$(OTHER) $(call tf-acc-host,$(OTHER)) go test -run '$(OTHER_TESTS)' -parallel 6 -timeout 30m ./internal/provider/... ./test/faults; \
	fi

# The versions of Kubernetes and of the CLIs that are tested in addition to those of make test.
KUBES := 1.30 1.32 1.34 1.36 1.37
CLIS := tofu-1.11 tofu-1.12 terraform-1.11 terraform-1.12 terraform-1.13 terraform-1.14

# The tests of what depends most on Kubernetes: Jobs, pods, tokens and permissions.
KUBERNETES_PACKAGES := ./internal/brane/namespace ./internal/brane/credentials ./internal/brane/workflow/engine \
	./internal/provider ./internal/provider/namespace ./internal/provider/infrastructure ./internal/provider/kubeconfig ./internal/provider/workflowrun ./test/faults
KUBERNETES_TESTS := ^(TestAccOwnRights|TestAccLeastPrivilege|TestAccKubeconfig|TestAccNamespace|TestAccNamespace_(adopt|exists|password)|TestAccessRules|TestDiscover|$\
	TestDrift|TestDriftOfRoleRef|TestAdoptAndRetain|TestCreateSatisfiesPolicies|TestRefusedObjects|TestNetworkPolicies|TestLimitRangeDefaults|TestDefaultServiceAccount|$\
	TestRequestToken|TestProbeReportsPermissions|TestLongLivedTokenIsValidUntilRevoked|TestAccInfrastructure|TestAccInfrastructure_(rotation|renewal|longLived|deadToken)|$\
	TestAccRotateCredential|TestAccWorkflowRun|TestAccWorkflowRun_(agent.*|classes|clusters|engine|evicted|exitCode|fails|fanOut|fanOutFails|hardened|heldUp|$\
	inNamespace|inNamespaceWaitNot|limitRange|metadata|namespacePermissions|otherVersion|pod|podPatch|quota|retriesAndTidies|serverVersion|waitNot|waitNotAccount|when)|$\
	TestAccIncremental_fanOut|TestAccRunStops|TestSidecars.*|TestFailedIndexesBesideSidecars|TestStepsWaitForRoomOfTheirRun|TestQuotaThatOthersHold|$\
	TestPodsOfALostNode|TestTimeoutShowsWhatStepsWaitFor)$$

.PHONY: test-kubernetes
test-kubernetes: $(CLI_BUILT) .bin/gotestsum ## Run the tests of Jobs, pods, tokens and permissions on Kubernetes 1.30 to 1.37, each on a separate cluster; KUBE=1.30 for one of them
	@CLI=$(CLI) TESTS='$(KUBERNETES_TESTS)' PACKAGES='$(KUBERNETES_PACKAGES)' .ci/test-versions kubernetes $(or $(KUBE),$(KUBES))

# Those that need Terraform 1.14, and that the other CLIs skip.
NEWEST_CLI_TESTS := ^(TestAccQuery|TestAccInvokedActions)$$

.PHONY: test-cli
test-cli: $(foreach cli,$(or $(ONLY),$(CLIS)),.bin/$(cli)) .bin/gotestsum ## Run the tests that depend most on the CLI with OpenTofu 1.11 and 1.12 and Terraform 1.11 to 1.14; ONLY=terraform-1.13 for one of them
	@$(MAKE) --no-print-directory cluster-up CLUSTER_DIR=$(TEST_CLUSTER)
	@. ./$(TEST_CLUSTER)/env && TESTS='$(OTHER_TESTS)|$(NEWEST_CLI_TESTS)' PACKAGES='./internal/provider/... ./test/faults' .ci/test-versions cli $(or $(ONLY),$(CLIS))

# All tests that use Redis.
REDIS_PACKAGES := ./cmd/brane-agent ./internal/redistest ./internal/brane/agent ./internal/brane/files ./internal/brane/workflow/engine \
	./internal/brane/workflow/results ./internal/provider ./internal/provider/clients ./internal/provider/fileset ./internal/provider/workflowrun ./test/faults

.PHONY: test-valkey
test-valkey: $(CLI_BUILT) .bin/gotestsum ## Run the tests that use Redis with Debian's Valkey instead, on a separate cluster; TESTS=TestAccRunFaults for some of them
	@CLI=$(CLI) TESTS='$(or $(TESTS),.)' PACKAGES='$(REDIS_PACKAGES)' .ci/test-versions redis valkey-server

.bin/kueue: tools/kueue/go.mod
	@echo "Building Kueue: 10 minutes on two idle cores."
	@mkdir -p $(BIN) && go -C tools/kueue build -ldflags='-s -w' -o $(BIN)/$(@F) tool && touch $@

.PHONY: test-kueue
test-kueue: $(CLI_BUILT) .bin/kueue .bin/golangci-lint ## Run steps in a queue of Kueue, with its own controller; 10 minutes the first time
	@$(BIN)/golangci-lint run --config .golangci.yml --build-tags kueue ./internal/provider/workflowrun
	@$(MAKE) --no-print-directory cluster-up CLUSTER_DIR=$(TEST_CLUSTER)
	@. ./$(TEST_CLUSTER)/env && TF_ACC=1 TF_ACC_TERRAFORM_PATH=$(CLI) $(TF_ACC_HOST) BRANE_TEST_KUEUE=$(BIN)/kueue \
		BRANE_TEST_KUEUE_MODULE="$$(go -C tools/kueue list -m -f '{{.Dir}}' sigs.k8s.io/kueue)" \
		go test -tags kueue -run '^TestKueue$$' -count 1 -timeout 30m ./internal/provider/workflowrun

# The plugin with which Pulumi starts and translates Terraform providers. Pulumi finds it by this name.
.bin/pulumi-resource-terraform-provider: test/pulumi/go.mod
	@echo "Building Pulumi's plugin for Terraform providers: 5 minutes on two idle cores, 40 on busy ones; only once."
	@mkdir -p $(BIN) && go -C test/pulumi build -ldflags='-s -w' -o $(BIN)/$(@F) tool && touch $@

.PHONY: test-pulumi
test-pulumi: build .bin/pulumi-resource-terraform-provider .bin/golangci-lint ## Translate the schemas with Pulumi's plugin, and create the resources of the program of the guide with it; 10 minutes the first time
	@$(MAKE) --no-print-directory cluster-up CLUSTER_DIR=$(TEST_CLUSTER)
	@cd test/pulumi && $(BIN)/golangci-lint run --config $(CURDIR)/.golangci.yml ./...
	@. ./$(TEST_CLUSTER)/env && go -C test/pulumi test -count 1 ./...

.PHONY: faults
faults: ## List the faults, the resources that meet them, at which moments, and the tests
	@go test -tags long -run '^TestLongFaultTable$$' -v ./test/faults | sed -n 's/^| //p'

# Programs for the same work, whose figures are a column in the tables of make bench. They are built only for that, and nothing that is distributed contains them.
PEERS := .bin/terraform-provider-kubernetes .bin/juicefs .bin/argo/workflow-controller

.bin/terraform-provider-kubernetes: tools/peers/kubernetes/go.mod
	@echo "Building the provider hashicorp/kubernetes: 3 minutes on two idle cores; only once."
	$(call build-tool,peers/kubernetes)

# It can store blocks in a dozen places. Only Redis is needed.
JUICEFS_TAGS := nogateway,nowebdav,nocos,nobos,nohdfs,noibmcos,noobs,nooss,noqingstor,nosftp,noswift,noazure,nogs,noufile,nob2,nonfs,nodragonfly,nosqlite,nomysql,nopg,notikv,nobadger,noetcd

.bin/juicefs: tools/peers/juicefs/go.mod
	@echo "Building JuiceFS, which needs a C compiler: 3 minutes on two idle cores; only once."
	@mkdir -p $(BIN) && go -C tools/peers/juicefs build -trimpath -tags $(JUICEFS_TAGS) -ldflags='-s -w' -o $(BIN)/ tool && touch $@

# A file of Argo for Linux is a symbolic link to that for Darwin, which a module cannot contain, so that a copy of the module is built.
.bin/argo/workflow-controller: ARGO := github.com/argoproj/argo-workflows/v4
.bin/argo/workflow-controller: tools/peers/argo/go.mod
	@echo "Building Argo Workflows: 5 minutes on two idle cores; only once."
	@rm -rf $(BIN)/argo && mkdir -p $(BIN)/argo && go -C tools/peers/argo mod download $(ARGO)
	@cp -r "$$(go -C tools/peers/argo list -m -f '{{.Dir}}' $(ARGO))" $(BIN)/argo/module && chmod -R u+w $(BIN)/argo/module
	@cd $(BIN)/argo/module && cp -r manifests/base/crds/minimal ../crds && rm ../crds/kustomization.yaml && cp workflow/executor/osspecific/signal_darwin.go workflow/executor/osspecific/signal_linux.go
	@cp tools/peers/argo/go.sum $(BIN)/argo/build.sum && { cat tools/peers/argo/go.mod; echo 'replace $(ARGO) => $(BIN)/argo/module'; } > $(BIN)/argo/build.mod
	@CGO_ENABLED=0 go -C tools/peers/argo build -modfile $(BIN)/argo/build.mod -trimpath -ldflags='-s -w' -o $(BIN)/argo/ tool && touch $@

.PHONY: peers
peers: $(PEERS) ## Build what make bench compares with: the provider hashicorp/kubernetes, JuiceFS and Argo Workflows; 15 minutes

bench: export BENCH_KUBERNETES_PROVIDER ?= $(wildcard .bin/terraform-provider-kubernetes)
bench: export BENCH_JUICEFS ?= $(wildcard .bin/juicefs)
bench: export BENCH_ARGO ?= $(wildcard .bin/argo/workflow-controller)

# Files are measured without a running cluster, because an idle cluster uses a tenth of a processor. It is started before to install what it needs.
.PHONY: bench
# A full run writes the page; after a part, make bench-page does.
bench: build $(CLI_BUILT) ## Measure files, runs, their changes, 350 namespaces, and costs by size, with limits, and write docs/performance.md; ONLY=files, engine, incremental, namespaces or scale for a part, HUGE=1 for a fan-out of 10,000; 90 minutes
	@$(MAKE) --no-print-directory cluster-up CLUSTER_DIR=$(TEST_CLUSTER)
	@$(if $(ONLY),,rm -rf .bin/bench)
	@missed=0; for part in $(or $(ONLY),files engine incremental namespaces scale); do \
		if [ $$part = files ]; then cluster=down; else cluster=up; fi; \
		$(MAKE) --no-print-directory cluster-$$cluster CLUSTER_DIR=$(TEST_CLUSTER) || exit 1; \
		. ./$(TEST_CLUSTER)/env && go run ./test/bench -cli $(CLI) -provider .bin/terraform-provider-brane -only $$part $(if $(HUGE),-huge) || missed=1; \
	done; \
	$(if $(ONLY),,$(MAKE) --no-print-directory bench-page || exit 1;) exit $$missed

.PHONY: bench-page
bench-page: ## Write docs/performance.md and its plots from the latest measurements of all parts, .bin/bench/*.json
	@go run ./test/bench -page docs

.PHONY: soak
soak: build $(CLI_BUILT) ## Apply random runs and disturb them at random, for DURATION=30m; SEED=n repeats the operations, OPERATIONS=n ends after n of them
	@$(MAKE) --no-print-directory cluster-up CLUSTER_DIR=$(TEST_CLUSTER)
	@. ./$(TEST_CLUSTER)/env && go run ./test/soak -cli $(CLI) -provider .bin/terraform-provider-brane -duration $(or $(DURATION),30m) -seed $(or $(SEED),0) -operations $(or $(OPERATIONS),0)

# The environment that plugin-testing needs for OpenTofu.
tf-acc-host = $(if $(filter tofu,$(notdir $(1))),TF_ACC_PROVIDER_HOST=registry.opentofu.org TF_ACC_PROVIDER_NAMESPACE=hashicorp)
TF_ACC_HOST = $(call tf-acc-host,$(CLI))

# The cluster -----------------------------------------------------------------------------------------------

.PHONY: launcher
launcher:
	@mkdir -p .bin
	@go -C test/cluster build -o ../../.bin/launcher .

.PHONY: cluster-up
cluster-up: launcher build ## Start Kubernetes, Redis and a registry, or update them; KUBE=1.30 starts another Kubernetes, REDIS=valkey-server Valkey
	@.bin/launcher up -dir $(CLUSTER_DIR) -number $(CLUSTER_NUMBER) -kube "$(KUBE)" -redis $(or $(REDIS),redis-server)

.PHONY: cluster-down
cluster-down: launcher ## Stop them and keep their data in CLUSTER_DIR (.cluster)
	@.bin/launcher down -dir $(CLUSTER_DIR)

.PHONY: cluster-clean
cluster-clean: launcher ## Stop them and remove the directory
	@.bin/launcher clean -dir $(CLUSTER_DIR)

# Lint, docs, release ---------------------------------------------------------------------------------------

# Tools are pinned in separate modules, tools/*/go.mod, and built into .bin when that file changes.
BIN := $(CURDIR)/.bin
build-tool = @mkdir -p $(BIN) && go -C tools/$(1) build -trimpath -ldflags='-s -w $(2)' -o $(BIN)/ tool && touch $@

.bin/golangci-lint: tools/lint/go.mod
	@echo "Building golangci-lint: 70 s on two idle cores, several minutes on busy ones; only once."
	$(call build-tool,lint)

.bin/actionlint: tools/actionlint/go.mod
	@echo "Building actionlint: 13 s on two idle cores."
	$(call build-tool,actionlint)

.bin/tfplugindocs: tools/docs/go.mod
	@echo "Building tfplugindocs: 10 s on two idle cores."
	$(call build-tool,docs)

.bin/gotestsum: tools/test/go.mod
	@echo "Building gotestsum: 5 s on two idle cores."
	$(call build-tool,test)

.bin/goreleaser: tools/release/go.mod
	@echo "Building goreleaser: 2.5 minutes on two idle cores; only once."
	$(call build-tool,release)

.bin/cyclonedx-gomod: tools/sbom/go.mod
	@echo "Building cyclonedx-gomod: 10 s on two idle cores."
	$(call build-tool,sbom)

.bin/govulncheck: tools/vuln/go.mod
	@echo "Building govulncheck: 10 s on two idle cores."
	$(call build-tool,vuln)

.bin/go-licence-detector: tools/licenses/go.mod
	@echo "Building go-licence-detector: 5 s on two idle cores."
	$(call build-tool,licenses)

.bin/tofu: tools/opentofu/go.mod
	@echo "$(TF) is not installed: building OpenTofu, 4 minutes on two idle cores, 7 to 12 on busy ones; only once."
	$(call build-tool,opentofu,-X github.com/opentofu/opentofu/version.dev=no)

# The programs of a release.
PROGRAMS := . ./cmd/brane-agent ./cmd/brane-engine

.PHONY: licenses
licenses: .bin/go-licence-detector ## List the licenses of the modules in the programs of a release, and check that tools/licenses/rules.json allows them
	@modules=$$(GOOS=linux go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}' $(PROGRAMS) | sort -u) && \
	go list -m -json $$modules | .bin/go-licence-detector -includeIndirect -rules tools/licenses/rules.json -depsTemplate tools/licenses/list.tmpl -depsOut .bin/licenses.txt
	@cat .bin/licenses.txt

.PHONY: vulnerabilities
vulnerabilities: .bin/govulncheck ## Search the programs of a release for known vulnerabilities that they reach; it downloads the database of vuln.go.dev
	@.bin/govulncheck $(PROGRAMS)

# Other CLIs for make test-cli. tools/terraform is built only for tests, where it is needed: Terraform has the Business Source License, and nothing that is
# distributed contains it.
.bin/tofu-1.12: .bin/tofu
	@cp $< $@

.bin/tofu-%: tools/opentofu/%.mod
	@echo "Building OpenTofu $*: 4 minutes on two idle cores; only once."
	@go -C tools/opentofu build -modfile=$*.mod -trimpath -ldflags='-s -w -X github.com/opentofu/opentofu/version.dev=no' -o $(BIN)/tofu-$* tool

BACKENDS := $(foreach name,azure consul cos gcs kubernetes oci oss pg s3,.bin/backends/$(name)/backend.go)

.bin/terraform-1.14: tools/terraform/go.mod $(BACKENDS)
	$(call build-terraform,1.14,go.mod)

.bin/terraform-%: tools/terraform/%.mod $(BACKENDS)
	$(call build-terraform,$*,$*.mod)

build-terraform = @echo "Building Terraform $(1): 3 minutes on two idle cores; only once."; \
	go -C tools/terraform build -modfile=$(2) -trimpath -ldflags='-s -w -X github.com/hashicorp/terraform/version.dev=no' -o $(BIN)/terraform-$(1) tool

# Terraform's backends for remote state are modules without releases, which its module cannot be built without. Their place takes the one in memory.
.bin/backends/%/backend.go:
	@mkdir -p $(@D)
	@echo 'module github.com/hashicorp/terraform/internal/backend/remote-state/$*' > $(@D)/go.mod
	@printf 'package backend\n\nimport "github.com/hashicorp/terraform/internal/backend/remote-state/inmem"\n\nvar New = inmem.New\n' > $@

# The modules to lint. golangci-lint only lints the module in which it is started. That of test/pulumi has 1,600 packages, so make test-pulumi lints it.
GO_MODULES := . tools/image test/cluster test/browser

# Workflows of this repository, and those that the documentation shows.
WORKFLOWS := $(wildcard .github/workflows/*.yml) examples/guides/ci/workflow.yml

.PHONY: lint
lint: .bin/golangci-lint .bin/actionlint ## Run golangci-lint (.golangci.yml), and actionlint on workflows
	@.bin/actionlint $(WORKFLOWS)
	@for module in $(GO_MODULES); do \
		echo "lint $$module"; \
		(cd $$module && $(BIN)/golangci-lint run --config $(CURDIR)/.golangci.yml ./...) || exit 1; \
	done

.PHONY: fmt
fmt: .bin/golangci-lint $(CLI_BUILT) ## Format Go and Terraform files
	@for module in $(GO_MODULES); do \
		(cd $$module && $(BIN)/golangci-lint fmt --config $(CURDIR)/.golangci.yml ./...) || exit 1; \
	done
	@$(CLI) fmt -recursive examples

.PHONY: fmt-check
fmt-check: $(CLI_BUILT) ## Check that make fmt would not change a file
	@files=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')) || exit 1; \
	if [ -n "$$files" ]; then printf 'not formatted; run make fmt:\n%s\n' "$$files" >&2; exit 1; fi
	@$(CLI) fmt -check -diff -recursive examples

.PHONY: validate
validate: $(CLI_BUILT) ## Validate all examples with the provider's schemas
	@CLI=$(CLI) .ci/validate-examples

# The generated files and directories in docs/.
GENERATED_DOCS := index.md actions data-sources ephemeral-resources functions guides list-resources resources
PLUGINDOCS_ARGS := --provider-name brane --providers-schema .bin/schema.json

.PHONY: docs
docs: .bin/tfplugindocs ## Write docs/ from the schemas, templates/ and examples/
	@go run ./tools/schema > .bin/schema.json
	@.bin/tfplugindocs generate $(PLUGINDOCS_ARGS) --rendered-website-dir $(or $(DOCS_DIR),docs) > .bin/docs.log 2>&1 || { cat .bin/docs.log >&2; exit 1; }

.PHONY: docs-check
docs-check: ## Check that docs/ is up to date, that the registry accepts it, and the vocabulary
	@go run ./tools/words
	@rm -rf .bin/docs
	@$(MAKE) --no-print-directory docs DOCS_DIR=.bin/docs
	@for page in $(GENERATED_DOCS); do \
		if [ -e docs/$$page ] || [ -e .bin/docs/$$page ]; then \
			diff -ruN docs/$$page .bin/docs/$$page || { echo "docs/$$page is out of date; run make docs" >&2; exit 1; }; \
		fi; \
	done
	@.bin/tfplugindocs validate $(PLUGINDOCS_ARGS) > .bin/docs.log 2>&1 || { cat .bin/docs.log >&2; exit 1; }

.PHONY: release-snapshot
release-snapshot: .bin/goreleaser .bin/cyclonedx-gomod ## Build all files of a release into dist/, signed with a throw-away key, and the agent's image; 10 minutes the first time
	@tools/release/snapshot

.PHONY: test-release
test-release: release-snapshot .bin/tofu ## Build the files of a release, install them through mirrors with OpenTofu and with Terraform if it is on the PATH, apply a run, and build them again; 10 minutes
	@$(MAKE) --no-print-directory cluster-up CLUSTER_DIR=$(TEST_CLUSTER)
	@. ./$(TEST_CLUSTER)/env && TF_ACC=1 PATH="$$PATH:$(BIN)" go test -tags release -timeout 60m -count 1 ./test/release

.PHONY: release-check
release-check: .bin/goreleaser ## Check .goreleaser.yml, and build the provider for this platform and the agent's image into dist/
	@.bin/goreleaser check --quiet
	@.bin/goreleaser build --snapshot --single-target --id provider --clean
	@go -C tools/image run ./release -layout $(CURDIR)/dist/brane-agent

# Cleaning up -----------------------------------------------------------------------------------------------

.PHONY: clean
clean: ## Remove everything that was built, started and applied in this directory
	@for dir in .cluster $(TEST_CLUSTER) .cluster-kubernetes .cluster-redis; do \
		if [ -d $$dir ]; then $(MAKE) --no-print-directory cluster-clean CLUSTER_DIR=$$dir || exit 1; fi; \
	done
	@cd examples/quickstart && rm -rf .terraform .terraform.lock.hcl terraform.tfstate* control-plane/*.yml control-plane/.brane-config.lock
	@rm -rf .bin .cache dist
