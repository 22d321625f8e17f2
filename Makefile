# The commands of README and CI.
PYTHON ?= python3
VENV ?= .venv
PYTHON312 ?= python3.12
BIN := $(VENV)/bin
# Where ROS is installed, its own packages are used instead of the wheels.
ifdef ROS_DISTRO
ROBOT := openvino
VENV_FLAGS := --system-site-packages
else
ROBOT := ros,openvino
VENV_FLAGS :=
endif
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: setup test test-jazzy lint demo bench train-default train-fast

# What a robot needs, for the demo; a few hundred megabytes.
$(VENV)/.robot: setup.py package.xml
	$(PYTHON) -m venv $(VENV_FLAGS) $(VENV)
	$(PIP) install -e ".[$(ROBOT)]"
	touch $@

# Everything: PyTorch, training, tests, linters; several gigabytes.
setup: $(VENV)/.ready

$(VENV)/.ready: $(VENV)/.robot
	$(PIP) install -e ".[$(ROBOT),onnxruntime,rtx,video,train,dev]"
	touch $@

test: setup
	$(BIN)/python -m pytest

# The node on Jazzy's wheels with apt's NumPy, without PyTorch: what a robot with Ubuntu 24.04 has.
test-jazzy:
	$(PYTHON312) -m venv .venv-jazzy
	.venv-jazzy/bin/python -m pip --disable-pip-version-check --quiet install 'numpy==1.26.*' \
	  -e '.[ros-jazzy,video,onnxruntime,view]' pytest pytest-timeout hypothesis
	.venv-jazzy/bin/python -m pytest test/ros/node test/ros/messages test/ros/viewer test/system

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell hyperseg_core hyperseg_ros test docs launch config benchmarks tools README.md

demo: $(VENV)/.robot
	$(BIN)/python -m hyperseg_ros.demo.main $(if $(BAG),--bag $(BAG)) $(if $(VIDEO),--video $(VIDEO)) \
	  $(if $(IMAGES),--images $(IMAGES)) $(if $(CAMERA),--camera $(CAMERA)) \
	  $(if $(TOPIC),--topic $(TOPIC)) $(DEMO_OPTIONS)

bench: setup
	$(BIN)/python benchmarks/bench_model.py

# Six hours on 2 cores; goes on where it stopped. CAMVID_ROOT and STREETS_ROOT name the data.
DEFAULT_STAGES := default default-continued default-refined default-cities default-cities-finish
train-default: setup
	set -e; for stage in $(DEFAULT_STAGES); do \
	  $(BIN)/hyperseg train --config config/train/$$stage.yaml --resume; done
	$(call ship,default-cities-finish,default)

# Three hours; after train-default, from its last stage. The first three make its teacher.
FAST_STAGES := default-distilled default-teacher default-taught fast-cities fast-taught fast-third
train-fast: setup
	set -e; for stage in $(FAST_STAGES); do \
	  $(BIN)/hyperseg train --config config/train/$$stage.yaml --resume; done
	$(call ship,fast-third,fast)

# $(1): run; $(2): name of the checkpoint. Calibrated, scored on the test splits, once, and shipped.
define ship
	$(BIN)/hyperseg calibrate runs/$(1)/last.safetensors runs/$(1)/calibrated.safetensors \
	  --data streets --root '$${STREETS_ROOT}' --split val
	$(BIN)/hyperseg evaluate --checkpoint runs/$(1)/calibrated.safetensors --data camvid \
	  --root '$${CAMVID_ROOT}' --split test --also-with-void --output runs/$(1)/camvid-test
	$(BIN)/hyperseg evaluate --checkpoint runs/$(1)/calibrated.safetensors --data streets \
	  --root '$${STREETS_ROOT}' --split val --output runs/$(1)/streets-val
	$(BIN)/hyperseg evaluate --checkpoint runs/$(1)/calibrated.safetensors --data drive \
	  --split test --output runs/$(1)/drive-test
	$(BIN)/hyperseg annotate runs/$(1)/calibrated.safetensors checkpoints/$(2).safetensors \
	  --scores runs/$(1)/camvid-test/scores.json runs/$(1)/streets-val/scores.json \
	  runs/$(1)/drive-test/scores.json \
	  --licence "weights trained on CamVid and Cityscapes: for research use; see docs/model-card-$(2).md"
endef
