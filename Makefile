# What one does with this repository; `make help` lists it.
# Everything here is plain cargo underneath, with what the C++ part of the build needs put in the environment.

.DEFAULT_GOAL := help
.PHONY: help run run-services chaos rebuild test test-all torture soak mutations fuzz verify bench peers peer-servers deny fmt tools

# RocksDB is fifteen minutes of C++; ccache makes the second build of it one minute. Cargo compiles it again when CC
# changes, so use either these targets or the same two variables in your shell.
ifneq ($(shell command -v ccache 2>/dev/null),)
ifeq ($(origin CC),default)
export CC := ccache gcc
export CXX := ccache g++
endif
endif

# Written by tools/setup.sh: only what this machine needs beyond that (where libclang is, which toolchain to use).
ifneq ($(filter-out help fmt,$(MAKECMDGOALS)),)
include .tools/env.mk
.tools/env.mk: tools/setup.sh
	@tools/setup.sh
endif

CARGO ?= cargo
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)
ifneq ($(NEXTEST),)
RUN_TESTS = $(CARGO) nextest run --workspace --no-fail-fast
else
RUN_TESTS = $(CARGO) test --workspace --lib --bins --tests --no-fail-fast
endif

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

run: tools ## the main job: import the orders, keep the read models, publish to NATS
	$(CARGO) run --release --package orders -- import

run-services: tools ## the shop as four services: the same orders through HTTP, and what all four say at the end
	$(CARGO) run --release --package orders -- services

chaos: tools ## the four services while they and the broker are killed at random; ARGS="--seconds 600 --seed 7"
	$(CARGO) run --release --package orders -- chaos $(ARGS)

rebuild: tools ## drop the read models of the main job and replay the log into new ones
	$(CARGO) run --release --package orders -- rebuild

# The runner's summary comes last, so that it stands at the end of a log. `schedules` has the store's sources once more: their
# examples are the store's.
test: tools ## every test in its short form (under ten minutes from a warm cache)
	$(CARGO) test --workspace --exclude schedules --doc
	for example in store_only boundary; do $(CARGO) run --quiet --package annalist-store --example $$example || exit 1; done
	$(RUN_TESTS)

test-all: export ANNALIST_CASES ?= 4096
test-all: export ANNALIST_CRASH_ROUNDS ?= 200
test-all: export ANNALIST_CRASH_STORES ?= 400
test-all: export ANNALIST_SCHEDULES ?= 20000
test-all: test ## every test in its long form

torture: export ANNALIST_CRASH_ROUNDS ?= 2000
torture: export ANNALIST_CRASH_STORES ?= 5000
torture: export ANNALIST_SCHEDULES ?= 200000
torture: tools ## the crash tests and the schedules alone, for hours: kill, fail, cut the power, reopen, audit (docs/reliability.md)
	$(CARGO) test --package schedules -- --nocapture
	$(CARGO) test --package tests --test 'crash*' -- --nocapture

soak: tools ## one server under 500 clients for half an hour, killed meanwhile, audited at the end; ARGS="--seconds 600"
	$(CARGO) build --package tests --bin store_server --bin soak
	target/debug/soak $(ARGS)

mutations: tools ## seeded bugs, one at a time: each must be caught by its test; ARGS="key index" for some of them
	tools/mutations.sh $(ARGS)

fuzz: export ANNALIST_FUZZ_INPUTS ?= 2000000
fuzz: export ANNALIST_FUZZ_KEEP ?= 1
fuzz: export ANNALIST_CASES ?= 4096
fuzz: tools ## the decoders with millions of damaged inputs, and long command sequences against the model
	$(CARGO) test --package annalist-store --package annalist-proto --lib fuzz -- --nocapture
	$(CARGO) test --package tests --no-default-features --test model

verify: tools ## what must hold before a change lands: format, lints, documentation, tests
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) check --package annalist --no-default-features
	$(CARGO) check --package benches --lib --no-default-features
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps
	$(MAKE) deny test

bench: tools ## measure the disk and the store; docs/performance.md says how to read the tables
	$(CARGO) bench --package benches

# A package of its own, with its own lock file and target folder: nothing else compiles the peers.
peers: tools ## measure it beside other stores (docs/peers.md); ARGS="append 64x1" for some rows, ARGS=--help for the rest
	CARGO_TARGET_DIR="$(CURDIR)/target/peers" $(CARGO) run --release --manifest-path benches/peers/Cargo.toml -- $(ARGS)

peer-servers: tools ## measure it as a server beside other servers (docs/peers.md); takes protoc 36.2 and the same ARGS
	CARGO_TARGET_DIR="$(CURDIR)/target/peers" $(CARGO) build --release --features servers --manifest-path benches/peers/Cargo.toml
	target/peers/release/peers server $(ARGS)

deny: ## licences, sources and who may depend on what, if cargo-deny is installed
	@if command -v cargo-deny >/dev/null 2>&1; then \
		$(CARGO) deny check bans licenses sources; \
	else \
		echo "cargo-deny is not installed: skipped (tests/tests/architecture.rs checks who depends on whom)"; \
	fi

fmt: ## format all Rust code
	$(CARGO) fmt --all

tools: ## install or find what the build and the tests need beside a Rust toolchain
	@tools/setup.sh
