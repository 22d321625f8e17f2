// Copyright 2026 The hyperseg_ros authors
// SPDX-License-Identifier: Apache-2.0
// The time line of files: plays by asking for one frame after the other.

export class Timeline {
  // parts: box, play, position, place, problems; onSeek(index)
  constructor(parts, onSeek) {
    Object.assign(this, parts);
    this.onSeek = onSeek;
    this.isPlaying = true;
    this.index = -1;
    this.count = 0;
    this.play.addEventListener('click', () => this.setPlaying(!this.isPlaying));
    this.position.addEventListener('input', () => {
      this.setPlaying(false);
      this.seek(Number(this.position.value));
    });
  }

  setPlaying(flag) {
    this.isPlaying = flag;
    this.play.textContent = flag ? 'pause' : 'play';
    this.play.setAttribute('aria-pressed', String(flag));
    if (flag && this.isFinished && this.index >= this.count - 1) this.seek(0);
    else if (flag) this.advance();
  }

  update(timeline) {
    this.box.hidden = !timeline;
    if (!timeline) return;
    this.count = timeline.count;
    this.rate = timeline.rate_hz;
    this.isFinished = timeline.is_finished;
    this.total = timeline.total ?? timeline.count;
    this.position.max = Math.max(this.total - 1, 0);
    const lines = timeline.problems.map((text) => {
      const item = document.createElement('li');
      item.textContent = text;
      return item;
    });
    this.problems.replaceChildren(...lines);
    this.tell();
    if (this.isPlaying && !this.timer) this.advance();
  }

  shown(header) {
    if (header.index === undefined) return;
    this.index = header.index;
    this.name = header.name;
    this.position.value = header.index;
    this.tell();
    this.wait();
  }

  // The next frame is asked for when its time has come, and not before this one is there.
  wait() {
    clearTimeout(this.timer);
    this.timer = this.isPlaying
      ? setTimeout(() => { this.timer = null; this.advance(); }, 1000 / this.rate) : null;
  }

  advance() {
    if (this.isPlaying && this.index + 1 < this.count) this.seek(this.index + 1);
    else if (this.isPlaying && this.isFinished && this.count) this.setPlaying(false);
  }

  seek(index) {
    if (index < this.count) this.onSeek(index);
  }

  tell() {
    const done = this.isFinished ? '' : `, ${this.count} segmented`;
    this.place.textContent = this.index < 0
      ? '' : `${this.index + 1} of ${this.total}${done}: ${this.name ?? ''}`;
  }
}
