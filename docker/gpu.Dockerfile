# ROS 2 with TensorRT on NVIDIA GPUs, x86-64. Not built by us yet: there was no container engine and no GPU.
# docker build -f docker/gpu.Dockerfile -t hyperseg_ros:gpu . && docker run --gpus all --network host hyperseg_ros:gpu
# Ubuntu 24.04 with Python 3.12, where Jazzy and Kilted are; NVIDIA's TensorRT image 24.08 is Ubuntu 22.04. The
# driver's library comes from the host (`--gpus all`), TensorRT from pip, so no CUDA image is needed.
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base
ARG ROS_DISTRO
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN apt-get update && apt-get install -y --no-install-recommends \
      python3-venv python3-colcon-common-extensions ros-${ROS_DISTRO}-vision-msgs ros-${ROS_DISTRO}-cv-bridge \
    && rm -rf /var/lib/apt/lists/*
COPY . /workspace/src/hyperseg_ros
WORKDIR /workspace
# A NumPy below 2, which apt's cv_bridge was built for. tensorrt-cu13 is for drivers of CUDA 13, tensorrt-cu12 for older
# ones; their libraries come from NVIDIA's index.
ARG TENSORRT=tensorrt-cu13
RUN python3 -m venv --system-site-packages .venv && . .venv/bin/activate \
    && pip install --no-cache-dir --extra-index-url https://pypi.nvidia.com "numpy<2" ${TENSORRT} ./src/hyperseg_ros \
    && . /opt/ros/${ROS_DISTRO}/setup.sh && python3 -m colcon build --packages-select hyperseg_ros
ENV FASTDDS_DEFAULT_PROFILES_FILE=/workspace/install/hyperseg_ros/share/hyperseg_ros/config/fastdds.xml
ENTRYPOINT ["bash", "-c", ". /workspace/.venv/bin/activate && . /workspace/install/setup.bash && exec \"$@\"", "--"]
CMD ["ros2", "launch", "hyperseg_ros", "segmenter.launch.py", "image:=/camera/image_raw"]
