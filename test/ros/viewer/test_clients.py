# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import asyncio
from collections.abc import Awaitable
from collections.abc import Callable
import json
from typing import Any

import pytest

from hyperseg_core.errors import InputError
from hyperseg_ros.viewer import clients
from hyperseg_ros.viewer.clients import Client


class Frame:
    """A frame that counts how often it is encoded."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.num_encoded = 0

    async def encoded(self, *, has_confidence: bool) -> bytes:
        self.num_encoded += 1
        return b'%d' % self.number


def run(test: Callable[[Client, list[Any]], Awaitable[None]]) -> None:
    async def serve() -> None:
        sent: list[Any] = []

        async def send(message: bytes | str) -> None:
            sent.append(message)

        client = Client(send)
        task = asyncio.create_task(client.run())
        try:
            await test(client, sent)
        finally:
            task.cancel()

    asyncio.run(serve())


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_next_frame_waits_for_the_acknowledgement_and_is_the_newest() -> None:
    async def test(client: Client, sent: list[Any]) -> None:
        frames = [Frame(number) for number in (3, 5, 7)]
        for frame in frames:
            client.offer_frame(frame)
            await settle()
        assert sent == [b'3']
        client.acknowledge(3)
        await settle()
        assert sent == [b'3', b'7']
        assert [frame.num_encoded for frame in frames] == [1, 0, 1]

    run(test)


def test_client_that_never_acknowledges_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(client: Client, sent: list[Any]) -> None:
        for number in range(3, 2003, 2):
            client.offer_frame(Frame(number))
            client.offer_state({'type': 'state', 'n': number})
        await settle()
        assert len(sent) == 1
        assert not client.is_stalled
        monkeypatch.setattr(clients, 'STALLED_S', -1.0)
        assert client.is_stalled

    run(test)


def test_answers_come_first_and_states_replace_each_other() -> None:
    async def test(client: Client, sent: list[Any]) -> None:
        client.offer_frame(Frame(3))
        client.offer_state({'type': 'state', 'n': 1})
        client.offer_state({'type': 'state', 'n': 2})
        client.answer({'type': 'answer', 'request': 1})
        for _ in range(3):
            await settle()
            last = sent[-1]
            client.acknowledge(json.loads(last)['number'] if isinstance(last, str) else int(last))
        await settle()
        assert [json.loads(item)['type'] for item in sent[:2]] == ['answer', 'state']
        assert json.loads(sent[1])['n'] == 2
        assert sent[2:] == [b'3']

    run(test)


def test_what_was_not_sent_cannot_be_acknowledged() -> None:
    async def test(client: Client, sent: list[Any]) -> None:
        with pytest.raises(InputError, match='Message 4 is acknowledged'):
            client.acknowledge(4)
        client.offer_frame(Frame(3))
        await settle()
        client.acknowledge(3)
        with pytest.raises(InputError, match='Message 3 is acknowledged'):
            client.acknowledge(3)

    run(test)


def test_other_camera_does_not_get_the_last_ones_frame() -> None:
    async def test(client: Client, sent: list[Any]) -> None:
        client.look('/a/mask', has_confidence=False)
        client.offer_frame(Frame(3))
        client.look('/b/mask', has_confidence=True)
        await settle()
        assert sent == []

    run(test)


def test_frames_and_ground_take_turns_and_neither_is_old() -> None:
    async def test(client: Client, sent: list[Any]) -> None:
        client.look('/a/mask', has_confidence=False, ground='/g')
        for number in range(3, 15, 2):
            client.offer_frame(Frame(number))
            client.offer_ground(Frame(100 + number))
            await settle()
            client.acknowledge(int(sent[-1]))
            await settle()
        is_ground = [int(item) > 100 for item in sent]
        assert len(is_ground) >= 6
        assert is_ground == [index % 2 == 1 for index in range(len(is_ground))]

    run(test)


def test_other_ground_does_not_get_the_last_ones() -> None:
    async def test(client: Client, sent: list[Any]) -> None:
        client.look('/a/mask', has_confidence=False, ground='/g')
        client.offer_ground(Frame(3))
        client.look('/a/mask', has_confidence=False, ground='/h')
        await settle()
        assert sent == []

    run(test)
