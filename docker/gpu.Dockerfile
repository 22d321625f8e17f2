# ROS 2 with CUDA and TensorRT. Not built by us yet: there was no container engine and no GPU.
# docker build -f docker/gpu.Dockerfile -t hyperseg_ros:gpu . && docker run --gpus all --network host hyperseg_ros:gpu
FROM nvcr.io/nvidia/tensorrt:24.08-py3
ARG ROS_DISTRO=jazzy
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update && apt-get install -y --no-install-recommends curl gnupg python3-venv \
    && curl -sSL https://raw.githubusercontent.com/ros/rosdistro/master/ros.key -o /usr/share/keyrings/ros.gpg \
    && . /etc/os-release \
    && echo "deb [signed-by=/usr/share/keyrings/ros.gpg] http://packages.ros.org/ros2/ubuntu $VERSION_CODENAME main" \
       > /etc/apt/sources.list.d/ros2.list \
    && apt-get update && apt-get install -y --no-install-recommends ros-${ROS_DISTRO}-ros-base \
       ros-${ROS_DISTRO}-vision-msgs python3-colcon-common-extensions && rm -rf /var/lib/apt/lists/*
COPY . /workspace/src/hyperseg_ros
WORKDIR /workspace
RUN python3 -m venv --system-site-packages .venv && . .venv/bin/activate \
    && pip install --no-cache-dir torch timm ./src/hyperseg_ros \
       onnxruntime-gpu \
    && . /opt/ros/${ROS_DISTRO}/setup.sh && colcon build --packages-select hyperseg_ros
ENV FASTDDS_DEFAULT_PROFILES_FILE=/workspace/install/hyperseg_ros/share/hyperseg_ros/config/fastdds.xml
ENTRYPOINT ["bash", "-c", ". /workspace/.venv/bin/activate && . /workspace/install/setup.bash && exec \"$@\"", "--"]
CMD ["ros2", "launch", "hyperseg_ros", "segmenter.launch.py", "image:=/camera/image_raw", "engine:=tensorrt"]
