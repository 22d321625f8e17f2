# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stores on an S3 server, whose connection is cut."""

from collections.abc import Iterator
import os
from pathlib import Path
import threading
import time

import pytest

pytest.importorskip('moto.server', reason='the S3 server for tests, moto, is not installed')
pytest.importorskip('s3fs')

from fleet_storage import S3Server
import fsspec

from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_ros.fleet.inputs import find_inputs
from hyperseg_ros.fleet.places import check_writable
from hyperseg_ros.fleet.storage import StorageError
from hyperseg_ros.fleet.storage import Store


@pytest.fixture(scope='module')
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp('s3')) as found:
        yield found


@pytest.fixture(autouse=True)
def _bucket(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith('AWS_')]:
        monkeypatch.delenv(name)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    fsspec.filesystem('s3').clear_instance_cache()
    filesystem = fsspec.filesystem('s3')
    if not filesystem.exists('bucket'):
        filesystem.mkdir('bucket')


def test_files_go_there_and_back(tmp_path: Path) -> None:
    store = Store('s3://bucket/a')
    source = tmp_path / 'source'
    source.write_bytes(os.urandom(300_000))
    store.upload(source, 'deep/x.mcap')
    store.write('deep/y.json', b'{}')
    assert [(f.name, f.size) for f in store.files()] == [
        ('deep/x.mcap', 300_000),
        ('deep/y.json', 2),
    ]
    assert all(file.tag for file in store.files())
    assert store.info('deep/x.mcap') == store.files()[0]
    store.download('deep/x.mcap', tmp_path / 'back')
    assert (tmp_path / 'back').read_bytes() == source.read_bytes()
    assert store.read('deep/y.json', 10) == b'{}'
    assert store.read('deep/none', 10) is None
    assert store.info('deep/none') is None
    store.remove(['deep/x.mcap', 'deep/y.json', 'deep/none'])
    assert store.files() == []


def test_bags_are_found_by_prefix_pattern_and_single() -> None:
    store = Store('s3://bucket/drives')
    for name in ('monday/run/metadata.yaml', 'monday/run/run_0.mcap', 'tuesday/single.mcap'):
        store.write(name, b'x')

    def names(source: str) -> list[str]:
        return [bag.name for bag in find_inputs([source]).bags]

    assert names('s3://bucket/drives') == ['monday/run', 'tuesday/single']
    assert names('s3://bucket/drives/*day/*.mcap') == ['tuesday/single']
    assert names('s3://bucket/drives/mon*') == ['monday/run']
    assert names('s3://bucket/drives/monday/run') == ['run']
    assert names('s3://bucket/drives/tuesday/single.mcap') == ['single']
    with pytest.raises(InputError, match='There is nothing at s3://bucket/none'):
        names('s3://bucket/none')


def test_missing_bucket_and_credentials_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match='There is nothing at s3://nowhere/x'):
        find_inputs(['s3://nowhere/x'])
    with pytest.raises(ConfigError, match=r'(?s)Nothing can be written to .*bucket'):
        check_writable(Store('s3://nowhere/x'))
    for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'):
        monkeypatch.delenv(name)
    monkeypatch.setenv('AWS_EC2_METADATA_DISABLED', 'true')
    fsspec.filesystem('s3').clear_instance_cache()
    start_s = time.monotonic()
    with pytest.raises(StorageError, match=r'(?i)credentials') as caught:
        Store('s3://bucket/x').files()
    assert caught.value.is_lasting
    assert time.monotonic() - start_s < 20
    fsspec.filesystem('s3').clear_instance_cache()


def test_cut_connection_is_waited_for(server: S3Server) -> None:
    store = Store('s3://bucket/cut')
    store.write('x', b'before')
    server.cut()
    back = threading.Timer(3.0, server.connect)
    back.start()
    assert store.read('x', 10) == b'before'
    back.join()
    server.cut()
    try:
        with pytest.raises(StorageError) as caught:
            Store('s3://bucket/cut', patience_s=1.0).read('x', 10)
        assert not caught.value.is_lasting
    finally:
        server.connect()
