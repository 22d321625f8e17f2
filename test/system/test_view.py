# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg view` in a real browser: the page, the node, a rendered street, all on DDS."""

import asyncio
from collections.abc import Iterator
import contextlib
import json
from pathlib import Path
import re
import shutil
import socket
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('aiohttp')
sync_api = pytest.importorskip('playwright.sync_api', reason='Playwright is not installed')

from aiohttp import ClientSession
from aiohttp import WSMsgType
from node_client import Client
from node_client import node_process
from node_client import process
from rcl_interfaces.srv import GetParameters

from hyperseg_core.labels import load_labels
from hyperseg_ros.process.transport import transport_environment
from hyperseg_ros.viewer.protocol import unpack_frame

BROWSER = next(
    filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None
)
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason='Chromium is not installed: apt install chromium'
)
WAIT_MS = 60_000
LOOK = {'type': 'look', 'stream': '/segmenter/mask', 'confidence': False}
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


def free_port() -> int:
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def camera_process(log: Path) -> Iterator[Any]:
    options = ['rate:=10.0', 'height:=240', 'width:=320', 'frames:=40']
    words = [word for option in options for word in ('-p', option)]
    command = [sys.executable, '-m', 'hyperseg_ros.cameras.rendered_street', '--ros-args', *words]
    with process(command, log, transport_environment()) as child:
        yield child


@contextlib.contextmanager
def server_process(log: Path, port: int, *options: str) -> Iterator[Any]:
    command = [sys.executable, '-m', 'hyperseg_ros', 'view', '--port', str(port), *options]
    with process(command, log, None) as child:
        end_s = time.monotonic() + 60
        while 'http://' not in log.read_text():
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < end_s, log.read_text()
            time.sleep(0.05)
        yield child


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Camera, node and server, for all tests of the page."""
    folder, port = tmp_path_factory.mktemp('view'), free_port()
    with contextlib.ExitStack() as stack:
        stack.enter_context(camera_process(folder / 'camera.log'))
        stack.enter_context(node_process(Path('fast'), folder / 'node.log'))
        server = stack.enter_context(server_process(folder / 'server.log', port))
        yield SimpleNamespace(
            folder=folder, port=port, url=f'http://127.0.0.1:{port}', server=server
        )


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
    colours = {tuple(colour) for colour in page.evaluate(PIXELS)['colours']}
    known = {item.colour for item in labels.classes}
    assert len(colours & known) >= 4
    assert colours <= known | {(0, 0, 0)}
    wait_for_change(page)
    road = labels.classes[labels.names.index('road')].colour
    assert road in colours
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


async def enter(session: ClientSession, scene: Any) -> Any:
    opened = await session.ws_connect(
        f'{scene.url}/ws', headers={'Origin': scene.url}, max_msg_size=0
    )
    await opened.send_json({'type': 'hello', 'token': ''})
    await opened.send_json(LOOK)
    return opened


async def take_frames(opened: Any, count: int) -> list[float]:
    """Acknowledge messages until there were `count` frames; returns their ages [s]."""
    ages_s: list[float] = []
    while len(ages_s) < count:
        message = await asyncio.wait_for(opened.receive(), 60)
        if message.type == WSMsgType.TEXT:
            number = json.loads(message.data)['number']
        else:
            assert message.type == WSMsgType.BINARY, message
            header, _ = unpack_frame(message.data)
            number = header['number']
            seconds, nanoseconds = header['stamp']
            ages_s.append(time.time() - seconds - nanoseconds / 1e9)
        await opened.send_json({'type': 'acknowledge', 'number': number})
    return ages_s


def resident_kib(pid: int) -> int:
    text = Path(f'/proc/{pid}/status').read_text()
    return int(re.search(r'VmRSS:\s+(\d+)', text)[1])


def test_client_that_stalls_neither_delays_the_other_nor_grows_the_server(scene: Any) -> None:
    async def run() -> tuple[list[float], int, int]:
        async with ClientSession() as session:
            stalled, alive = await enter(session, scene), await enter(session, scene)
            await take_frames(alive, 20)
            before_kib = resident_kib(scene.server.pid)
            ages_s = await take_frames(alive, 150)
            grown_kib = resident_kib(scene.server.pid) - before_kib
            num_messages = 0
            with contextlib.suppress(asyncio.TimeoutError):
                while True:
                    await asyncio.wait_for(stalled.receive(), 0.5)
                    num_messages += 1
            return ages_s, grown_kib, num_messages

    ages_s, grown_kib, num_messages = asyncio.run(run())
    assert num_messages == 1
    assert grown_kib < 20_000
    assert max(ages_s[-50:]) < 2.0


def test_nothing_is_subscribed_unless_somebody_looks(scene: Any, client: Client) -> None:
    def listeners(topic: str) -> list[str]:
        return [item.node_name for item in client.node.get_subscriptions_info_by_topic(topic)]

    def is_listening() -> bool:
        return any('hyperseg_view' in listeners(t) for t in ('/segmenter/mask', '/diagnostics'))

    async def look() -> None:
        async with ClientSession() as session:
            opened = await enter(session, scene)
            await take_frames(opened, 2)
            assert client.wait(lambda: 'hyperseg_view' in listeners('/segmenter/mask'))
            assert 'hyperseg_view' in listeners('/image')
            assert 'hyperseg_view' not in listeners('/segmenter/confidence')
            await opened.close()

    assert client.wait(lambda: not is_listening())
    asyncio.run(look())
    assert client.wait(lambda: not is_listening() and 'hyperseg_view' not in listeners('/image'))


@needs_browser
def test_names_come_from_label_info_and_silence_is_told(
    vision_msgs: None, small_checkpoint: Path, page: Any, tmp_path: Path
) -> None:
    """The node's checkpoint is a file here, so that names are only known by LabelInfo."""
    port, other = free_port(), ['-r', '__ns:=/other', '-r', 'image:=/other/image']
    command = [
        sys.executable, '-m', 'hyperseg_ros.cameras.rendered_street', '--ros-args', '-r',
        '__ns:=/other', '-p', 'height:=240', '-p', 'width:=320', '-p', 'frames:=20',
        '-p', 'rate:=5.0',
    ]  # fmt: skip
    with contextlib.ExitStack() as stack:
        camera = contextlib.ExitStack()
        camera.enter_context(process(command, tmp_path / 'camera.log', None))
        stack.push(camera)
        stack.enter_context(node_process(small_checkpoint, tmp_path / 'node.log', *other))
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
        camera.enter_context(process(command, tmp_path / 'camera2.log', None))
        sync_api.expect(page.locator('#cause')).to_be_hidden(timeout=WAIT_MS)
        wait_for_change(page)


def test_other_machines_need_the_token_that_is_printed(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / 'server.log'
    with server_process(log, port, '--host', '0.0.0.0'):
        token = re.search(r'http://0\.0\.0\.0:\d+/#(\S+)', log.read_text())[1]

        async def try_token(given: str) -> Any:
            url = f'http://127.0.0.1:{port}'
            async with (
                ClientSession() as session,
                session.ws_connect(f'{url}/ws', headers={'Origin': url}) as opened,
            ):
                await opened.send_json({'type': 'hello', 'token': given})
                return (await opened.receive()).type

        assert asyncio.run(try_token(token)) == WSMsgType.TEXT
        assert asyncio.run(try_token('')) == WSMsgType.CLOSE
