# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('nav_msgs')

from geometry_msgs.msg import PolygonStamped
from geometry_msgs.msg import TransformStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import OccupancyGrid
from node_client import Client
from node_client import node_process
from planner_process import LENS
from planner_process import VIEW
from planner_process import Street
from planner_process import planner_process
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from sensor_msgs.msg import LaserScan
from tf_messages import transform_message

from hyperseg_core import load_labels
from hyperseg_ros.messages.camera_info import pinhole_fields
from hyperseg_ros.messages.encoding import fill_image
from hyperseg_ros.planner.accuracy import LAYOUT
from hyperseg_ros.planner.ground import read_ground
from hyperseg_ros.planner.ground import state_table
from hyperseg_ros.planner.ground_table import build_table
from hyperseg_ros.planner.pose import BODY_FROM_OPTICAL
from hyperseg_ros.planner.pose import matrix_of_pose

HEIGHT_M = round(float(VIEW.plan.pose.height_m), 4)
POSE = {'camera_pose': f'[0.0,0.0,{HEIGHT_M},0.0,0.0,0.0]', 'label_set': 'camvid'}
STATES = state_table(load_labels('camvid'), ('drivable',))


def status(diagnostics: list[Any]) -> Any:
    return diagnostics[-1].status[0] if diagnostics else None


def message_of(diagnostics: list[Any]) -> str:
    return status(diagnostics).message if diagnostics else ''


def values_of(diagnostics: list[Any]) -> dict[str, str]:
    return {item.key: item.value for item in status(diagnostics).values}


def test_scan_grid_and_outline_are_those_of_the_functions_under_the_masks_stamp(
    client: Client, tmp_path: Path
) -> None:
    street = Street(client)
    scans, grids = (
        client.listen('/ground/scan', LaserScan),
        client.listen('/ground/grid', OccupancyGrid),
    )
    polygons = client.listen('/ground/free_space', PolygonStamped)
    with planner_process(
        'ground_node', tmp_path / 'log', POSE | {'min_confidence': 0.5, 'max_pixel_cells': 4.0}
    ):
        assert street.publish_until(scans)
        client.spin(0.5)
        for received in (scans, grids, polygons):
            received.clear()
        street.confidence[:, :160] = 100
        sent = street.publish()
        assert client.wait(lambda: bool(scans and grids and polygons), 5)
        # One that comes late gets the last grid.
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        late: list[OccupancyGrid] = []
        client.node.create_subscription(OccupancyGrid, '/ground/grid', late.append, latched)
        assert client.wait(lambda: bool(late), 5)
        best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        other: list[LaserScan] = []
        client.node.create_subscription(LaserScan, '/ground/scan', other.append, best_effort)
        assert street.publish_until(other)
    layout = dataclasses.replace(LAYOUT, max_pixel_cells=4.0)
    table = build_table(LENS, VIEW.base_from_camera(), layout)
    expected = read_ground(
        table, street.mask, STATES, confidence=street.confidence, min_confidence=0.5
    )
    scan, grid, polygon = scans[0], grids[0], polygons[0]
    for item in (scan, grid, polygon, late[0]):
        assert item.header.stamp == sent.header.stamp
        assert item.header.frame_id == 'base_footprint'
    np.testing.assert_allclose(scan.ranges, expected.ranges_m, atol=0.06)
    assert (scan.range_min, scan.range_max) == (pytest.approx(0.1), 15.0)
    last = scan.angle_min + scan.angle_increment * (len(scan.ranges) - 1)
    assert last == pytest.approx(scan.angle_max)
    cells = np.array(grid.data, np.int8).reshape(grid.info.height, grid.info.width)
    assert (cells == expected.occupancy).mean() > 0.995
    assert set(np.unique(cells)) == {-1, 0, 100}
    assert (grid.info.resolution, grid.info.origin.position.x) == (pytest.approx(0.05), -2.0)
    assert len(polygon.polygon.points) == pytest.approx(len(expected.free_space_m), abs=3)
    assert np.isnan(
        np.array(scan.ranges)[LAYOUT.num_rays // 2 + 2 : LAYOUT.num_rays // 2 + 30]
    ).all()


def test_bad_input_is_dropped_by_cause_and_the_node_lives(client: Client, tmp_path: Path) -> None:
    street, diagnostics = Street(client), client.diagnostics()
    scans = client.listen('/ground/scan', LaserScan)
    log = tmp_path / 'log'
    with planner_process('ground_node', log, POSE) as child:
        assert street.publish_until(scans)
        strange = street.mask.copy()
        strange[-1, 5] = 11
        sent: list[tuple[Any, dict[str, Any]]] = [
            (street.image(strange), {}),
            (street.image(street.mask, 'rgb8'), {}),
            (street.image(street.mask[:, :160]), {}),
            (street.image(street.mask, age_s=100.0), {}),
            (street.image(street.mask), {'k': np.zeros(9)}),
            (street.image(street.mask), {'k': np.full(9, np.nan)}),
            (street.image(street.mask), {'distortion_model': 'magic', 'd': [1.0]}),
            (street.image(street.mask), {'height': 0, 'width': 0}),
        ]
        short = street.image(street.mask)
        short.data = short.data[:100]
        backwards = street.image(street.mask)
        backwards.header.stamp.sec = -5
        good = street.info
        for message, change in [*sent, (short, {}), (backwards, {})]:
            street.info = type(good)(
                **{
                    name[1:]: getattr(good, name)
                    for name in good.__slots__
                    if name != '_check_fields'
                }
            )
            for name, value in change.items():
                setattr(street.info, name, value)
            street.infos.publish(street.info)
            client.spin(0.2)
            street.publish(message)
            client.spin(0.2)
        street.info = good
        scans.clear()
        assert street.publish_until(scans)
        assert child.poll() is None
        diagnostics.clear()
        assert client.wait(lambda: bool(diagnostics), 5)
    values = values_of(diagnostics)
    assert int(values['dropped, bad mask']) == 3
    assert int(values['dropped, bad camera_info']) == 5
    assert int(values['dropped, too old']) == 2
    dropped = sum(int(value) for key, value in values.items() if key.startswith('dropped, '))
    assert dropped == int(values['dropped']) >= 10
    assert int(values['received']) == int(values['published']) + dropped
    assert 'holds the id 11' in log.read_text()


def test_nothing_is_done_while_nobody_subscribes(client: Client, tmp_path: Path) -> None:
    street, diagnostics = Street(client), client.diagnostics()
    with planner_process('ground_node', tmp_path / 'log', POSE):
        assert client.wait(lambda: 'nobody subscribes' in message_of(diagnostics), 20)
        assert street.masks.get_subscription_count() == 0
        scan = client.node.create_subscription(LaserScan, '/ground/scan', lambda _: None, 2)
        assert client.wait(lambda: street.masks.get_subscription_count() == 1, 10)
        client.node.destroy_subscription(scan)
        assert client.wait(lambda: street.masks.get_subscription_count() == 0, 10)


def test_silence_is_explained(client: Client, tmp_path: Path) -> None:
    diagnostics = client.diagnostics()
    client.listen('/ground/scan', LaserScan)
    with planner_process('ground_node', tmp_path / 'log', POSE | {'min_confidence': 0.2}):
        assert client.wait(lambda: 'nothing publishes on /mask' in message_of(diagnostics), 20)
        street = Street(client)
        assert client.wait(lambda: 'no mask arrives' in message_of(diagnostics), 10)

        def told(words: str, publish: Any) -> bool:
            return client.wait(
                lambda: (
                    bool(publish()) and bool(client.spin(0.1) or words in message_of(diagnostics))
                ),
                15,
            )

        alone = street.image(street.mask)
        assert told("has the mask's stamp", lambda: street.publish(confidence=False))
        street.confidence = np.full((20, 30), 200, np.uint8)
        assert told('The confidence is of (20, 30) px', street.publish)
        assert alone.height == 240


@pytest.mark.parametrize(
    ('parameters', 'told'),
    [
        ({'label_set': 'camvid'}, 'TF needs tf2_ros'),
        (POSE | {'label_set': 'moon'}, "Unknown label set 'moon'"),
        (POSE | {'drivable': '[motorway]'}, "No class or group 'motorway'"),
        (POSE | {'camera_pose': '[0.0, 1.0]'}, 'expected 0 or 6 finite numbers'),
        (POSE | {'grid_window': '[]'}, 'grid_window is [], expected 4 finite numbers'),
        ({'label_set': 'camvid', 'camera_pose': '[]'}, 'TF needs tf2_ros'),
        (POSE | {'drivable': '[]'}, 'drivable is empty, expected classes or groups'),
        (POSE | {'num_rays': 1}, 'num_rays is 1, expected int, 2 to 10000'),
        (POSE | {'grid_window': '[1.0, 1.0, 2.0, 2.0]'}, 'around the robot'),
        ({'camera_pose': POSE['camera_pose']}, 'Or set `label_set`'),
    ],
)
def test_parameters_that_cannot_work_are_told(
    client: Client, tmp_path: Path, parameters: dict[str, Any], told: str
) -> None:
    diagnostics, log = client.diagnostics(), tmp_path / 'log'
    with planner_process('ground_node', log, parameters) as child:
        assert client.wait(lambda: told in message_of(diagnostics), 20), log.read_text()
        assert child.poll() is None


def test_pitch_comes_from_tf_at_the_masks_stamp(client: Client, tmp_path: Path) -> None:
    street, scans, diagnostics = (
        Street(client),
        client.listen('/ground/scan', LaserScan),
        client.diagnostics(),
    )
    tf = client.publisher('/tf', TransformStamped, reliable=True)
    log = tmp_path / 'log'
    stand_in = str(Path(__file__).with_name('tf_stand_in'))

    def send(*, is_late: bool) -> None:
        """Nod: the nose is down by 2 degrees at the mask's stamp, up before and after."""
        sent = street.publish()
        stamp_ns = sent.header.stamp.sec * 10**9 + sent.header.stamp.nanosec
        if is_late:
            client.spin(0.05)  # TF comes after the mask, which waits for it
        for shift_ns, pitch in ((-(10**8), -0.05), (0, 0.035), (10**8, -0.05)):
            pose = matrix_of_pose((0, 0, HEIGHT_M, 0, pitch, 0)) @ BODY_FROM_OPTICAL
            tf.publish(transform_message('base_footprint', 'camera', pose, stamp_ns + shift_ns))
        client.spin(0.2)

    with planner_process('ground_node', log, {'label_set': 'camvid'}, path=stand_in):
        told = "no TF from 'camera' to 'base_footprint'"
        assert client.wait(
            lambda: bool(street.publish() and client.spin(0.2)) or told in message_of(diagnostics),
            25,
        )
        assert client.wait(lambda: bool(send(is_late=True)) or bool(scans), 15)
    table = build_table(LENS, VIEW.base_from_camera(0.035), LAYOUT)
    expected = read_ground(table, street.mask, STATES).ranges_m
    np.testing.assert_allclose(scans[-1].ranges, expected, atol=0.06)
    level = read_ground(build_table(LENS, VIEW.base_from_camera(), LAYOUT), street.mask, STATES)
    both = np.isfinite(level.ranges_m) & np.isfinite(expected)
    assert np.median(level.ranges_m[both] - expected[both]) > 0.3


def test_under_simulated_time_no_mask_is_too_old(client: Client, tmp_path: Path) -> None:
    street, scans = Street(client), client.listen('/ground/scan', LaserScan)
    log = tmp_path / 'log'
    with planner_process('ground_node', log, POSE | {'use_sim_time': True}):
        old = street.image(street.mask, age_s=5000.0)
        assert client.wait(
            lambda: bool(street.publish(old) and client.spin(0.2)) or bool(scans), 20
        )
    assert scans[0].header.stamp == old.header.stamp


def test_tf_that_is_always_later_than_the_next_mask_starves_nothing(
    client: Client, tmp_path: Path
) -> None:
    street, scans = Street(client), client.listen('/ground/scan', LaserScan)
    tf = client.publisher('/tf', TransformStamped, reliable=True)
    stand_in = str(Path(__file__).with_name('tf_stand_in'))
    pose = matrix_of_pose((0, 0, HEIGHT_M, 0, 0, 0)) @ BODY_FROM_OPTICAL
    sent: list[int] = []

    def step() -> bool:
        """Send a mask each 50 ms, and TF for those of 150 ms ago."""
        header = street.publish().header
        sent.append(header.stamp.sec * 10**9 + header.stamp.nanosec)
        for stamp_ns in sent[-4:-3]:
            tf.publish(transform_message('base_footprint', 'camera', pose, stamp_ns))
        client.spin(0.05)
        return len(scans) >= 10

    parameters = {'label_set': 'camvid', 'tf_wait_s': 0.5}
    with planner_process('ground_node', tmp_path / 'log', parameters, path=stand_in):
        assert client.wait(step, 25)
    stamps = [item.header.stamp.sec * 10**9 + item.header.stamp.nanosec for item in scans]
    assert stamps == sorted(set(stamps))


def test_lifecycle_cycles_and_parameters_that_change_while_running(
    client: Client, tmp_path: Path
) -> None:
    street, scans = Street(client), client.listen('/ground/scan', LaserScan)

    def change(transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(client.call(ChangeState, '/ground/change_state', request).success)

    parameters = POSE | {'autostart': False, 'camera_pose': '[0, 0, 2, 0, 0, 0]'}
    with planner_process('ground_node', tmp_path / 'log', parameters):
        for range_max in (15.0, 8.0):
            assert client.set_parameter('/ground', 'range_max', range_max).successful
            assert change(Transition.TRANSITION_CONFIGURE)
            assert change(Transition.TRANSITION_ACTIVATE)
            scans.clear()
            assert street.publish_until(scans)
            assert scans[-1].range_max == range_max
            refused = client.set_parameter('/ground', 'range_max', 3.0)
            assert 'is read at configure; clean the node up' in refused.reason
            assert client.set_parameter('/ground', 'close_holes', 0.0).successful
            wrong = client.set_parameter('/ground', 'close_holes', float('nan'))
            assert 'close_holes is nan, expected a finite number' in wrong.reason
            assert change(Transition.TRANSITION_DEACTIVATE)
            client.spin(0.3)
            scans.clear()
            street.publish()
            client.spin(0.3)
            assert not scans
            assert change(Transition.TRANSITION_CLEANUP)


def test_segmenter_and_ground_understand_each_other(
    vision_msgs: None, client: Client, tmp_path: Path
) -> None:
    """Camera to scan over DDS: the network's masks, and the names that LabelInfo gives them."""
    frames = client.publisher('/image')
    infos = client.publisher('/camera_info', CameraInfo)
    scans = client.listen('/ground/scan', LaserScan)
    topics = ('mask', 'confidence', 'camera_info', 'label_info')
    remappings = [word for name in topics for word in ('-r', f'{name}:=/segmenter/{name}')]
    info = CameraInfo(**pinhole_fields(VIEW.frame.camera_matrix, 480, 640))
    with (
        node_process(Path('fast'), tmp_path / 'segmenter', '-p', 'engine:=openvino'),
        planner_process(
            'ground_node', tmp_path / 'ground', {'camera_pose': POSE['camera_pose']}, *remappings
        ),
    ):
        image = fill_image(Image(), VIEW.frame.image, 'rgb8')
        image.header.frame_id = 'camera'

        def answered() -> bool:
            image.header.stamp = client.node.get_clock().now().to_msg()
            info.header = image.header
            infos.publish(info)
            frames.publish(image)
            return bool(scans)

        assert client.wait(lambda: answered() or client.spin(0.2) or bool(scans), 60), (
            tmp_path / 'ground'
        ).read_text()
    ranges = np.array(scans[-1].ranges)
    # The car ahead: the rays around straight on end at it.
    truth = read_ground(
        build_table(LENS, matrix_of_pose((0, 0, HEIGHT_M, 0, 0, 0)) @ BODY_FROM_OPTICAL, LAYOUT),
        np.ascontiguousarray(VIEW.frame.labels[::2, ::2]),
        STATES,
    ).ranges_m
    ahead, expected = np.nanmedian(ranges[55:66]), np.nanmedian(truth[55:66])
    assert ahead == pytest.approx(expected, rel=0.1)
