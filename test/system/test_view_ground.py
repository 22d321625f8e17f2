# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg view` with the node `ground`, in a browser: its outputs from above, in the picture."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('aiohttp')
pytest.importorskip('nav_msgs')
pytest.importorskip('playwright.sync_api', reason='Playwright is not installed')

from geometry_msgs.msg import Point32
from geometry_msgs.msg import PolygonStamped
from nav_msgs.msg import OccupancyGrid
from node_client import Client
from node_client import node_process
from planner_process import VIEW
from planner_process import Street
from planner_process import planner_process
from sensor_msgs.msg import LaserScan
from test_view import browser  # noqa: F401
from test_view import needs_browser
from test_view import page  # noqa: F401
from view_scene import camera_process
from view_scene import free_port
from view_scene import server_process

HEIGHT_M = round(float(VIEW.plan.pose.height_m), 4)
POSE = {'camera_pose': f'[0.0,0.0,{HEIGHT_M},0.0,0.0,0.0]', 'label_set': 'camvid'}
TOPICS = ('/ground/scan', '/ground/grid', '/ground/free_space')
# How many pixels of a canvas have each colour that the ground is drawn with.
COUNTS = """
(place) => {
  const canvas = document.getElementById(place);
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const style = getComputedStyle(document.documentElement);
  const found = {};
  for (const name of ['free', 'scan', 'outline']) {
    const number = parseInt(style.getPropertyValue(`--${name}`).trim().slice(1), 16);
    const colour = [number >> 16, (number >> 8) & 255, number & 255];
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] === 255 && colour.every((value, k) => value === data[i + k])) count += 1;
    }
    found[name] = count;
  }
  return found;
}
"""


@pytest.fixture
def street(client: Client) -> Street:
    return Street(client)


@contextlib.contextmanager
def ground_and_server(folder: Path) -> Iterator[tuple[contextlib.ExitStack, str]]:
    port = free_port()
    with contextlib.ExitStack() as ground, contextlib.ExitStack() as stack:
        stack.enter_context(server_process(folder / 'server.log', port))
        ground.enter_context(planner_process('ground_node', folder / 'ground.log', POSE))
        yield ground, f'http://127.0.0.1:{port}'


def publish_until(street: Street, condition: Callable[[], bool], seconds: float = 40.0) -> bool:
    """Publish masks meanwhile."""
    return street.client.wait(
        lambda: condition() or bool(street.publish() and street.client.spin(0.2)), seconds
    )


def counts_of(page: Any, place: str = 'birdseye') -> dict[str, int]:  # noqa: F811
    return page.evaluate(COUNTS, place)


def num_listeners(client: Client) -> int:
    return sum(client.node.count_subscribers(topic) for topic in TOPICS)


@needs_browser
@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_ground_is_seen_from_above_while_its_node_is_there(
    client: Client,
    street: Street,
    page: Any,  # noqa: F811
    tmp_path: Path,
    scheme: str,
) -> None:
    page.emulate_media(color_scheme=scheme)
    with ground_and_server(tmp_path) as (ground, url):
        assert client.wait(lambda: all(client.node.count_publishers(topic) for topic in TOPICS))
        client.spin(1.0)
        assert num_listeners(client) == 0
        page.goto(url)

        # Scan, grid and outline come apart, and who listens is told later than what is heard.
        def is_drawn() -> bool:
            counts = counts_of(page)
            least = {'scan': 20, 'free': 1000, 'outline': 100}
            return all(counts[name] > number for name, number in least.items())

        assert publish_until(street, is_drawn)
        assert page.inner_text('#ground-node') == '/ground'
        nearest = 'Nearest contact of the scan: '
        assert publish_until(street, lambda: nearest in page.inner_text('#ground-told'))
        assert publish_until(street, lambda: num_listeners(client) == 3)
        page.set_viewport_size({'width': 360, 'height': 740})
        assert publish_until(street, lambda: counts_of(page)['free'] > 1000)
        assert page.evaluate('document.documentElement.scrollWidth') <= 360
        assert client.wait(lambda: 'this is old' in page.inner_text('#ground-told'))
        ground.close()
        assert client.wait(lambda: not page.is_visible('#ground'))
        assert client.wait(lambda: counts_of(page) == {'free': 0, 'scan': 0, 'outline': 0})
        assert client.wait(lambda: num_listeners(client) == 0)


@needs_browser
def test_ground_is_left_alone_when_the_page_is_gone(
    client: Client,
    street: Street,
    page: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    with ground_and_server(tmp_path) as (_, url):
        page.goto(url)
        assert publish_until(street, lambda: num_listeners(client) == 3)
        page.goto('about:blank')
        assert client.wait(lambda: num_listeners(client) == 0)
        assert client.wait(lambda: street.masks.get_subscription_count() == 0)


@needs_browser
def test_ground_is_drawn_into_the_picture_and_switched_off(
    client: Client,
    page: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    port = free_port()
    remaps = [
        word for name in ('mask', 'camera_info') for word in ('-r', f'{name}:=/segmenter/{name}')
    ]
    with contextlib.ExitStack() as stack:
        stack.enter_context(camera_process(tmp_path / 'camera.log'))
        stack.enter_context(node_process(Path('fast'), tmp_path / 'node.log'))
        stack.enter_context(server_process(tmp_path / 'server.log', port))
        log = tmp_path / 'ground.log'
        stack.enter_context(planner_process('ground_node', log, POSE, *remaps))
        page.goto(f'http://127.0.0.1:{port}')
        page.check('input[value=mask]')

        def drawn() -> dict[str, int]:
            return counts_of(page, 'canvas')

        assert client.wait(lambda: drawn()['outline'] > 50 and drawn()['scan'] > 5, 90)
        assert 'Not drawn' not in page.inner_text('#ground-told')
        page.uncheck('#draw-ground')
        assert client.wait(lambda: drawn()['outline'] == drawn()['scan'] == 0)
        assert client.wait(lambda: counts_of(page)['outline'] > 100)
        page.check('#draw-ground')
        page.check('input[value=overlay]')
        assert client.wait(lambda: drawn()['outline'] > 50)
        page.screenshot(path=tmp_path / 'ground.png', full_page=True)


@needs_browser
def test_absurd_messages_are_told_and_the_next_ones_drawn(
    client: Client,
    page: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    name = client.node.get_fully_qualified_name()
    kinds = {'scan': LaserScan, 'grid': OccupancyGrid, 'free_space': PolygonStamped}
    publishers = {
        part: client.publisher(f'{name}/{part}', kind, reliable=True)
        for part, kind in kinds.items()
    }
    told = page.locator('#ground-told')
    seconds = 0

    def publish(scan: LaserScan, grid: OccupancyGrid, free_space: PolygonStamped) -> bool:
        nonlocal seconds
        seconds += 1
        for publisher, message in zip(publishers.values(), (scan, grid, free_space), strict=True):
            message.header.stamp.sec = seconds
            publisher.publish(message)
        client.spin(0.2)
        return True

    nan = float('nan')
    absurd = (
        LaserScan(angle_min=nan, angle_increment=1e30, range_max=float('inf'), ranges=[1.0, nan]),
        OccupancyGrid(data=[1, 2]),
        PolygonStamped(),
    )
    absurd[1].info.width = absurd[1].info.height = 2**32 - 1
    absurd[2].polygon.points = [Point32(x=nan, y=1e30)] * 30_000
    good = (
        LaserScan(angle_increment=0.1, range_max=9.0, ranges=[2.0, 2.0, nan]),
        OccupancyGrid(data=[0] * 9),
        PolygonStamped(),
    )
    good[1].info.width = good[1].info.height = 3
    good[1].info.resolution = 1.0
    good[2].polygon.points = [Point32(x=1.0), Point32(x=2.0), Point32(x=2.0, y=1.0)]
    port = free_port()
    with server_process(tmp_path / 'server.log', port):
        page.goto(f'http://127.0.0.1:{port}')
        # The outline is too long to be read, and may be lost on the way.
        words = ('scan: The scan has the angles nan', 'values.', 'Not drawn into the picture')
        assert client.wait(
            lambda: publish(*absurd) and all(word in told.inner_text() for word in words)
        )
        drawn = {'free': 1000, 'outline': 50}
        assert client.wait(
            lambda: publish(*good) and all(counts_of(page)[k] > n for k, n in drawn.items())
        )
        nearest = 'Nearest contact of the scan: 2.00 m.'
        assert client.wait(lambda: publish(*good) and nearest in told.inner_text())
        assert page.inner_text('#connection') == 'connected'
