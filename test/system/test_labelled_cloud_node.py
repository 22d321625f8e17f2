# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from geometry_msgs.msg import TransformStamped
from node_client import Client
from planner_process import LENS
from planner_process import Street
from planner_process import planner_process
from sensor_msgs.msg import Image
from sensor_msgs.msg import PointCloud2
from sensor_msgs.msg import PointField
from tf_messages import transform_message

from hyperseg_core import load_labels
from hyperseg_ros.messages.point_cloud import as_bytes
from hyperseg_ros.messages.point_cloud import read_structured
from hyperseg_ros.messages.point_cloud import read_xyz
from hyperseg_ros.planner.accuracy import street_from_body
from hyperseg_ros.planner.depth import DepthRays
from hyperseg_ros.planner.painting import PaintRules
from hyperseg_ros.planner.painting import paint
from hyperseg_ros.planner.painting import without_edges
from hyperseg_ros.planner.pose import BODY_FROM_OPTICAL
from hyperseg_ros.planner.pose import matrix_of_pose

STAND_IN = str(Path(__file__).with_name('tf_stand_in'))
RNG = np.random.default_rng(0)
POINTS = np.column_stack(
    (RNG.uniform(-20, 40, 3000), RNG.uniform(-12, 12, 3000), RNG.uniform(-2, 3, 3000))
).astype(np.float32)
POSE = (0.3, 0.0, -0.4, 0.0, 0.0, 0.0)
CAMERA = np.linalg.inv(matrix_of_pose(POSE) @ BODY_FROM_OPTICAL)
GIVEN = {'label_set': 'camvid', 'camera_pose': list(POSE)}


def cloud_message(stamp: Any, points: np.ndarray = POINTS) -> PointCloud2:
    """Return a lidar's cloud: x, y, z and an intensity that counts."""
    kind = np.dtype([('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('intensity', '<f4')])
    values = np.zeros(len(points), kind)
    for index, name in enumerate('xyz'):
        values[name] = points[:, index]
    values['intensity'] = np.arange(len(points))
    message = PointCloud2(height=1, width=len(points), point_step=16, row_step=16 * len(points))
    message.header.stamp, message.header.frame_id = stamp, 'lidar'
    message.fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate(kind.names or ())
    ]
    message.data = as_bytes(values)
    return message


def publish_both(street: Street, clouds: Any, received: list[Any], seconds: float = 20.0) -> bool:
    def step() -> bool:
        sent = street.publish()
        clouds.publish(cloud_message(sent.header.stamp))
        street.client.spin(0.2)
        return bool(received)

    return street.client.wait(step, seconds)


def status(diagnostics: list[Any]) -> str:
    return diagnostics[-1].status[0].message if diagnostics else ''


def values_of(diagnostics: list[Any]) -> dict[str, str]:
    return {item.key: item.value for item in diagnostics[-1].status[0].values}


def test_a_lidars_points_get_the_masks_classes_and_lose_those_to_be_removed(
    client: Client, tmp_path: Path
) -> None:
    street, clouds = Street(client), client.publisher('/cloud', PointCloud2, reliable=True)
    painted = client.listen('/labelled_cloud/points', PointCloud2)
    left = client.listen('/labelled_cloud/points_filtered', PointCloud2)
    parameters = GIVEN | {'remove': '[road, pedestrian]'}
    with planner_process('labelled_cloud_node', tmp_path / 'log', parameters):
        assert publish_both(street, clouds, painted)
        assert client.wait(lambda: bool(left), 5)
    expected = paint(POINTS, CAMERA, LENS, street.mask, street.confidence, PaintRules())
    found = read_structured(painted[0])[0]
    assert painted[0].header.frame_id == 'lidar'
    assert (painted[0].point_step, painted[0].is_dense, painted[0].height) == (24, True, 1)
    np.testing.assert_array_equal(read_xyz(painted[0]), POINTS)
    assert (found['class_id'] == expected.class_ids).mean() > 0.995
    assert np.count_nonzero(found['class_id'] != 255) > 100
    is_known = found['class_id'] != 255
    np.testing.assert_allclose(found['probability'][is_known], 200 / 255, rtol=1e-6)
    gone = list(load_labels('camvid').ids(('road', 'pedestrian')))
    kept = np.flatnonzero(~np.isin(found['class_id'], gone))
    assert len(kept) < len(POINTS)
    assert read_structured(left[0])['intensity'][0].tolist() == kept.tolist()


def test_a_depth_image_that_is_aligned_needs_no_tf(client: Client, tmp_path: Path) -> None:
    street = Street(client)
    depths = client.publisher('/depth', Image, reliable=True)
    infos = client.publisher('/depth/camera_info', type(street.info), reliable=True)
    shown = client.listen('/labelled_cloud/points', PointCloud2)
    filtered = client.listen('/labelled_cloud/depth_filtered')
    depth = np.full((240, 320), 4000, np.uint16)
    depth[:50] = 0
    parameters = {
        'label_set': 'camvid', 'source': 'depth', 'layout': 'organised', 'remove': '[car]'
    }  # fmt: skip

    def step() -> bool:
        sent = street.publish()
        message = Image(header=sent.header, height=240, width=320, encoding='16UC1', step=640)
        message.data = as_bytes(depth)
        infos.publish(street.info)
        depths.publish(message)
        client.spin(0.2)
        return bool(shown and filtered)

    with planner_process('labelled_cloud_node', tmp_path / 'log', parameters):
        assert client.wait(step, 20)
    assert (shown[0].height, shown[0].width, shown[0].is_dense) == (240, 320, False)
    points = read_structured(shown[0])
    assert np.isnan(points['x'][:50]).all()
    expected = DepthRays(LENS).points(np.full((240, 320), 4, np.float32)).reshape(240, 320, 3)
    np.testing.assert_allclose(points['y'][50:], expected[50:, :, 1], atol=1e-5)
    edged = without_edges(street.mask, 2)
    np.testing.assert_array_equal(points['label'], edged)
    left = np.frombuffer(filtered[0].data, '<u2').reshape(240, 320)
    np.testing.assert_array_equal(left, np.where(edged == 8, 0, depth))
    assert (edged == 8).any()


def test_depth_of_another_camera_is_registered(client: Client, tmp_path: Path) -> None:
    """The mask's camera is 12 cm to the right of the depth's, and looks 3 degrees to the right."""
    street = Street(client)
    depths = client.publisher('/depth', Image, reliable=True)
    infos = client.publisher('/depth/camera_info', type(street.info), reliable=True)
    shown = client.listen('/labelled_cloud/points', PointCloud2)
    depth = np.broadcast_to(np.linspace(4, 9, 320, dtype=np.float32), (240, 320)).copy()
    parameters = {
        'label_set': 'camvid', 'source': 'depth', 'camera_pose': '[0.0,-0.12,0.0,0.0,0.0,-0.05]'
    }  # fmt: skip

    def step() -> bool:
        header = street.publish().header
        header.frame_id = 'depth camera'
        message = Image(header=header, height=240, width=320, encoding='32FC1', step=1280)
        message.data = as_bytes(depth)
        infos.publish(street.info)
        depths.publish(message)
        client.spin(0.2)
        return bool(shown)

    with planner_process('labelled_cloud_node', tmp_path / 'log', parameters):
        assert client.wait(step, 20)
    points = DepthRays(LENS).points(depth)
    turn = np.array(((np.cos(0.05), 0, -np.sin(0.05)), (0, 1, 0), (np.sin(0.05), 0, np.cos(0.05))))
    registered = np.eye(4)
    registered[:3, :3] = turn
    registered[:3, 3] = turn @ (-0.12, 0, 0)
    expected = paint(points, registered, LENS, street.mask, street.confidence, PaintRules())
    found = read_structured(shown[0])[0]['class_id']
    assert (found == expected.class_ids).mean() > 0.999
    assert np.count_nonzero(found != without_edges(street.mask, 2).ravel()) > 1000


def test_bad_depth_is_dropped_by_cause_and_the_node_lives(client: Client, tmp_path: Path) -> None:
    street, diagnostics = Street(client), client.diagnostics()
    depths = client.publisher('/depth', Image, reliable=True)
    infos = client.publisher('/depth/camera_info', type(street.info), reliable=True)
    shown = client.listen('/labelled_cloud/points', PointCloud2)
    log = tmp_path / 'log'
    depth = np.full((240, 320), 4000, np.uint16)

    def send(**changes: Any) -> None:
        header = street.publish().header
        message = Image(header=header, height=240, width=320, encoding='16UC1', step=640)
        message.data = as_bytes(depth)
        for name, value in changes.items():
            setattr(message, name, value)
        infos.publish(street.info)
        client.spin(0.05)
        depths.publish(message)
        client.spin(0.2)

    parameters = {'label_set': 'camvid', 'source': 'depth', 'wait_s': 0.2}
    with planner_process('labelled_cloud_node', log, parameters) as child:
        assert client.wait(lambda: bool(send()) or bool(shown), 20)
        client.spin(0.5)
        small = as_bytes(depth[:100])
        for change in (
            {'encoding': 'rgb8'}, {'data': small}, {'step': 3}, {'height': 0, 'width': 0},
            {'height': 100, 'data': small},
        ):  # fmt: skip
            send(**change)
        other = street.image(street.mask).header
        other.frame_id = 'another camera'
        send(header=other)
        client.spin(0.6)
        shown.clear()
        assert client.wait(lambda: bool(send()) or bool(shown), 10)
        diagnostics.clear()
        assert client.wait(lambda: bool(diagnostics), 5)
        assert child.poll() is None
    values = values_of(diagnostics)
    assert int(values['dropped, bad depth']) == 4
    assert int(values['dropped, bad camera_info']) == 1
    assert int(values['dropped, no TF']) == 1


def test_two_cameras_paint_one_cloud(client: Client, tmp_path: Path) -> None:
    front, rear = Street(client, 'front/'), Street(client, 'rear/')
    rear.confidence = np.full((240, 320), 90, np.uint8)
    rear.mask = np.full((240, 320), 5, np.uint8)
    clouds = client.publisher('/cloud', PointCloud2, reliable=True)
    painted = client.listen('/labelled_cloud/points', PointCloud2)
    behind = (-0.3, 0.0, -0.4, 0.0, 0.0, 3.14159265)
    parameters = {
        'label_set': 'camvid', 'cameras': '[front, rear]', 'camera_pose': [*POSE, *behind]
    }  # fmt: skip

    def step() -> bool:
        sent = front.publish()
        rear.publish(rear.image(rear.mask))
        client.spin(0.05)
        clouds.publish(cloud_message(sent.header.stamp))
        client.spin(0.2)
        return bool(painted)

    with planner_process('labelled_cloud_node', tmp_path / 'log', parameters):
        client.wait(step, 20)
        painted.clear()
        assert client.wait(step, 10)
    found = read_structured(painted[0])[0]
    ahead, back = POINTS[:, 0] > 1, POINTS[:, 0] < -1
    assert set(np.unique(found['class_id'][back])) == {5, 255}
    assert len(np.unique(found['class_id'][ahead])) > 3


def test_tf_is_asked_at_both_stamps_through_the_fixed_frame(
    client: Client, tmp_path: Path
) -> None:
    """The robot drives at 10 m/s, the camera's stamp is 50 ms after the lidar's."""
    street, clouds = Street(client), client.publisher('/cloud', PointCloud2, reliable=True)
    painted, diagnostics = (
        client.listen('/labelled_cloud/points', PointCloud2),
        client.diagnostics(),
    )
    tf = client.publisher('/tf', TransformStamped, reliable=True)
    log = tmp_path / 'log'
    parameters = {'label_set': 'camvid', 'wait_s': 0.3}
    body_from_camera = matrix_of_pose(POSE) @ BODY_FROM_OPTICAL

    def send(*, moving: bool) -> None:
        sent = street.image(street.mask)
        now_ns = sent.header.stamp.sec * 10**9 + sent.header.stamp.nanosec
        if moving:
            for step in range(-2, 3):
                place = matrix_of_pose((10 * 0.05 * step, 0, 0, 0, 0, 0))
                tf.publish(transform_message('odom', 'lidar', place, now_ns + step * 50_000_000))
            tf.publish(transform_message('lidar', 'camera', body_from_camera, 0))
        street.publish(sent)
        earlier = cloud_message(sent.header.stamp)
        earlier.header.stamp.sec, earlier.header.stamp.nanosec = divmod(now_ns - 50_000_000, 10**9)
        clouds.publish(earlier)
        client.spin(0.3)

    with planner_process('labelled_cloud_node', log, parameters, path=STAND_IN):
        told = "no TF from 'lidar' to 'camera'"
        assert client.wait(lambda: bool(send(moving=False)) or told in status(diagnostics), 25)
        assert not painted
        assert client.wait(lambda: bool(send(moving=True)) or len(painted) > 2, 20)
    found = read_structured(painted[-1])[0]
    ahead = CAMERA @ matrix_of_pose((-0.5, 0, 0, 0, 0, 0))
    expected = paint(POINTS, ahead, LENS, street.mask, None, PaintRules())
    still = paint(POINTS, CAMERA, LENS, street.mask, None, PaintRules())
    agreement = (found['class_id'] == expected.class_ids).mean()
    assert agreement > 0.995
    assert agreement > (found['class_id'] == still.class_ids).mean()


def test_bad_clouds_are_dropped_by_cause_and_the_node_lives(
    client: Client, tmp_path: Path
) -> None:
    street, clouds = Street(client), client.publisher('/cloud', PointCloud2, reliable=True)
    painted, diagnostics = (
        client.listen('/labelled_cloud/points', PointCloud2),
        client.diagnostics(),
    )
    log = tmp_path / 'log'

    def changed(stamp: Any, **changes: Any) -> PointCloud2:
        message = cloud_message(stamp)
        for name, value in changes.items():
            setattr(message, name, value)
        return message

    bad: list[dict[str, Any]] = [
        {'data': as_bytes(POINTS[:10])}, {'fields': []}, {'row_step': 3}, {'point_step': 2},
        {'height': 2**31}, {'fields': [PointField(name='x', offset=0, datatype=77, count=1)]},
        {'point_step': 2**32 - 1},
        {'point_step': 2**32 - 1, 'fields': [PointField(name='x', datatype=7, count=2**31)]},
    ]  # fmt: skip
    empty = np.zeros((0, 3), np.float32)
    strange = np.full((50, 3), np.nan, np.float32)
    with planner_process('labelled_cloud_node', log, GIVEN) as child:
        assert publish_both(street, clouds, painted)
        client.spin(0.5)
        for change in bad:
            clouds.publish(changed(street.publish().header.stamp, **change))
            client.spin(0.2)
        painted.clear()
        for points in (empty, strange):
            clouds.publish(cloud_message(street.publish().header.stamp, points))
            client.spin(0.2)
        assert client.wait(lambda: len(painted) == 2, 5)
        assert [item.width for item in painted] == [0, 0]
        strange_mask = street.mask.copy()
        strange_mask[0, 0] = 200
        street.publish(street.image(strange_mask))
        client.spin(0.3)
        far = street.publish().header.stamp
        far.sec -= 3000
        clouds.publish(changed(far))
        assert client.wait(lambda: 'dropped, too old' in values_of(diagnostics), 10)
        painted.clear()
        assert publish_both(street, clouds, painted)
        diagnostics.clear()
        assert client.wait(lambda: bool(diagnostics), 5)
        assert child.poll() is None
    values = values_of(diagnostics)
    assert int(values['dropped, bad cloud']) == len(bad)
    assert int(values['masks dropped, bad mask']) == 1
    assert 'the id 200' in log.read_text()


def test_fast_clouds_are_painted_with_masks_that_come_much_later(
    client: Client, tmp_path: Path
) -> None:
    street, clouds = Street(client), client.publisher('/cloud', PointCloud2, reliable=True)
    painted = client.listen('/labelled_cloud/points', PointCloud2)
    waiting: list[tuple[float, Image]] = []

    def step() -> bool:
        """Send clouds at 30 Hz, and their masks 0.35 s later."""
        for _ in range(10):
            waiting.append((time.monotonic(), street.image(street.mask)))
            clouds.publish(cloud_message(waiting[-1][1].header.stamp, POINTS[:500]))
            while waiting and time.monotonic() - waiting[0][0] >= 0.35:
                street.publish(waiting.pop(0)[1])
            client.spin(0.03)
        return len(painted) > 10

    with planner_process('labelled_cloud_node', tmp_path / 'log', GIVEN):
        assert client.wait(step, 20)


def test_silence_is_explained(client: Client, tmp_path: Path) -> None:
    diagnostics = client.diagnostics()
    painted = client.listen('/labelled_cloud/points', PointCloud2)
    parameters = GIVEN | {'wait_s': 0.2, 'max_time_difference_s': 0.01, 'max_age_s': 0.0}
    with planner_process('labelled_cloud_node', tmp_path / 'log', parameters):
        assert client.wait(lambda: 'nothing publishes on /mask' in status(diagnostics), 20)
        street = Street(client)
        street.publish()

        def told(words: str, step: Any) -> bool:
            return client.wait(lambda: bool(step()) or words in status(diagnostics), 20)

        def masks() -> None:
            street.publish()
            client.spin(0.2)

        assert told('nothing publishes on /cloud', masks)
        clouds = client.publisher('/cloud', PointCloud2, reliable=True)

        def apart() -> None:
            stamp = street.publish(street.image(street.mask, age_s=2.0)).header.stamp
            stamp.sec += 1
            clouds.publish(cloud_message(stamp))
            client.spin(0.2)

        assert told('stamps never pair: the nearest mask is 1.0', apart)
        assert not painted


@pytest.mark.parametrize(
    ('parameters', 'told'),
    [
        ({'label_set': 'camvid'}, 'TF needs tf2_ros'),
        (GIVEN | {'camera_pose': '[0.0, 1.0]'}, 'camera_pose has 2 numbers, expected 6'),
        (
            GIVEN | {'cameras': '[front-left]'},
            "use letters, digits and underscores, e.g. 'front_left'",
        ),
        (GIVEN | {'cameras': 5}, 'cameras is 5, expected list[str]'),
        (GIVEN | {'class_map': '[road]'}, "'road', expected NAME:ID"),
        (GIVEN | {'remove': '[unicorn]'}, "No class or group 'unicorn'"),
        (GIVEN | {'layout': 'pcd'}, 'expected one of xyzcpe, xyzrgb_label, organised'),
        (
            GIVEN | {'source': 'depth', 'cameras': '[a, b]'},
            'camera_pose has 6 numbers, expected 12',
        ),
    ],
)
def test_parameters_that_cannot_work_are_told(
    client: Client, tmp_path: Path, parameters: dict[str, Any], told: str
) -> None:
    diagnostics, log = client.diagnostics(), tmp_path / 'log'
    with planner_process('labelled_cloud_node', log, parameters):
        assert client.wait(lambda: told in status(diagnostics), 20), log.read_text()


def test_empty_lists_are_lists(client: Client, tmp_path: Path) -> None:
    names = ('cameras', 'remove', 'class_map', 'time_offset_s')
    painted = client.listen('/labelled_cloud/points', PointCloud2)
    street, clouds = Street(client), client.publisher('/cloud', PointCloud2, reliable=True)
    parameters = GIVEN | dict.fromkeys(names, '[]')
    with planner_process('labelled_cloud_node', tmp_path / 'log', parameters):
        assert publish_both(street, clouds, painted)
        for name in names:
            reason = client.set_parameter('/labelled_cloud', name, []).reason
            assert 'clean the node up' in reason or 'type' in reason


def test_a_street_and_its_body_agree_on_left() -> None:
    from hyperseg_core.drive.plan import DrivePose

    pose = DrivePose(x_m=1.0, z_m=2.0, yaw_rad=0.5, height_m=1.5)
    ahead = street_from_body(pose) @ np.array((1.0, 0.0, 0.0, 1.0))
    np.testing.assert_allclose(ahead[:3], (2 + np.cos(0.5), -1 - np.sin(0.5), 1.5))
