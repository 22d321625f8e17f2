# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from hyperseg_core import ConfigError
from hyperseg_core.labels import LabelSet
from hyperseg_core.labels import load_labels


@pytest.mark.parametrize(('name', 'count'), [('camvid', 11), ('cityscapes', 19), ('voc', 21)])
def test_shipped_label_sets(name: str, count: int) -> None:
    labels = load_labels(name)
    assert len(labels) == count
    assert len({item.colour for item in labels.classes}) == count
    assert set(labels.groups) == {'drivable', 'vulnerable', 'obstacle'}
    assert LabelSet.from_dict(labels.to_dict()) == labels


def test_camvid_order_is_segnets() -> None:
    names = load_labels('camvid').names
    assert names == (
        'sky', 'building', 'pole', 'road', 'pavement', 'tree', 'sign symbol', 'fence', 'car',
        'pedestrian', 'bicyclist',
    )  # fmt: skip


def test_cityscapes_maps_its_34_ids() -> None:
    table = load_labels('cityscapes').source_lookup()
    assert table[7] == 0
    assert table[33] == 18
    assert table[[0, 6, 9, 29, 34, 255]].tolist() == [255] * 6


def test_ids_of_groups_and_classes() -> None:
    labels = load_labels('camvid')
    assert labels.ids(['vulnerable', 'road']) == (3, 9, 10)
    with pytest.raises(ConfigError, match=r"No class or group 'rod'.*classes: sky"):
        labels.ids(['rod'])


@pytest.mark.parametrize(
    ('text', 'match'),
    [
        ('name: a\nclasses: [{name: x, colour: [1, 2, 300]}]', r'must lie in 0 to 255'),
        ('name: a\nclasses: [{name: x, colour: [1, 2]}]', r"classes.0.colour' has 2 items"),
        ('name: a\nclasses: []', r'needs 1 to 254 classes'),
        ('name: a', r'needs .name. and a list'),
        ('name: [', r'not valid YAML'),
        ('name: a\nclasses: [{name: x, colour: [1, 2, 3]}]\ngroups: {g: [y]}', r"names 'y'"),
    ],
)
def test_wrong_label_yaml(text: str, match: str, tmp_path: Path) -> None:
    path = tmp_path / 'labels.yaml'
    path.write_text(text)
    with pytest.raises(ConfigError, match=match):
        load_labels(path)


BASE = (
    'name: a\nclasses: [{name: x, colour: [1, 2, 3], source: [4, 5]}, '
    '{name: y, colour: [0, 0, 9]}]'
)


@pytest.mark.parametrize(
    ('text', 'match'),
    [
        (BASE.replace('[4, 5]', '[1, 5]'), "maps 1 of the data set to 'x' and to 'y'"),
        (BASE.replace('[4, 5]', '[5, 5]'), "maps 5 of the data set to 'x' and to 'x'"),
        (BASE.replace('[4, 5]', '256'), r"`source` of 'x' is 256, expected an id from 0 to 255"),
        (BASE.replace('[4, 5]', '[[1, 2]]'), r'a list of ids and colours'),
        (BASE.replace('[4, 5]', 'road'), r"is 'road', expected an id"),
        (BASE + '\nunions: [{classes: [x, z], source: 9}]', r"names \['x', 'z'\]; it needs two"),
        (BASE + '\nunions: [{classes: [x], source: 9}]', r'it needs two or more'),
        (BASE + '\nunions: [{classes: [x, y], source: 4}]', "to 'x' and to 'x or y'"),
        (BASE + '\nunions: {}', ''),
        (BASE + '\nunions: 3', 'a list `unions`'),
    ],
)
def test_maps_that_mean_two_things_are_refused(text: str, match: str, tmp_path: Path) -> None:
    path = tmp_path / 'labels.yaml'
    path.write_text(text)
    if not match:
        assert load_labels(path).unions == ()
        return
    with pytest.raises(ConfigError, match=match):
        load_labels(path)


def test_maps_and_unions_survive_being_written(tmp_path: Path) -> None:
    path = tmp_path / 'labels.yaml'
    path.write_text(BASE.replace('5]', '[7, 8, 9]]') + '\nunions: [{classes: [x, y], source: 9}]')
    labels = load_labels(path)
    assert LabelSet.from_dict(labels.to_dict()) == labels
    assert labels.source_colours()[7, 8, 9] == 0
    assert labels.source_lookup()[[4, 1, 9, 0]].tolist() == [0, 1, 2, 255]


def test_nineteen_cityscapes_classes_are_camvids_eleven_by_yaml_alone() -> None:
    labels = load_labels('cityscapes-as-camvid')
    assert labels.names == load_labels('camvid').names
    table = labels.source_lookup()
    expected = [3, 4, 1, 1, 7, 2, 6, 6, 5, 255, 0, 9, 10, 8, 8, 8, 8, 10, 10]
    assert table[:19].tolist() == expected
