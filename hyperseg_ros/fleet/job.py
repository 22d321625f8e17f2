# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a worker is asked, and what it answers: plain data."""

from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
import hashlib
import json
from typing import Any
from typing import Literal

from hyperseg_core.preprocessing import Size
from hyperseg_ros.bags.labeller import LabelOptions
from hyperseg_ros.fleet.inputs import BagInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelling:
    """How bags are labelled: the same for all of a run."""

    out: str
    """URL of the folder of results."""
    checkpoint: str
    """A file that every worker can read, or the name of a shipped one."""
    checkpoint_digest: str
    package: str
    """Version of this package."""
    engine: str = 'auto'
    device: str = 'cpu'
    precision: str = 'f32'
    size: Size | None = None
    topics: tuple[str, ...] | None = None
    options: LabelOptions = field(default_factory=LabelOptions)
    scratch: str = ''
    """Folder for what is being worked on, on each worker's machine."""
    num_threads: int = 1
    timeout_s: float = 0.0
    """A bag may take so long [s]; 0: any time."""

    def key(self, bag: BagInput) -> str:
        """Return the SHA-256 of all that decides what a result is."""
        content = {
            'files': [[file.name, file.size, file.tag] for file in bag.files],
            'checkpoint': self.checkpoint_digest,
            'package': self.package,
            'engine': [self.engine, self.device, self.precision],
            'size': self.size,
            'topics': self.topics,
            'options': {name: getattr(self.options, name) for name in LabelOptions.__slots__},
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Job:
    """One bag to label."""

    bag: BagInput
    key: str
    labelling: Labelling
    attempt: int = 1

    @property
    def scratch_key(self) -> str:
        """Return the name of its scratch folder: bags with the same content have one each."""
        content = [self.labelling.out, self.bag.name, self.key]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a bag."""

    name: str
    status: Literal['labelled', 'done', 'failed', 'retry']
    """`done`: labelled before; `retry`: not its fault, another worker may try."""
    reason: str = ''
    num_labelled: int = 0
    num_problems: int = 0
    num_dropped: int = 0
    num_bytes: int = 0
    """Of the input [bytes]."""
    seconds: dict[str, float] = field(default_factory=dict)
    """By stage: engine, stage, label, upload [s]."""
    attempt: int = 1
    host: str = ''
    pid: int = 0
    peak_bytes: int = 0
    """The worker's peak memory so far [bytes]."""

    def counted(self, content: dict[str, Any]) -> 'Outcome':
        """Return it with the counts of a result's labelling.json."""
        return replace(
            self,
            num_labelled=content['labelled'],
            num_problems=len(content['problems']),
            num_dropped=sum(item['dropped'] for item in content['images'].values()),
        )

    def line(self) -> dict[str, Any]:
        """Return the report's line."""
        return {name: getattr(self, name) for name in self.__slots__}
