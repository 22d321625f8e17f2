# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The engines of one network: built for the sizes that come, replaced when they are lost.

Engines have fixed shapes, so one is built for each size of frames and the last few are kept. Each
takes one frame a run: cameras come irregularly, and an engine for every number of frames that
happens to be there would be built for minutes on TensorRT.
"""

from collections import Counter
from collections import OrderedDict
from collections.abc import Collection
from collections.abc import Sequence
import logging
import threading

from hyperseg_core.checkpoint import Checkpoint
from hyperseg_core.errors import EngineError
from hyperseg_core.inference.engine import Bytes
from hyperseg_core.inference.engine import Engine
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import PinnedEngine
from hyperseg_core.inference.parity import num_undefined
from hyperseg_core.inference.preparation import build_engine
from hyperseg_core.inference.progress import BuildProgress
from hyperseg_core.inference.progress import reported_to
from hyperseg_core.inference.selection import Candidate
from hyperseg_core.preprocessing import Size
from hyperseg_core.preprocessing import resize_frame
from hyperseg_core.preprocessing import resize_frame_into
from hyperseg_core.process_memory import return_freed_memory

_logger = logging.getLogger(__name__)
_MAX_ENGINES = 6
_MAX_FAILURES = 3
"""Frames in a row after which an engine counts as lost, whatever it says."""
Shapes = tuple[Size, Size]
"""The network's input size and the size of its ids [px]."""


class EnginePool:
    """Runs frames on the best candidate that works; from several threads, one at a time runs."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        candidates: Sequence[Candidate],
        fallbacks: Sequence[Candidate],
        *,
        replaces_lost: bool,
        progress: BuildProgress,
    ) -> None:
        """Take what there is to choose from; nothing is built yet.

        Args:
            checkpoint: The network.
            candidates: Engines to try, best first.
            fallbacks: CPU engines, one of which is kept ready for a loss of the first.
            replaces_lost: Whether the next engine goes on when one is lost.
            progress: Told how far engines are that are being built.
        """
        self._checkpoint = checkpoint
        self._candidates, self._fallbacks = list(candidates), list(fallbacks)
        self._replaces_lost = replaces_lost
        self._running = threading.Lock()
        """Held while an engine runs, and while the engines are changed."""
        self._building = threading.Lock()
        """Held while an engine is built; others run meanwhile."""
        self._engines: OrderedDict[tuple[EngineSpec, Shapes], Engine] = OrderedDict()
        self._elsewhere: dict[Shapes, EngineSpec] = {}
        """Shapes that the engine in use could not be built for, and what runs them."""
        self._num_failures: Counter[EngineSpec] = Counter()
        self._is_open = True
        self._progress = progress
        self.loss = ''
        """Which engine was lost, wholly or for some frames, and why; '' where none was."""

    @property
    def candidate(self) -> Candidate:
        """The engine in use, and why."""
        return self._candidates[0]

    def is_ready(self, shapes: Shapes) -> bool:
        """Tell whether the engine for some shapes is there already."""
        return (self._spec(shapes), shapes) in self._engines

    def prepare(self, shapes: Shapes) -> None:
        """Build the engine of some shapes, and the one that stands by; others run meanwhile.

        Raises:
            EngineError: If every candidate failed, or the one that ran before refuses the shapes
                and no other may run them; `lost` where the device is, and none goes on.
        """
        self._engine(shapes)
        self._prepare_fallback(shapes)

    def run(self, frame: Bytes, shapes: Shapes) -> tuple[Bytes, Bytes]:
        """Segment a frame (H, W, 3) uint8: ids and confidence, of the size of the ids.

        Raises:
            EngineError: If the engine fails; `lost` where none is left to go on.
        """
        while True:
            spec, engine = self._engine(shapes)
            try:
                found = self._run(engine, spec, frame, shapes[0])
            except EngineError as err:
                self._num_failures[spec] += 1
                if not (err.lost or self._num_failures[spec] >= _MAX_FAILURES):
                    raise
                if self._elsewhere.get(shapes) == spec:  # there is no other one for these
                    raise EngineError(str(err)) from err
                self._replace(spec, err)
            else:
                self._num_failures.pop(spec, None)
                return found

    def close(self) -> None:
        """Release the engines."""
        with self._running:
            self._is_open = False
            while self._engines:
                self._engines.popitem()[1].close()

    def _run(
        self, engine: Engine, spec: EngineSpec, frame: Bytes, size: Size
    ) -> tuple[Bytes, Bytes]:
        pinned = engine.frames if isinstance(engine, PinnedEngine) else None
        batch = resize_frame(frame, size)[None] if pinned is None else pinned
        try:
            with self._running:
                self._check_open()
                if pinned is not None:
                    resize_frame_into(frame, pinned[0])
                ids, confidence = engine.run(batch)
        except Exception as err:  # engines raise classes of their own
            if not self._is_open:
                raise
            msg = (
                f'{spec} failed on a frame at {size[0]} x {size[1]} px: {err}. If memory ran '
                f'out, lower `size` or the number of cameras.'
            )
            raise EngineError(msg, lost=isinstance(err, EngineError) and err.lost) from err
        if undefined := num_undefined(confidence):
            msg = f'{spec} computes no probability for {undefined} pixels of a frame.'
            raise EngineError(msg)
        return ids[0], confidence[0]

    def _engine(self, shapes: Shapes) -> tuple[EngineSpec, Engine]:
        """Return the engine of some shapes, built where it is not there; and which one it is."""
        found = self._built(shapes)
        if found is not None:
            return found
        with self._building:
            found = self._built(shapes)  # by another thread, meanwhile
            return found if found is not None else self._build(shapes)

    def _built(self, shapes: Shapes) -> tuple[EngineSpec, Engine] | None:
        """Return an engine that is there, and count it as used."""
        with self._running:
            self._check_open()
            key = (self._spec(shapes), shapes)
            if key not in self._engines:
                return None
            self._engines.move_to_end(key)
            return key[0], self._engines[key]

    def _spec(self, shapes: Shapes) -> EngineSpec:
        """Return which engine runs some shapes."""
        return self._elsewhere.get(shapes, self.candidate.spec)

    def _build(self, shapes: Shapes) -> tuple[EngineSpec, Engine]:
        """Build on the best candidate; those that fail before they ever ran are left for good."""
        while True:
            spec = self._spec(shapes)
            try:
                return spec, self._build_on(spec, shapes)
            except EngineError as err:
                self._check_open()
                if spec != self._spec(shapes):  # another thread found it lost meanwhile
                    continue
                if spec != self.candidate.spec:  # it took these over, as there was no other
                    raise
                if err.lost:
                    self._replace(spec, err)
                elif any(key[0] == spec for key in self._engines):
                    self._give_away(shapes, spec, err)
                else:
                    left = [item for item in self._candidates if item.spec != spec]
                    if not left:
                        raise
                    _logger.warning('%s Falling back to %s.', err, left[0].spec)
                    with self._running:
                        self._forget({spec})

    def _build_on(self, spec: EngineSpec, shapes: Shapes) -> Engine:
        size, output_size = shapes
        try:
            with reported_to(self._progress.report):
                engine = build_engine(
                    self._checkpoint, spec, batch=1, size=size, output_size=output_size
                )
        finally:
            self._progress.report('')
        return_freed_memory()
        with self._running:
            self._check_open()
            self._engines[spec, shapes] = engine
            kept = [key for key in self._engines if key[0] == spec]
            for key in kept[:-_MAX_ENGINES]:
                # Not closed: another thread may be about to run it.
                del self._engines[key]
        return engine

    def _prepare_fallback(self, shapes: Shapes) -> None:
        """Build the engine that takes over if the one in use is lost; a failure is no error."""
        while self._fallbacks and self.candidate.spec.device != 'cpu':
            spec = self._fallbacks[0].spec
            if (spec, shapes) in self._engines:
                return
            try:
                with self._building:
                    self._build_on(spec, shapes)
            except EngineError as err:
                self._check_open()
                _logger.warning('%s It cannot stand by.', err)
                self._fallbacks.pop(0)
            else:
                return

    def _give_away(self, shapes: Shapes, spec: EngineSpec, error: EngineError) -> None:
        """Let another device run the shapes that an engine cannot be built for; it keeps the rest.

        Raises:
            EngineError: The one given, if there is no other device or it was not asked for.
        """
        others = self._others(spec)
        elsewhere = [item.spec for item in others if item.spec.device != spec.device]
        if not (elsewhere and self._replaces_lost):
            raise error
        size, ids_size = (f'{height} x {width} px' for height, width in shapes)
        with self._running:
            self._elsewhere[shapes] = elsewhere[0]
            self.loss = f'{spec} was lost for frames at {size} with ids of {ids_size}: {error}'
        _logger.error('%s %s runs these.', self.loss, elsewhere[0])

    def _others(self, spec: EngineSpec) -> list[Candidate]:
        """Return what may go on for an engine, what stands by first."""
        known = dict.fromkeys([*self._fallbacks, *self._candidates])
        return [item for item in known if item.spec != spec]

    def _replace(self, spec: EngineSpec, error: EngineError) -> None:
        """Go on with an engine on another device, as what broke one may break all there.

        Raises:
            EngineError: `lost`, if there is none or it was not asked for.
        """
        with self._running:
            if self.candidate.spec != spec:  # another thread was faster
                return
            others = self._others(spec)
            elsewhere = [item for item in others if item.spec.device != spec.device]
            if not (others and self._replaces_lost):
                raise EngineError(str(error), lost=True) from error
            self.loss = f'{spec} was lost: {error}'
            self._candidates = elsewhere or others
            self._elsewhere.clear()
            self._num_failures.clear()
            kept = {item.spec for item in self._candidates}
            self._forget({key[0] for key in self._engines} - kept)
        _logger.error('%s %s goes on.', self.loss, self.candidate.spec)

    def _forget(self, specs: Collection[EngineSpec]) -> None:
        """Forget candidates and engines; not closed: another thread may be about to run one."""
        self._candidates = [item for item in self._candidates if item.spec not in specs]
        for key in [key for key in self._engines if key[0] in specs]:
            del self._engines[key]

    def _check_open(self) -> None:
        if not self._is_open:
            msg = 'The segmenter is closed; make a new one.'
            raise EngineError(msg)
