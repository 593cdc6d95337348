# The commands of the project. ARGS are passed to the tool: make test ARGS="-n 0 -k login"

# The Python that creates .venv.
PYTHON ?= python3
BIN = .venv/bin/python -m

TESTS = test test-processes test-root test-faults test-security test-load test-neighbours test-deploy \
	test-image test-clients test-fuzz test-browser test-oidc test-first-run test-alerts test-bench
.PHONY: run install lint format requirements bench $(TESTS)

# Start the service and the embedded PostgreSQL; Ctrl-C stops both.
run: environment-run
	@exec $(BIN) flask serve

# Install the development dependencies.
install: environment-dev

# All tests but those of the targets below, in about four minutes on two cores.
test: environment-dev
	@$(BIN) pytest $(ARGS)

# Servers, workers and commands that run as processes, and the documented commands; six minutes.
test-processes: environment-dev
	@$(BIN) pytest -m 'processes and not security and not root' $(ARGS)

# Processes of other users, who must not read, change or block the data folder. Requires root.
test-root: environment-dev
	@$(BIN) pytest -m root $(ARGS)

# Kills workers, the database and connections, and fills the disk; about two minutes.
test-faults: environment-dev
	@scripts/$@ $(ARGS)

# Attacks that take long: forged tokens, guessed passwords, injection, hostile values in each field.
test-security: environment-dev
	@$(BIN) pytest -m 'security and not alone' $(ARGS)
	@$(BIN) pytest -n 0 -m 'security and alone' $(ARGS)

# Many clients; LOAD_SECONDS is the duration.
test-load: environment-dev
	@$(BIN) pytest -n 0 -m load $(ARGS)

# Attacks of one account beside another one; NEIGHBOURS_SECONDS is the duration of each.
test-neighbours: environment-dev
	@$(BIN) pytest -n 0 -m neighbours $(ARGS)

# The deployments of docs/deploy: nginx, systemd, PgBouncer, PostgreSQL with TLS.
test-deploy: environment-dev
	@scripts/test-deploy $(ARGS)

# Build the container image, and run it as in production.
test-image: environment-dev
	@deploy/try-image $(ARGS)

lint: environment-dev
	$(BIN) ruff check .
	$(BIN) ruff format --check .
	$(BIN) mypy
	$(BIN) mypy --config-file tests/mypy.ini
	.venv/bin/lint-imports
	.venv/bin/python scripts/lint-migrations
	scripts/lint-openapi

format: environment-dev
	$(BIN) ruff check --fix .
	$(BIN) ruff format .

# Lock the dependencies of the *.in files. Locked versions are kept; ARGS=--upgrade updates them.
requirements: environment-dev
	for layer in requirements requirements-embedded requirements-observe requirements-dev; do \
		CUSTOM_COMPILE_COMMAND="make requirements" $(BIN) piptools compile --quiet \
			--generate-hashes --allow-unsafe --strip-extras --no-config --no-emit-index-url \
			--no-emit-find-links --no-emit-trusted-host $(ARGS) $$layer.in || exit 1; \
	done

test-clients test-fuzz test-browser test-oidc test-first-run test-alerts test-bench: environment-dev
	@scripts/$@

bench: environment-dev
	@benchmarks/run $(ARGS)

.PHONY: environment-run environment-dev
environment-run environment-dev:
	@command -v $(PYTHON) >/dev/null || { \
		echo "$(PYTHON) was not found. taskapi needs Python 3.11 or newer;" \
			"on Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) scripts/environment.py $(@:environment-%=%)

# Some images set it. Each process then compiles the sources again, and pytest takes nearly twice as
# long to collect the tests.
unexport PYTHONDONTWRITEBYTECODE

# A .env file is for running the service. Tests and tools must not use the database named in it.
install lint format requirements bench $(TESTS): export FLASK_SKIP_DOTENV = 1
