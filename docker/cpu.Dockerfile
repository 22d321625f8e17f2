# ROS 2 with the segmenter on CPUs. Not built by us yet: there was no container engine.
# docker build -f docker/cpu.Dockerfile -t hyperseg_ros:cpu .
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base
RUN apt-get update && apt-get install -y --no-install-recommends \
      python3-venv python3-colcon-common-extensions ros-${ROS_DISTRO}-vision-msgs ros-${ROS_DISTRO}-cv-bridge \
    && rm -rf /var/lib/apt/lists/*
COPY . /workspace/src/hyperseg_ros
WORKDIR /workspace
RUN python3 -m venv --system-site-packages .venv && . .venv/bin/activate \
    && pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu "numpy<2" torch timm safetensors \
       "jsonargparse[signatures]" rich rosbags rosbags-image pillow openvino onnx onnxscript opencv-python-headless \
    && . /opt/ros/${ROS_DISTRO}/setup.sh && colcon build --packages-select hyperseg_ros
ENV FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA
ENTRYPOINT ["bash", "-c", ". /workspace/.venv/bin/activate && . /workspace/install/setup.bash && exec \"$@\"", "--"]
CMD ["ros2", "launch", "hyperseg_ros", "segmenter.launch.py", "image:=/camera/image_raw"]
