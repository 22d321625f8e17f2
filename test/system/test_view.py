# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg view` in a real browser: the page, the node, a rendered street, all on DDS."""

import array
from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import re
import shutil
import time
from typing import Any

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('aiohttp')
sync_api = pytest.importorskip('playwright.sync_api', reason='Playwright is not installed')

from node_client import Client
from node_client import node_process
from rcl_interfaces.srv import GetParameters
from sensor_msgs.msg import CompressedImage
from view_scene import camera_process
from view_scene import free_port
from view_scene import server_process
from view_scene import whole_scene

from hyperseg_core.drive.scene import DriveScene
from hyperseg_core.labels import load_labels
from hyperseg_core.render import encode_jpeg
from hyperseg_core.render import write_png

BROWSER = next(
    filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None
)
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason='Chromium is not installed: apt install chromium'
)
WAIT_MS = 60_000
# Of the canvas: a digest of its pixels, and its colours.
PIXELS = """
() => {
  const canvas = document.getElementById('canvas');
  const copy = new OffscreenCanvas(canvas.width, canvas.height);
  const context = copy.getContext('2d');
  context.drawImage(canvas, 0, 0);
  const data = new Uint32Array(
    context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
  let digest = 0;
  const counts = new Map();
  for (const value of data) {
    digest = (digest * 31 + value) >>> 0;
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const colours = counts.size > 300 ? [] : [...counts.keys()].map(
    (value) => [value & 255, (value >> 8) & 255, (value >> 16) & 255]);
  return { digest, colours, num: counts.size };
}
"""


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with whole_scene(tmp_path_factory.mktemp('view')) as found:
        yield found


@pytest.fixture(scope='module')
def browser() -> Iterator[Any]:
    if BROWSER is None:
        pytest.skip('Chromium is not installed: apt install chromium')
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=BROWSER, args=['--no-sandbox', '--disable-dev-shm-usage']
        )
        yield found
        found.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context(permissions=['clipboard-read', 'clipboard-write'])
    found = context.new_page()
    found.set_default_timeout(WAIT_MS)
    errors: list[str] = []
    found.on('pageerror', lambda error: errors.append(str(error)))
    yield found
    context.close()
    assert not errors


def wait_for(condition: Any, seconds: float = 60.0) -> None:
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.1)


def wait_for_picture(page: Any) -> None:
    wait_for(lambda: page.evaluate(PIXELS)['num'] > 1)


def wait_for_change(page: Any) -> None:
    before = page.evaluate(PIXELS)['digest']
    wait_for(lambda: page.evaluate(PIXELS)['digest'] != before)


def text_of(page: Any, place: str) -> str:
    return page.locator(place).inner_text()


def wait_for_text(page: Any, place: str, pattern: str) -> str:
    sync_api.expect(page.locator(place)).to_have_text(re.compile(pattern), timeout=WAIT_MS)
    return text_of(page, place)


@needs_browser
def test_canvas_shows_the_mask_in_its_classes_colours(scene: Any, page: Any) -> None:
    asked: list[str] = []
    page.on('request', lambda request: asked.append(request.url))
    page.on('websocket', lambda opened: asked.append(opened.url))
    page.goto(scene.url)
    wait_for_picture(page)
    wait_for_change(page)
    assert page.evaluate(PIXELS)['num'] > 300  # an overlay has many colours
    labels = load_labels('camvid')
    wait_for_text(page, '#class-list', 'bicyclist')
    page.check('input[value=mask]')
    road = labels.classes[labels.names.index('road')].colour
    # At first the node builds its engine, and there is no mask.
    wait_for(lambda: list(road) in page.evaluate(PIXELS)['colours'])
    colours = {tuple(colour) for colour in page.evaluate(PIXELS)['colours']}
    known = {item.colour for item in labels.classes}
    assert len(colours & known) >= 4
    assert colours <= known | {(0, 0, 0)}
    wait_for_change(page)
    page.get_by_label('road', exact=True).uncheck()
    wait_for(lambda: list(road) not in page.evaluate(PIXELS)['colours'])
    page.click('#none')
    wait_for(lambda: page.evaluate(PIXELS)['colours'] == [[0, 0, 0]])
    page.click('#all')
    wait_for(lambda: list(road) in page.evaluate(PIXELS)['colours'])
    host = scene.url.removeprefix('http://')
    assert f'ws://{host}/ws' in asked
    assert {address.split('/')[2] for address in asked} == {host}, asked


@needs_browser
def test_class_under_the_pointer_is_told_and_copied(scene: Any, page: Any) -> None:
    page.goto(scene.url)
    wait_for_picture(page)
    wait_for_text(page, '#class-list', 'road')
    box = page.locator('#canvas').bounding_box()
    where = {'x': box['width'] * 0.6, 'y': box['height'] * 0.95}
    page.hover('#canvas', position=where)
    told = wait_for_text(
        page, '#reading', r'x \d+, y 22\d: (road|car|pavement), confidence \d+ %, stamp \d+\.\d{9}'
    )
    assert re.search(r'x 19\d', told)
    page.click('#canvas', position=where)
    wait_for_text(page, '#reading', 'copied: x 19')
    copied = page.evaluate('navigator.clipboard.readText()')
    assert re.fullmatch(r'x 19\d, y 22\d: [a-z]+, confidence \d+ %, stamp \d+\.\d{9}', copied)
    page.keyboard.press('ArrowRight')
    wait_for_text(page, '#reading', r'x (19\d|200), y 22\d: ')


@needs_browser
def test_diagnostics_are_shown(scene: Any, page: Any) -> None:
    page.goto(scene.url)
    wait_for_text(page, '#engine', 'cpu')
    wait_for_text(page, '#charts', r'in \d+\.\d.*out \d+\.\d.*p50 \d.*segment \d')
    wait_for_text(page, '#counts', r'received\d+')
    wait_for_text(page, '#lifecycle', '^active$')


@needs_browser
def test_what_was_read_of_an_old_mask_does_not_stay(scene: Any, page: Any, client: Client) -> None:
    page.goto(scene.url)
    page.hover('#canvas')
    wait_for_text(page, '#reading', r'x \d+, y \d+: ')
    assert client.set_parameter('/segmenter', 'publish_mask', False).successful
    try:
        wait_for_text(page, '#reading', 'There is no mask to read')
    finally:
        assert client.set_parameter('/segmenter', 'publish_mask', True).successful
    wait_for_text(page, '#reading', r'x \d+, y \d+: ')
    page.mouse.move(0, 0)
    wait_for_text(page, '#reading', 'Point at the picture')


@needs_browser
def test_parameter_is_changed_and_one_is_refused_with_the_nodes_reason(
    scene: Any, page: Any, client: Client
) -> None:
    page.goto(scene.url)
    row = page.locator('.parameter', has=page.locator('input[name=confidence_threshold]'))
    field = row.locator('input')
    field.fill('0.25')
    field.press('Enter')
    sync_api.expect(row.locator('p')).to_have_text('changed', timeout=WAIT_MS)
    request = GetParameters.Request(names=['confidence_threshold'])
    answer = client.call(GetParameters, '/segmenter/get_parameters', request, 30)
    assert answer.values[0].double_value == 0.25
    field.fill('3')
    field.press('Enter')
    sync_api.expect(row.locator('p')).to_have_text(
        re.compile('confidence_threshold'), timeout=WAIT_MS
    )
    field.fill('')
    field.press('Enter')
    sync_api.expect(row.locator('p')).to_have_text('A number is expected.', timeout=WAIT_MS)
    answer = client.call(GetParameters, '/segmenter/get_parameters', request, 30)
    assert answer.values[0].double_value == 0.25
    field.fill('0')
    field.press('Enter')
    sync_api.expect(row.locator('p')).to_have_text('changed', timeout=WAIT_MS)
    row = page.locator('.parameter', has=page.locator('input[name=classes]'))
    row.locator('input').fill('road, unicorn')
    row.locator('input').press('Enter')
    sync_api.expect(row.locator('p')).to_have_text(
        re.compile("No class or group 'unicorn'"), timeout=WAIT_MS
    )
    assert 'error' in row.locator('p').get_attribute('class')


@needs_browser
def test_lifecycle_is_changed_from_the_page(scene: Any, page: Any) -> None:
    page.goto(scene.url)
    wait_for_text(page, '#lifecycle', '^active$')
    page.get_by_role('button', name='deactivate').click()
    wait_for_text(page, '#lifecycle', '^inactive$')
    wait_for_text(page, '#cause', 'press `activate`')
    page.get_by_role('button', name='activate', exact=True).click()
    wait_for_text(page, '#lifecycle', '^active$')
    sync_api.expect(page.locator('#cause')).to_be_hidden(timeout=WAIT_MS)
    wait_for_change(page)


@needs_browser
def test_page_comes_back_when_the_server_does(
    scene: Any, page: Any, tmp_path: Path, client: Client
) -> None:
    port = free_port()
    with server_process(tmp_path / 'first.log', port):
        page.goto(f'http://127.0.0.1:{port}')
        wait_for_picture(page)
    wait_for_text(page, '#connection', 'no connection|The server ends')
    with server_process(tmp_path / 'second.log', port):
        wait_for_text(page, '#connection', '^connected$')
        wait_for_change(page)
        wait_for_text(page, '#parameters', 'confidence_threshold')


@needs_browser
def test_names_come_from_label_info_and_silence_is_told(
    vision_msgs: None, small_checkpoint: Path, page: Any, tmp_path: Path
) -> None:
    """The node's checkpoint is a file here, so that names are only known by LabelInfo."""
    port, place = free_port(), ['-r', '__ns:=/other']
    with contextlib.ExitStack() as stack:
        camera = contextlib.ExitStack()
        camera.enter_context(camera_process(tmp_path / 'camera.log', *place))
        stack.push(camera)
        stack.enter_context(node_process(small_checkpoint, tmp_path / 'node.log', *place))
        stack.enter_context(server_process(tmp_path / 'server.log', port))
        page.goto(f'http://127.0.0.1:{port}')
        wait_for(lambda: '/other/segmenter/mask' in page.inner_html('#stream'))
        page.select_option('#stream', '/other/segmenter/mask')
        wait_for_picture(page)
        wait_for_text(page, '#class-list', 'bicyclist')
        sync_api.expect(page.locator('#cause')).to_be_hidden(timeout=WAIT_MS)
        camera.close()
        wait_for_text(page, '#cause', 'nothing publishes on /other/image')
        size = page.locator('#cause').evaluate('e => parseFloat(getComputedStyle(e).fontSize)')
        assert size >= 17
        camera.enter_context(camera_process(tmp_path / 'camera2.log', *place))
        sync_api.expect(page.locator('#cause')).to_be_hidden(timeout=WAIT_MS)
        wait_for_change(page)


@needs_browser
def test_ids_that_nobody_names_are_numbered(
    small_checkpoint: Path, page: Any, tmp_path: Path
) -> None:
    port, place = free_port(), ['-r', '__ns:=/unnamed']
    absent = tmp_path / 'absent' / 'vision_msgs.py'
    absent.parent.mkdir()
    absent.write_text('raise ImportError')
    path = os.pathsep.join([str(absent.parent), os.environ.get('PYTHONPATH', '')])
    with contextlib.ExitStack() as stack:
        stack.enter_context(camera_process(tmp_path / 'camera.log', *place))
        stack.enter_context(
            node_process(
                small_checkpoint, tmp_path / 'node.log', *place, variables={'PYTHONPATH': path}
            )
        )
        stack.enter_context(server_process(tmp_path / 'server.log', port))
        page.goto(f'http://127.0.0.1:{port}')
        wait_for(lambda: '/unnamed/segmenter/mask' in page.inner_html('#stream'))
        page.select_option('#stream', '/unnamed/segmenter/mask')
        wait_for_text(page, '#class-list', r'class \d+')
        page.hover('#canvas')
        wait_for_text(page, '#reading', r'class \d+, confidence')


@needs_browser
def test_files_are_played_sought_and_compared_with_their_truth(page: Any, tmp_path: Path) -> None:
    folder, truth = tmp_path / 'street', tmp_path / 'truth'
    folder.mkdir()
    truth.mkdir()
    scene = DriveScene(3, height=240, width=320)
    for index in range(4):
        frame = scene.frame(0.5 * index)
        write_png(folder / f'f{index}.png', frame.image)
        if index < 3:
            write_png(truth / f'f{index}.png', frame.labels)
    port = free_port()
    options = ('--truth', str(truth), '--checkpoint', 'fast')
    with server_process(tmp_path / 'log', port, str(folder), *options):
        page.goto(f'http://127.0.0.1:{port}')
        wait_for(lambda: page.text_content('#place') == '4 of 4: f3')  # it plays to its end
        wait_for(lambda: page.text_content('#play') == 'play')
        page.fill('#position', '1')
        wait_for(lambda: page.text_content('#place') == '2 of 4: f1')
        page.check('input[value=truth]')
        colours = {tuple(item.colour) for item in load_labels('camvid').classes}

        def is_truth() -> bool:
            found = {tuple(colour) for colour in page.evaluate(PIXELS)['colours']}
            return len(found) >= 5 and found <= colours | {(0, 0, 0)}

        wait_for(is_truth)
        page.check('input[value=errors]')
        page.hover('#canvas', position={'x': 10, 'y': 10})
        wait_for(lambda: 'truth' in page.text_content('#reading'))
        wait_for(lambda: page.text_content('#reading').endswith(', f1'))
        assert not page.is_visible('#parameters')
        page.fill('#position', '3')  # it has no truth: nothing else may pass for it
        wait_for(lambda: page.text_content('#place') == '4 of 4: f3')
        page.check('input[value=picture]')
        picture = page.evaluate(PIXELS)['digest']
        for mode in ('truth', 'errors'):
            page.check(f'input[value={mode}]')
            assert page.evaluate(PIXELS)['digest'] == picture
        page.hover('#canvas', position={'x': 12, 'y': 10})
        wait_for(lambda: 'no truth, f3' in page.text_content('#reading'))


@needs_browser
def test_camera_that_sends_jpeg_is_seen_with_its_mask(
    page: Any, client: Client, tmp_path: Path
) -> None:
    frames = client.publisher('/image/compressed', CompressedImage)
    street = DriveScene(3, height=240, width=320)
    jpegs = [encode_jpeg(street.frame(0.2 * index).image, 320) for index in range(10)]
    count = 0

    def publish() -> bool:
        nonlocal count
        count += 1
        message = CompressedImage(format='jpeg', data=array.array('B', jpegs[count % 10]))
        message.header.stamp = client.node.get_clock().now().to_msg()
        frames.publish(message)
        client.spin(0.2)
        return True

    port = free_port()
    words = ('-p', 'transport:=compressed', '-r', 'image:=/image/compressed')
    with contextlib.ExitStack() as stack:
        stack.enter_context(node_process(Path('fast'), tmp_path / 'node.log', *words))
        stack.enter_context(server_process(tmp_path / 'server.log', port))
        page.goto(f'http://127.0.0.1:{port}')
        assert client.wait(lambda: publish() and page.evaluate(PIXELS)['num'] > 300, 60)
        page.check('input[value=mask]')
        road = next(c.colour for c in load_labels('camvid').classes if c.name == 'road')
        assert client.wait(
            lambda: publish() and list(road) in page.evaluate(PIXELS)['colours'], 60
        )
