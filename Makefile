# One command for each thing one does here; `make` alone tells them. Nothing but Go, and for the cluster
# Debian's packages and root, is needed.

CLUSTER_DIR ?= .cluster
# The number to try first: where it is taken, the cluster gets the next free one.
CLUSTER_NUMBER ?= $(if $(filter .cluster-test,$(notdir $(CLUSTER_DIR))),2,1)

.DEFAULT_GOAL := help

.PHONY: help
help: ## Tell what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The cluster -----------------------------------------------------------------------------------------------

.PHONY: launcher
launcher:
	@mkdir -p .bin
	@go -C test/cluster build -o ../../.bin/launcher .

.PHONY: cluster-up
cluster-up: launcher ## Start Kubernetes, Redis and a registry on this machine, or bring them up to date
	@.bin/launcher up -dir $(CLUSTER_DIR) -number $(CLUSTER_NUMBER)

.PHONY: cluster-down
cluster-down: launcher ## Stop them; what they stored stays in CLUSTER_DIR (.cluster)
	@.bin/launcher down -dir $(CLUSTER_DIR)

.PHONY: cluster-clean
cluster-clean: launcher ## Stop them and remove the folder
	@.bin/launcher clean -dir $(CLUSTER_DIR)

# Cleaning up -----------------------------------------------------------------------------------------------

.PHONY: clean
clean: ## Remove what was built and started here, except the caches in .cache
	@for dir in .cluster .cluster-test; do \
		if [ -d $$dir ]; then $(MAKE) --no-print-directory cluster-clean CLUSTER_DIR=$$dir || exit 1; fi; \
	done
	@rm -rf .bin dist
