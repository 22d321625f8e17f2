# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from hyperseg_core.labels import load_labels
from hyperseg_ros.viewer.class_names import classes_of_checkpoint
from hyperseg_ros.viewer.class_names import named_classes


def test_names_get_the_colours_of_the_label_set_that_has_them() -> None:
    for name in ('camvid', 'cityscapes', 'voc'):
        labels = load_labels(name)
        found = named_classes(list(enumerate(labels.names)))
        assert [item['colour'] for item in found] == [list(item.colour) for item in labels.classes]


def test_names_that_nobody_knows_have_no_colour() -> None:
    assert named_classes([(7, 'unicorn')]) == [{'id': 7, 'name': 'unicorn', 'colour': None}]


def test_shipped_checkpoints_tell_their_classes_and_no_file_is_opened() -> None:
    assert [item['name'] for item in classes_of_checkpoint('fast')][:2] == ['sky', 'building']
    assert classes_of_checkpoint('/etc/passwd') == []
