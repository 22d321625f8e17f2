// Copyright 2026 The hyperseg_ros authors
// SPDX-License-Identifier: Apache-2.0
// Curves of the last minutes, and the numbers beside them.

const KEPT = 180;
const SVG = 'http://www.w3.org/2000/svg';
const COUNTS = [
  ['received', 'received'], ['published', 'published'], ['dropped', 'dropped'],
  ['lost', 'lost on the way'], ['unread', 'replaced unread'],
];

class Chart {
  constructor(title, unit, names) {
    Object.assign(this, { title, unit, names });
    this.samples = [];
    this.element = document.createElement('figure');
    this.element.className = 'chart';
    this.caption = document.createElement('figcaption');
    this.svg = document.createElementNS(SVG, 'svg');
    this.svg.setAttribute('viewBox', `0 0 ${KEPT - 1} 100`);
    this.svg.setAttribute('preserveAspectRatio', 'none');
    this.svg.setAttribute('aria-hidden', 'true'); // the caption has the numbers
    this.lines = names.map((_, index) => {
      const line = document.createElementNS(SVG, 'polyline');
      line.setAttribute('class', `s${index}`);
      return line;
    });
    this.svg.append(...this.lines);
    this.element.append(this.caption, this.svg);
    this.draw();
  }

  push(values) {
    this.samples.push(values);
    if (this.samples.length > KEPT) this.samples.shift();
    this.draw();
  }

  clear() {
    this.samples = [];
    this.draw();
  }

  draw() {
    const newest = this.samples.at(-1) ?? [];
    const top = Math.max(1, ...this.samples.flat().filter(Number.isFinite)) * 1.1;
    const parts = this.names.map((name, index) => {
      const part = document.createElement('span');
      part.className = `t${index}`;
      const value = newest[index];
      part.textContent = ` ${name} ${Number.isFinite(value) ? value.toFixed(1) : '-'}`;
      return part;
    });
    this.caption.replaceChildren(`${this.title} [${this.unit}]:`, ...parts,
      ` (top ${top.toFixed(0)})`);
    const begin = KEPT - this.samples.length;
    this.lines.forEach((line, index) => {
      const points = this.samples
        .map((values, i) => [begin + i, values[index]])
        .filter(([, value]) => Number.isFinite(value))
        .map(([x, value]) => `${x},${(100 - (100 * value) / top).toFixed(1)}`);
      line.setAttribute('points', points.join(' '));
    });
  }
}

export class Facts {
  constructor({ charts, engine, counts, more }) {
    Object.assign(this, { engine, counts, more });
    this.rates = new Chart('rates', 'Hz', ['in', 'out']);
    this.age = new Chart('age', 'ms', ['p50', 'p95', 'p99']);
    this.stages = new Chart('stages, p50', 'ms', ['wait', 'decode', 'segment', 'publish']);
    charts.append(this.rates.element, this.age.element, this.stages.element);
    this.heard = 0;
  }

  clear() {
    for (const chart of [this.rates, this.age, this.stages]) chart.clear();
    this.heard = 0;
  }

  update(stream, engine) {
    const report = stream?.report;
    if (report && report.heard_s !== this.heard) {
      this.heard = report.heard_s;
      const { rates_hz: rates, stages_ms: stages } = report;
      this.rates.push([rates.in, rates.out]);
      this.age.push(stages.age ?? []);
      this.stages.push(['wait', 'decode', 'segment', 'publish'].map((name) => stages[name]?.[0]));
    }
    const name = report?.engine || engine?.message || 'unknown';
    const problem = engine && engine.level !== 'ok' ? ` - ${engine.message}` : '';
    const { precision } = report ?? {};
    const more = precision && !name.includes(precision) ? `, ${precision}` : '';
    this.engine.textContent = `Engine: ${name}${more}${problem}`;
    this.updateCounts(report);
  }

  updateCounts(report) {
    const rows = COUNTS.map(([key, text]) => [text, report?.counts[key]])
      .concat(Object.entries(report?.drops ?? {}).map(([cause, n]) => [`dropped: ${cause}`, n]))
      .filter(([, value]) => value !== undefined);
    this.counts.replaceChildren(...rows.map(([text, value]) => {
      const row = document.createElement('tr');
      const head = document.createElement('th');
      head.scope = 'row';
      head.textContent = text;
      const cell = document.createElement('td');
      cell.textContent = value;
      row.append(head, cell);
      return row;
    }));
    this.more.replaceChildren(...Object.entries(report?.more ?? {}).map(([key, value]) => {
      const item = document.createElement('li');
      item.textContent = `${key}: ${value}`;
      return item;
    }));
  }
}
