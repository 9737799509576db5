# The two commands of a newcomer are `make demo` and `make test`; both set up what they need.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2  # test processes, each with a broker and a store of its own

.PHONY: setup demo test test-long lint gen gen-check reference bench clean

setup:  ## virtual environment and Kafka's jars; no time at all when they are there
	@$(PYTHON) infra/local/setup.py

demo: setup  ## the whole way on this machine, on real parts
	@$(BIN)/liucun demo up

test: lint  ## every test but the long ones
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

test-long: lint  ## full counts, with seeds
	@LIUCUN_LONG=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

lint: setup  ## style, types, and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@cd schemas/proto && $(CURDIR)/$(BIN)/buf lint && $(CURDIR)/$(BIN)/buf format -d --exit-code
	@cd schemas/proto && $(CURDIR)/$(BIN)/buf breaking --against released.binpb

gen: setup  ## write schemas/gen anew from schemas/proto
	@rm -rf schemas/gen && mkdir -p schemas/gen
	@cd schemas/proto && $(CURDIR)/$(BIN)/python -m grpc_tools.protoc -I . \
		--python_out=../gen --pyi_out=../gen --grpc_python_out=../gen $$(find liucun -name '*.proto' | sort)

gen-check: gen  ## is schemas/gen what schemas/proto makes?
	@git diff --exit-code --stat -- schemas/gen
	@test -z "$$(git ls-files --others --exclude-standard -- schemas/gen)"

reference: setup  ## write docs/reference anew from the code
	@$(BIN)/python -m infra.ops.reference
	@$(BIN)/python -m query_service.reference

bench: setup  ## measurements; alone on the machine
	@$(BIN)/python -m benchmarks.ship
	@$(BIN)/python -m benchmarks.load
	@$(BIN)/python -m benchmarks.ledger

clean:  ## remove what runs left behind (not the virtual environment)
	@rm -rf var
