# ROS 2 with the segmenter on CPUs. Not built by us yet: there was no container engine.
# docker build -f docker/cpu.Dockerfile -t hyperseg_ros:cpu .
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base
ARG ROS_DISTRO
RUN apt-get update && apt-get install -y --no-install-recommends \
      python3-venv python3-colcon-common-extensions ros-${ROS_DISTRO}-vision-msgs ros-${ROS_DISTRO}-cv-bridge \
    && rm -rf /var/lib/apt/lists/*
COPY . /workspace/src/hyperseg_ros
WORKDIR /workspace
# A NumPy below 2, which apt's cv_bridge was built for.
RUN python3 -m venv --system-site-packages .venv && . .venv/bin/activate \
    && pip install --no-cache-dir "numpy<2" ./src/hyperseg_ros \
    && . /opt/ros/${ROS_DISTRO}/setup.sh && python3 -m colcon build --packages-select hyperseg_ros
ENV FASTDDS_DEFAULT_PROFILES_FILE=/workspace/install/hyperseg_ros/share/hyperseg_ros/config/fastdds.xml
ENTRYPOINT ["bash", "-c", ". /workspace/.venv/bin/activate && . /workspace/install/setup.bash && exec \"$@\"", "--"]
CMD ["ros2", "launch", "hyperseg_ros", "segmenter.launch.py", "image:=/camera/image_raw"]
