# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest

from hyperseg_core import load_labels
from hyperseg_core.errors import InputError
from hyperseg_ros.planner.mask_classes import heard_label_set


def label_info(*pairs: tuple[int, str]) -> SimpleNamespace:
    classes = [SimpleNamespace(class_id=number, class_name=name) for number, name in pairs]
    return SimpleNamespace(class_map=classes)


def test_names_of_a_shipped_set_bring_its_groups() -> None:
    names = load_labels('cityscapes').names
    found = heard_label_set(label_info(*enumerate(names)))
    assert found == load_labels('cityscapes')
    assert found.ids(('drivable',)) == (0,)


def test_other_networks_names_are_taken_as_they_come() -> None:
    found = heard_label_set(label_info((3, 'lawn'), (0, 'path')))
    assert found.names == ('path', 'id 1', 'id 2', 'lawn')
    assert found.ids(('lawn',)) == (3,)


@pytest.mark.parametrize(
    ('pairs', 'told'),
    [
        (((0, 'a'), (0, 'b')), 'id 0 twice'),
        (((255, 'a'),), 'id 255 twice, or beyond'),
        (((-1, 'a'),), 'id -1'),
        (((0, 'a'), (1, 'a')), 'cannot be used'),
        ((), 'cannot be used'),
    ],
)
def test_label_infos_that_mean_nothing_are_refused(
    pairs: tuple[tuple[int, str], ...], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        heard_label_set(label_info(*pairs))
