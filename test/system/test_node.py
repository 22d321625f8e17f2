# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import importlib.util
from pathlib import Path
import re
import signal
import time
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from lifecycle_msgs.srv import GetState
from node_client import Client
from node_client import node_process
from quick_engine import ENGINE
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image

from hyperseg_core import Segmenter
from hyperseg_core.drive import DriveScene
from hyperseg_core.render import overlay
from hyperseg_ros.cameras.rendered_street import camera_info
from hyperseg_ros.messages.encoding import fill_image

FRAME = DriveScene(1, height=96, width=128).frame(2.0)


@pytest.fixture(scope='module')
def segmenter(small_checkpoint: Path) -> Segmenter:
    return Segmenter(small_checkpoint, ENGINE)


def image(client: Client, pixels: np.ndarray = FRAME.image, frame_id: str = 'cam') -> Image:
    message = fill_image(Image(), pixels, 'rgb8')
    message.header.stamp = client.node.get_clock().now().to_msg()
    message.header.frame_id = frame_id
    return message


def pixels_of(message: Any) -> np.ndarray:
    data = np.frombuffer(message.data, np.uint8)
    return data.reshape(message.height, message.width, -1).squeeze()


def feed(client: Client, publisher: Any, received: list[Any], count: int = 1) -> None:
    """Publish frames until so many answers have come."""
    target = len(received) + count
    end_s = time.monotonic() + 40
    while len(received) < target:
        assert time.monotonic() < end_s, 'no answer'
        publisher.publish(image(client))
        client.wait(lambda: len(received) >= target, 0.4)


def test_one_camera_gets_the_networks_masks_under_its_header(
    client: Client, small_checkpoint: Path, segmenter: Segmenter, tmp_path: Path
) -> None:
    mask, confidence = client.listen('/segmenter/mask'), client.listen('/segmenter/confidence')
    shown, png = (
        client.listen('/segmenter/overlay'),
        client.listen('/segmenter/mask/compressed', CompressedImage),
    )
    infos = client.listen('/segmenter/camera_info', CameraInfo)
    frames, camera = client.publisher('/image'), client.publisher('/camera_info', CameraInfo)
    log = tmp_path / 'log'
    with node_process(small_checkpoint, log) as child:
        feed(client, frames, mask)
        for _ in range(3):
            camera.publish(camera_info(FRAME.camera_matrix, 96, 128))
            client.spin(0.1)
        for received in (mask, confidence, shown, png, infos):
            received.clear()
        sent = image(client, frame_id='the camera')
        outputs = (infos, mask, shown, png, confidence)

        def all_answered() -> bool:
            """Whether what came last is of this frame, not of those before."""
            frames.publish(sent)
            return all(received and received[-1].header == sent.header for received in outputs)

        assert client.wait(all_answered, 20)
        child.send_signal(signal.SIGTERM)
        start_s = time.monotonic()
        assert child.wait(5) == 0
        assert time.monotonic() - start_s < 2.0
    expected = segmenter(FRAME.image)
    assert np.array_equal(pixels_of(mask[-1]), expected.class_ids)
    assert mask[-1].encoding == 'mono8'
    assert np.array_equal(pixels_of(confidence[-1]), expected.confidence)
    decoded = cv2.imdecode(np.frombuffer(png[-1].data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(decoded, expected.class_ids)
    assert np.array_equal(
        pixels_of(shown[-1]), overlay(FRAME.image, expected.class_ids, segmenter.label_set)
    )
    for received in (mask, confidence, shown, png, infos):
        assert received[-1].header == sent.header
    assert (infos[-1].height, infos[-1].width) == (96, 128)
    assert 'Traceback' not in log.read_text()


def test_bad_frames_among_good_ones_are_dropped_and_counted(
    client: Client, small_checkpoint: Path, tmp_path: Path
) -> None:
    mask, diagnostics = client.listen('/segmenter/mask'), client.diagnostics()
    frames = client.publisher('/image', reliable=True)
    changes: list[dict[str, Any]] = [
        {'data': b'\0' * 10}, {'height': 0, 'width': 0}, {'height': 2**31}, {'step': 1},
        {'encoding': 'rubbish'}, {'encoding': ''}, {'width': 2**32 - 1}, {'encoding': 'nv12'},
    ]  # fmt: skip
    log = tmp_path / 'log'
    with node_process(small_checkpoint, log) as child:
        feed(client, frames, mask)

        def bad_frames() -> int:
            found = [item for array in diagnostics for item in array.status[0].values]
            counts = [int(item.value) for item in found if item.key == 'dropped, bad frame']
            return max(counts, default=0)

        for change in changes:
            bad = image(client, frame_id='')
            for name, value in change.items():
                setattr(bad, name, value)
            known, end_s = bad_frames(), time.monotonic() + 30
            while bad_frames() == known:  # a newer one may replace it unread
                assert time.monotonic() < end_s, change
                frames.publish(bad)
                client.wait(lambda known=known: bad_frames() > known, 1.5)
            feed(client, frames, mask)
        backwards = image(client)
        backwards.header.stamp.sec -= 100
        frames.publish(backwards)
        feed(client, frames, mask)
        assert child.poll() is None
        diagnostics.clear()
        assert client.wait(lambda: bool(diagnostics), 5)
    values = {item.key: item.value for item in diagnostics[-1].status[0].values}
    assert int(values['dropped, bad frame']) >= len(changes)
    dropped = sum(int(v) for k, v in values.items() if k.startswith('dropped, '))
    assert int(values['dropped']) == dropped
    assert 0 <= int(values['received']) - int(values['published']) - dropped <= 1
    assert 'is dropped' in log.read_text()


def test_two_cameras_share_one_engine_under_their_names(
    client: Client, small_checkpoint: Path, segmenter: Segmenter, tmp_path: Path
) -> None:
    front, rear = client.listen('/segmenter/front/mask'), client.listen('/segmenter/rear/mask')
    publishers = {name: client.publisher(f'/{name}/image') for name in ('front', 'rear')}
    flipped = np.ascontiguousarray(FRAME.image[:, ::-1])
    with node_process(small_checkpoint, tmp_path / 'log', '-p', 'cameras:=[front, rear]'):
        feed(client, publishers['front'], front)
        feed(client, publishers['rear'], rear)
        front.clear()
        rear.clear()
        end_s = time.monotonic() + 20
        while not (front and rear) and time.monotonic() < end_s:
            publishers['front'].publish(image(client))
            publishers['rear'].publish(image(client, flipped))
            client.spin(0.2)
    assert np.array_equal(pixels_of(front[-1]), segmenter(FRAME.image).class_ids)
    assert np.array_equal(pixels_of(rear[-1]), segmenter(flipped).class_ids)


def test_nav2_finds_masks_confidences_and_names(
    vision_msgs: None, client: Client, small_checkpoint: Path, segmenter: Segmenter, tmp_path: Path
) -> None:
    from vision_msgs.msg import LabelInfo

    mask, frames = client.listen('/segmenter/mask'), client.publisher('/image')
    # The QoS of Nav2's semantic segmentation layer, which comes late and pairs by stamp.
    sensor = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
    latched = QoSProfile(depth=5, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    masks: list[Image] = []
    confidences: list[Image] = []
    infos: list[Any] = []
    with node_process(small_checkpoint, tmp_path / 'log', '-p', 'confidence_threshold:=0.25'):
        feed(client, frames, mask)
        subscribe = client.node.create_subscription
        subscribe(Image, '/segmenter/mask', masks.append, sensor)
        subscribe(Image, '/segmenter/confidence', confidences.append, sensor)
        subscribe(LabelInfo, '/segmenter/label_info', infos.append, latched)
        assert client.wait(lambda: bool(infos), 10)
        feed(client, frames, confidences)
        confidence = confidences[-1]

        def paired() -> Image | None:
            return next((item for item in masks if item.header == confidence.header), None)

        assert client.wait(lambda: paired() is not None, 10)
    names = {item.class_id: item.class_name for item in infos[0].class_map}
    assert names == dict(enumerate(segmenter.label_set.names))
    assert infos[0].threshold == 0.25
    assert paired().encoding == confidence.encoding == 'mono8'
    ids, values = pixels_of(paired()), pixels_of(confidence)
    assert ids.shape == values.shape
    assert set(np.unique(ids)) <= {*names, 255}
    assert np.array_equal(ids == 255, values < round(255 * 0.25))


def test_compressed_transport(client: Client, small_checkpoint: Path, tmp_path: Path) -> None:
    mask = client.listen('/segmenter/mask')
    frames = client.publisher('/image', CompressedImage)
    _, data = cv2.imencode('.png', FRAME.image[..., ::-1].copy())
    with node_process(small_checkpoint, tmp_path / 'log', '-p', 'transport:=compressed'):
        message = CompressedImage(format='png')
        message.data = data.tobytes()
        assert client.wait(lambda: bool(frames.publish(message) or client.spin(0.2) or mask), 40)
    assert pixels_of(mask[-1]).shape == (96, 128)


def test_parameters_change_while_running_and_bad_values_are_rejected(
    client: Client, small_checkpoint: Path, segmenter: Segmenter, tmp_path: Path
) -> None:
    mask, frames = client.listen('/segmenter/mask'), client.publisher('/image')
    with node_process(small_checkpoint, tmp_path / 'log'):
        feed(client, frames, mask)
        assert client.set_parameter('/segmenter', 'classes', ['drivable']).successful
        mask.clear()
        feed(client, frames, mask, 2)
        ids = segmenter(FRAME.image).class_ids
        assert np.array_equal(pixels_of(mask[-1]), np.where(ids == 3, 3, 255))
        rejected = {
            'classes': (['rod'], "No class or group 'rod'"),
            'mask_size': ('huge', 'expected one of camera, network'),
            'overlay_alpha': (2.0, 'range'),
            'checkpoint': ('other', 'read at configure'),
        }
        for name, (value, reason) in rejected.items():
            result = client.set_parameter('/segmenter', name, value)
            assert not result.successful, name
            assert reason in result.reason
        assert client.set_parameter('/segmenter', 'mask_size', 'network').successful
        mask.clear()
        feed(client, frames, mask, 2)
        assert pixels_of(mask[-1]).shape == segmenter.checkpoint.config.size


def test_lifecycle_cycles_and_failures_are_told(
    client: Client, small_checkpoint: Path, tmp_path: Path
) -> None:
    mask, frames = client.listen('/segmenter/mask'), client.publisher('/image')
    log = tmp_path / 'log'

    def change(transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(client.call(ChangeState, '/segmenter/change_state', request).success)

    with node_process(small_checkpoint, log, '-p', 'autostart:=false') as child:
        for _ in range(3):
            assert change(Transition.TRANSITION_CONFIGURE)
            assert change(Transition.TRANSITION_ACTIVATE)
            feed(client, frames, mask)
            assert change(Transition.TRANSITION_DEACTIVATE)
            client.spin(0.3)  # what was on its way arrives
            mask.clear()
            frames.publish(image(client))
            client.spin(0.3)
            assert not mask
            assert change(Transition.TRANSITION_CLEANUP)
        assert client.set_parameter('/segmenter', 'checkpoint', '/nowhere').successful
        assert not change(Transition.TRANSITION_CONFIGURE)
        assert child.poll() is None
    text = log.read_text()
    assert "Cannot configure: No checkpoint '/nowhere'" in text
    assert 'Traceback' not in text


def test_services_answer_during_a_long_inference(
    client: Client, small_checkpoint: Path, tmp_path: Path
) -> None:
    mask, frames = client.listen('/segmenter/mask'), client.publisher('/image')
    slow = str(Path(__file__).with_name('slow_node.py'))

    def timed(call: Any, *arguments: Any) -> float:
        start_s = time.monotonic()
        assert call(*arguments)
        return time.monotonic() - start_s

    def change(transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(client.call(ChangeState, '/segmenter/change_state', request).success)

    def set_alpha(value: float) -> bool:
        return bool(client.set_parameter('/segmenter', 'overlay_alpha', value).successful)

    with node_process(small_checkpoint, tmp_path / 'log', module=slow):
        feed(client, frames, mask)
        assert set_alpha(0.1)  # the services' clients are there from here on
        times = []
        for index in range(8):
            frames.publish(image(client))
            client.spin(0.2)  # the network is busy for two seconds from about now
            times.append(timed(set_alpha, index / 10))
        client.call(GetState, '/segmenter/get_state', GetState.Request())
        frames.publish(image(client))
        client.spin(0.3)
        state = (GetState, '/segmenter/get_state', GetState.Request())
        times.append(timed(client.call, *state))
        times.append(timed(change, Transition.TRANSITION_DEACTIVATE))
        times.append(timed(change, Transition.TRANSITION_CLEANUP))
        times.append(timed(client.call, *state))
    # The middle one tells of the node, the longest also of what else the machine does.
    assert np.median(times) < 0.1, times
    assert max(times) < 1.0, times


def test_silence_is_explained(client: Client, small_checkpoint: Path, tmp_path: Path) -> None:
    diagnostics = client.diagnostics()
    client.listen('/segmenter/mask')
    log = tmp_path / 'log'
    override = '-p', 'qos_overrides./image.subscription.reliability:=reliable'

    def message() -> str:
        return str(diagnostics[-1].status[0].message) if diagnostics else ''

    with node_process(small_checkpoint, log, *override):
        assert client.wait(lambda: 'nothing publishes on /image' in message(), 30)
        assert 'the same ROS_DOMAIN_ID as this process' in message()
        client.publisher('/other/image_raw')
        assert client.wait(lambda: 'topics with images: /other/image_raw' in message(), 15)
        jpegs = client.publisher('/image', CompressedImage)
        assert client.wait(lambda: 'set `transport: compressed`' in message(), 15)
        client.node.destroy_publisher(jpegs)
        client.publisher('/image')  # best effort, where reliable is asked for
        assert client.wait(lambda: 'QoS does not match' in message(), 15)
        assert 'reliability' in message()
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        client.node.create_subscription(Image, '/segmenter/overlay', lambda _: None, latched)
        compressed = CompressedImage, '/segmenter/confidence', lambda _: None, 1
        client.node.create_subscription(*compressed)
        key = 'subscribers that get nothing'

        def refused() -> str:
            return next((v.value for v in diagnostics[-1].status[0].values if v.key == key), '')

        assert client.wait(lambda: 'overlay' in refused() and 'confidence' in refused(), 15)
        assert '/client on /segmenter/overlay (ERROR: Volatile publisher' in refused()
        assert 'takes sensor_msgs/msg/CompressedImage, not sensor_msgs/msg/Image' in refused()
        assert 'mask' not in refused()
    assert 'No mask for /image' in log.read_text()
    assert 'These subscribers get nothing: /client on /segmenter/' in log.read_text()


def test_old_frames_are_dropped_never_queued(
    client: Client, small_checkpoint: Path, tmp_path: Path
) -> None:
    mask, diagnostics = client.listen('/segmenter/mask'), client.diagnostics()
    frames = client.publisher('/image')
    with node_process(small_checkpoint, tmp_path / 'log', '-p', 'max_age_s:=0.0'):
        feed(client, frames, mask)
        assert client.set_parameter('/segmenter', 'max_age_s', 0.5).successful
        mask.clear()
        for _ in range(12):
            old = image(client)
            old.header.stamp.sec -= 2
            frames.publish(old)
            client.spin(0.3)
        assert not mask
        assert 'too old' in diagnostics[-1].status[0].message
        stuck = image(client)
        stuck.header.stamp.sec, stuck.header.stamp.nanosec = 5, 0
        for _ in range(12):
            frames.publish(stuck)
            client.spin(0.3)
        assert 'stamps stand still at 5.000000000' in diagnostics[-1].status[0].message
        feed(client, frames, mask)
        # A clock that is ahead makes nothing too old: it is told, and masks go on.
        mask.clear()
        early, end_s = image(client), time.monotonic() + 30
        early.header.stamp.sec += 100
        while not any(item.header == early.header for item in mask):
            assert time.monotonic() < end_s
            frames.publish(early)
            client.spin(0.3)
    assert "s ahead of this node's clock" in (tmp_path / 'log').read_text()


def test_camera_that_changes_size_and_stops_and_starts(
    client: Client, small_checkpoint: Path, tmp_path: Path
) -> None:
    mask = client.listen('/segmenter/mask')
    with node_process(small_checkpoint, tmp_path / 'log'):
        for size in ((96, 128), (60, 100), (96, 128)):
            frames = client.publisher('/image')
            mask.clear()
            pixels = cv2.resize(FRAME.image, size[::-1])
            message = image(client, pixels)
            # Masks of the size before may still be on their way.
            assert client.wait(
                lambda m=message, f=frames, s=size: bool(
                    f.publish(m) or client.spin(0.2) or (mask and pixels_of(mask[-1]).shape == s)
                ),
                30,
            )
            client.node.destroy_publisher(frames)
            client.spin(0.3)


def test_node_that_ends_leaves_the_graph_at_once(
    client: Client, small_checkpoint: Path, tmp_path: Path
) -> None:
    def is_there() -> bool:
        return 'segmenter' in client.node.get_node_names()

    with node_process(small_checkpoint, tmp_path / 'log'):
        assert client.wait(is_there)
    # A participant that just dies stays until its lease ends, 20 s later.
    assert client.wait(lambda: not is_there(), 5)


def test_example_subscriber_tells_whether_the_lane_is_drivable() -> None:
    from hyperseg_ros.examples.lane_ahead import is_drivable

    assert is_drivable(FRAME.labels, (3,))
    assert not is_drivable(np.full_like(FRAME.labels, 8), (3,))


def test_viewers_layouts_show_topics_that_there_are(
    client: Client, small_checkpoint: Path, tmp_path: Path
) -> None:
    shown = {}
    for name in ('segmenter.foxglove.json', 'segmenter.rviz'):
        text = (Path(__file__).parents[2] / 'config' / name).read_text()
        shown[name] = set(re.findall(r'(?:[tT]opic\w*"?|Value): "?(/[a-z_/]+)', text))
        assert len(shown[name]) >= 3
    words = ['-r', 'image:=/camera/image_raw', '-p', 'use_sim_time:=true']
    with node_process(small_checkpoint, tmp_path / 'log', *words):
        feed(client, client.publisher('/camera/image_raw'), client.listen('/segmenter/mask'))
        there = {name for name, _ in client.node.get_topic_names_and_types()}
    for name, topics in shown.items():
        assert topics <= there, name


def test_sample_policy_allows_all_that_the_node_opens_and_nothing_else(
    client: Client, small_checkpoint: Path, tmp_path: Path
) -> None:
    policy = ElementTree.parse(Path(__file__).parents[2] / 'config' / 'sros2_policy.xml')
    allowed = {
        kind: {
            item.text.replace('~', '/segmenter') if item.text[0] in '~/' else f'/{item.text}'
            for item in policy.findall(f'.//*[@{kind}="ALLOW"]/*')
            if item.text
        }
        for kind in ('publish', 'subscribe', 'reply')
    }
    if importlib.util.find_spec('vision_msgs') is None:
        allowed['publish'].remove('/segmenter/label_info')
    with node_process(small_checkpoint, tmp_path / 'log', '-p', 'use_sim_time:=true'):
        feed(client, client.publisher('/image'), client.listen('/segmenter/mask'))
        node = client.node
        opened = {
            'publish': node.get_publisher_names_and_types_by_node('segmenter', '/'),
            'subscribe': node.get_subscriber_names_and_types_by_node('segmenter', '/'),
            'reply': node.get_service_names_and_types_by_node('segmenter', '/'),
        }
    found = {kind: {name for name, _ in pairs} for kind, pairs in opened.items()}
    assert found == allowed
