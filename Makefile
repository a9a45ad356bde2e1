# Two commands are enough: `make run` and `make test`. Each installs what it needs, says so, and is safe to run again.

CACHE := $(or $(ANTIPHON_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/antiphon)

.PHONY: run test bench lint fuzz mutants web clean

run: web ## build the playground and the release binary, and start everything on http://localhost:7880
	@scripts/speech.sh
	@echo "==> building the binary (some minutes the first time, seconds later)"
	@cargo build --release --bin antiphon
	@MODELS=$(MODELS) scripts/models.sh $(or $(CARGO_TARGET_DIR),target)/release/antiphon
	@cargo run --release --quiet --bin antiphon -- dev $(ARGS)

web: ## build the playground
	@scripts/web.sh

test: web ## everything that tests the project, real clients and a real browser included
	@CACHE=$(CACHE) scripts/test.sh

lint: ## formatting, clippy, cargo-deny
	@scripts/lint.sh

bench: ## latency, capacity and speed, each as a ratio or against a limit
	@scripts/bench.sh

fuzz: ## fuzz the parsers of outside bytes; SECONDS_EACH=60
	@scripts/fuzz.sh

mutants: ## break the dialogue on purpose, one rule at a time, and see its tests notice
	@scripts/mutants.sh

clean: ## remove what was built here
	rm -rf target web/dist web/node_modules artifacts
