# Graded Descent. `make help` lists the verbs; a second `make` does only what changed.
PYTHON ?= python3
ASSIGNMENT ?= backprop
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := all
.PHONY: all help setup book assignments demo serve lab test check doctor fuzz threats atlas bands bench-assignments bench-grading bench-crossing gpu-check lint lock clean

all: assignments book demo  ## release the assignments, build the book, grade a demo class
	@$(RUN) tools/summary.py

help:  ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

setup: $(READY)  ## install everything, into .venv and node_modules

# A .venv whose Python has gone is made again, whatever its dates say.
ifneq ($(shell $(RUN) -c 'print("alive")' 2>/dev/null),alive)
.PHONY: $(READY)
endif
$(READY): requirements.txt pyproject.toml package-lock.json tools/set_up.py
	@$(PYTHON) tools/set_up.py

assignments: $(READY)  ## lint every assignment; write source/, release/ and the students' wheel
	@$(RUN) -m proctor release --all && $(RUN) tools/build_wheel.py

book: assignments  ## execute and build the book into _build/html
	@$(RUN) tools/build_book.py

demo: assignments  ## grade a made-up class, from submitted/ to feedback/ and grades.csv
	@$(RUN) -m proctor demo $(ASSIGNMENT)

serve: book  ## show the built book at http://localhost:8000
	@$(RUN) -m http.server --bind 127.0.0.1 --directory _build/html 8000

lab: assignments  ## open JupyterLab, with nbgrader's Validate button and formgrader
	@$(RUN) -m jupyterlab $(if $(filter 0,$(shell id -u)),--allow-root)

check: assignments  ## try every assignment's tests against its table of wrong and right answers
	@$(RUN) -m proctor check --all

bench-grading: assignments  ## time stock nbgrader and proctor on the same class
	@$(RUN) benchmarks/grading.py

bench-crossing: $(READY)  ## time a tensor on its way between test and student
	@$(RUN) benchmarks/crossing.py

bands: $(READY)  ## measure what the references reach in the tests that train, over 20 seeds
	@PYTHONPATH=src $(RUN) benchmarks/bands.py

bench-assignments: assignments  ## time each reference solution, graded and under Validate
	@$(RUN) benchmarks/assignments.py

gpu-check:  ## run the tests that train on this machine's GPU; needs PyTorch, NumPy, matplotlib, and no .venv
	@$(PYTHON) benchmarks/gpu_check.py

fuzz: assignments  ## spoil 10,000 notebooks and 10,000 replies; all are judged or refused
	@FUZZ_CASES=10000 $(RUN) -m pytest tests/fuzz -q

threats: assignments  ## grade everything hostile, with proctor and with stock nbgrader; write the data of the page
	@rm -rf _build/threats/runs
	@THREATS_RUNS=$(CURDIR)/_build/threats/runs $(RUN) -m pytest tests/threats/test_attacks.py
	@$(RUN) tools/threats_page.py --measure

atlas: $(READY)  ## measure the gradient atlas of the chapter on depth again
	@$(RUN) tools/gradient_atlas.py

doctor: $(READY)  ## say whether this machine can grade, and what to do where it cannot
	@$(RUN) -m proctor doctor

lint: $(READY)  ## format, lint, types, spelling, import arrows
	@ruff check . && ruff format --check --quiet . && mypy && lint-imports --no-logo && codespell

test: lint assignments book  ## everything that CI runs
	@$(RUN) -m pytest

lock: $(READY)  ## compile requirements.txt and package-lock.json anew
	@uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-emit-index-url --quiet --output-file requirements.txt && npm install --package-lock-only

clean:  ## remove what was built; keeps .venv, submissions and grades
	@rm -rf _build source/*/ release/*/
