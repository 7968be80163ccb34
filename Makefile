# make demo   train, certify, export, compare; report in demo/report.html
# make test   lint, types, C tests under sanitizers, Python tests
# Both make .venv and install what they need from PyPI, without root.

PYTHON ?= python3
BIN := .venv/bin
# The machine's C compiler, or the one of the package ziglang.
SYSTEM_CC := $(firstword $(foreach name,cc gcc clang,$(shell command -v $(name) 2>/dev/null)))
CC_NAME := $(or $(SYSTEM_CC),$(CURDIR)/$(BIN)/zig-cc)
C_SOURCES := $(shell find csrc -name '*.[ch]' -o -name CMakeLists.txt -o -name '*.cmake')
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CMAKE := $(BIN)/cmake
PEER_TESTS := tests/verify/peers tests/verify/oracle tests/verify/gradients/test_adapters.py tests/minigrad/optim \
  tests/minigrad/ops/test_against_torch.py
export CC := $(CC_NAME)

.PHONY: demo test setup lint ctest pytest campaign peers bench figures fuzz sizes simde clean

demo: setup
	@$(BIN)/minigrad demo $(DEMO)

test: setup lint ctest pytest

setup: .venv/installed .venv/built

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with 'make PYTHON=python3.12 ...'" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is needed; on Debian: apt install python3-venv" >&2; exit 1; }
	@echo "making .venv and installing from PyPI (about a minute)"
	@$(PYTHON) -m venv .venv

# Build tools first: the package is built without isolation, so that a change in csrc/ rebuilds in a second.
.venv/installed: .venv/bin/python pyproject.toml
	@$(PIP) install scikit-build-core cmake ninja ziglang
	@printf '#!/bin/sh\nexec "%s" -m ziglang cc "$$@"\n' "$(CURDIR)/$(BIN)/python" > $(BIN)/zig-cc && chmod +x $(BIN)/zig-cc
	@$(PIP) install --no-build-isolation -e '.[cross,test,lint]'
	@touch $@ .venv/built

.venv/built: .venv/installed $(C_SOURCES)
	@$(PIP) install --no-build-isolation --no-deps -e .
	@touch $@

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/clang-format --dry-run --Werror $(filter %.c %.h,$(C_SOURCES))
	@$(BIN)/mypy

# The C library alone, warnings as errors, its tests under the sanitizers the compiler has.
ctest: setup
	@$(CMAKE) -S csrc -B build/ctest -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja \
	  -DMGK_TESTS=ON -DMGK_WERROR=ON -DMGK_SANITIZE=auto | grep sanitizers
	@$(CMAKE) --build build/ctest -- --quiet
	@$(BIN)/ctest --test-dir build/ctest --output-on-failure

pytest: setup
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST)

# The long runs: many more examples of everything hypothesis draws.
campaign: setup
	@HYPOTHESIS_PROFILE=intense $(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST)

# What needs PyTorch, JAX or HIPS autograd, in an environment of its own: all tests that skip without them, and the
# stored measurements (conventions at kinks, what the peers' checkers let through) made again and compared.
peers: .venv/peers/installed
	@.venv/peers/bin/python -m pytest $(PEER_TESTS) $(PYTEST)

.venv/peers/installed: .venv/built
	@$(PYTHON) -m venv .venv/peers
	@.venv/peers/bin/python -m pip --disable-pip-version-check --quiet install scikit-build-core cmake ninja
	@.venv/peers/bin/python -m pip --disable-pip-version-check --quiet install --no-build-isolation -e '.[cross,test,peers]'
	@touch $@

# Instructions of the integer kernels on AArch64 beside other libraries'; the float kernels' times beside NumPy's.
bench: setup
	@$(BIN)/minigrad bench kernels
	@$(BIN)/minigrad bench floats

# The figures and the plot of docs/kernels.md, measured again.
figures: setup
	@$(BIN)/minigrad bench kernels --no-host --json docs/kernels.json --plot docs/kernels.png
	@$(BIN)/python -m verify.kernels.bench.page

# Every public C function with arbitrary arguments, under sanitizers: guided by coverage where there is clang.
FUZZ_SECONDS ?= 60
fuzz: setup
	@$(CMAKE) -S csrc -B build/fuzz -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja \
	  -DCMAKE_C_COMPILER=$(or $(shell command -v clang),$(CC)) -DMGK_FUZZ=ON -DMGK_SANITIZE=auto | grep sanitizers
	@$(CMAKE) --build build/fuzz -- --quiet
	@if [ -x build/fuzz/fuzz_guided ]; then build/fuzz/fuzz_guided -max_len=2048 -max_total_time=$(FUZZ_SECONDS); \
	  else timeout $(FUZZ_SECONDS) build/fuzz/fuzz 1000000000 $$(date +%s) || [ $$? -eq 124 ]; fi

# The NEON kernels on this machine, by the headers of SIMDe, under clang's sanitizers: tests and seeded inputs.
simde: setup
	@command -v clang >/dev/null && echo '#include <simde/arm/neon.h>' | clang -fsyntax-only -xc - || \
	  { echo "clang and SIMDe are needed; on Debian: apt install clang libsimde-dev" >&2; exit 1; }
	@for kinds in address,undefined memory; do \
	  $(CMAKE) -S csrc -B build/simde-$$kinds -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja \
	    -DCMAKE_C_COMPILER=clang -DMGK_SIMDE=ON -DMGK_TESTS=ON -DMGK_WERROR=ON -DMGK_SANITIZE=$$kinds >/dev/null && \
	  $(CMAKE) --build build/simde-$$kinds -- --quiet && \
	  $(BIN)/ctest --test-dir build/simde-$$kinds --output-on-failure || exit 1; \
	done

# Bytes of code of the C library for AArch64, scalar and with NEON.
sizes: setup
	@$(BIN)/python -m verify.kernels.sizes

clean:
	rm -rf .venv build
