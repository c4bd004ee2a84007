# Countersign. `make help` lists what there is.

SHELL := /bin/bash
.DEFAULT_GOAL := help
# Tools that only tests need are installed here, never system-wide where that can be helped.
export PATH := $(CURDIR)/.tools/bin:$(PATH)

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: dev
dev: ## run the service on its embedded default
	cargo run --release -- dev

.PHONY: tools
tools: ## install what the tests need beside Rust
	@scripts/install-test-tools

.PHONY: test
test: tools ## run every test
	@# Most tests wait, for a server to start or for a deadline to pass: three for each processor keep it busy.
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((3 * $$(getconf _NPROCESSORS_ONLN)))} cargo test --workspace --locked --quiet
	@scripts/test-web
	@scripts/test-go
	@scripts/test-node
	@scripts/test-python
	@scripts/test-java
	@scripts/test-migrations
	@scripts/test-shop

.PHONY: test-go
test-go: tools ## run the tests of sdk/go alone
	@scripts/test-go

.PHONY: test-node
test-node: tools ## run the tests of sdk/node alone
	@scripts/test-node

.PHONY: test-python
test-python: tools ## run the tests of sdk/python alone
	@scripts/test-python

.PHONY: test-java
test-java: tools ## run the tests of sdk/java alone
	@scripts/test-java

.PHONY: test-migrations
test-migrations: tools ## run the applications of examples/migrations, before and after their move
	@scripts/test-migrations

.PHONY: test-shop
test-shop: tools ## run the services of examples/shop, and log their customer out
	@scripts/test-shop

.PHONY: sdk
sdk: tools ## build, test and check the packages of the SDKs; every rule is broken once, and must be noticed
	@scripts/test-go mutants
	@scripts/test-node mutants
	@scripts/test-python mutants
	@scripts/test-java mutants

.PHONY: web
web: ## build the browser client and the page that the server embeds
	cd sdk/web && npm ci --no-audit --no-fund --loglevel=error && npm run --silent page

.PHONY: format
format: ## format the code
	cargo fmt --all

.PHONY: lint
lint: clippy tools ## format check, clippy with warnings as errors, buf lint, cargo-deny where it is installed
	@scripts/lint-extras

.PHONY: clippy
clippy: ## format check and clippy alone
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- --deny warnings

.PHONY: docs
docs: ## write the generated documents anew
	UPDATE_DOCS=1 cargo test --locked --quiet --test it -- error_catalogue chart::

.PHONY: fuzz
fuzz: ## present ten million forged tokens to the verifier
	FUZZ_TOKENS=10000000 cargo test --release --locked --quiet -p countersign-verifier --test it no_forged_token -- --nocapture

.PHONY: abuse
abuse: tools ## attack a release build for 60 s in each way, and print what was measured; SECONDS_EACH=…, PEERS=…
	cargo build --release --locked
	ABUSE_SECONDS=$(or $(SECONDS_EACH),60) ABUSE_PEERS=$(or $(PEERS),2000) COUNTERSIGN_BIN=$(CURDIR)/target/release/countersign \
		cargo test --locked --quiet --test it -- abuse:: --include-ignored --nocapture --test-threads 1

.PHONY: crash
crash: ## kill the service in the middle of administrative changes, and look at what is left; KILLS=…
	KILLS=$(or $(KILLS),200) cargo test --workspace --locked --quiet --test it -- crash::administration --nocapture

.PHONY: bench
bench: ## measure, print a table, write docs/benchmarks.md; ROW=… measures one row alone
	@scripts/install-bench-tools
	cargo bench --profile dist --locked --bench goals -- --write $(addprefix --row ,$(ROW)) $(addprefix --largest ,$(LARGEST))
	$(if $(ROW),,cargo bench --profile dist --locked --bench user_enumeration)

.PHONY: image
image: ## build the container image, with Docker or, without a daemon, with buildah
	@scripts/build-image
