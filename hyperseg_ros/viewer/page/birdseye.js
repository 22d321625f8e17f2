// Copyright 2026 The hyperseg_ros authors
// SPDX-License-Identifier: Apache-2.0
// The ground from above: the robot at the bottom, ahead is up; grid, scan and free space.

const SILENT_MS = 2000;
const UNKNOWN = 255;

function rgb(text) {
  const number = parseInt(text.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}

export class Birdseye {
  // parts: box, canvas, select, told; onChange(): another node is looked at, or none
  constructor(parts, onChange) {
    Object.assign(this, parts);
    this.onChange = onChange;
    this.context = this.canvas.getContext('2d');
    this.name = '';
    this.chosen = '';
    this.header = null;
    this.grid = null;
    this.select.addEventListener('change', () => {
      this.chosen = this.select.value;
      this.look(this.chosen);
    });
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
    setInterval(() => this.tell(), 500);
  }

  // The node that somebody chose, else one that reads this mask, else the first.
  update(grounds, mask) {
    const names = grounds.map(({ name }) => name);
    if (JSON.stringify(names) !== JSON.stringify([...this.select.options].map((o) => o.value))) {
      this.select.replaceChildren(...names.map((name) => new Option(name, name)));
    }
    this.box.hidden = !names.length;
    const kept = [this.chosen, grounds.find((item) => item.mask === mask)?.name, this.name]
      .find((name) => name && names.includes(name));
    this.look(kept ?? names[0] ?? '');
  }

  look(name) {
    this.select.value = name;
    if (name === this.name) return;
    this.name = name;
    this.header = null;
    this.grid = null;
    this.draw();
    this.onChange();
  }

  // Returns whether it is what is looked at.
  async show(header, parts) {
    if (header.ground !== this.name) return false;
    const grid = parts.grid ? await createImageBitmap(parts.grid, {
      colorSpaceConversion: 'none', premultiplyAlpha: 'none',
    }) : null;
    if (header.ground !== this.name) return false;
    Object.assign(this, { header, grid, heard: performance.now() });
    this.draw();
    return true;
  }

  tell() {
    if (!this.name) return;
    const age = this.header ? performance.now() - this.heard : 0;
    this.canvas.style.opacity = age > SILENT_MS ? 0.4 : 1;
    const hits = this.header?.scan;
    const nearest = Math.min(...(hits ?? []).map(([x, y]) => Math.hypot(x, y)));
    const parts = Object.values(this.header?.problems ?? {});
    if (!this.header) parts.push('Nothing has come yet.');
    else if (age > SILENT_MS) parts.push(`Nothing for ${(age / 1000).toFixed(0)} s; this is old.`);
    if (Number.isFinite(nearest)) parts.push(`Nearest contact of the scan: ${nearest.toFixed(2)} m.`);
    else if (hits) parts.push('The scan has no contact.');
    const text = parts.join(' ');
    if (this.told.textContent !== text) this.told.textContent = text;
  }

  // What is to be seen [m]: all of the grid, or of the scan where there is none.
  extent() {
    const { grid, header: { grid: place, scan, outline } } = this;
    let corners = [...(outline ?? []), ...(scan ?? [])];
    if (grid) {
      const { resolution, origin: [x, y, yaw] } = place;
      const [width, height] = [grid.width * resolution, grid.height * resolution];
      corners = [[0, 0], [width, 0], [0, height], [width, height]].map(([a, b]) => [
        x + a * Math.cos(yaw) - b * Math.sin(yaw), y + a * Math.sin(yaw) + b * Math.cos(yaw),
      ]);
    }
    const most = (values, least) => Math.max(least, ...values);
    return {
      ahead: most(corners.map(([x]) => x), 1),
      aside: most(corners.map(([, y]) => Math.abs(y)), 1),
    };
  }

  draw() {
    const { canvas, context } = this;
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    this.tell();
    if (!this.header) return;
    const style = getComputedStyle(document.documentElement);
    this.colours = Object.fromEntries(['free', 'taken', 'scan', 'outline', 'text', 'dim', 'line']
      .map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    this.ratio = ratio;
    const { ahead, aside } = this.extent();
    const room = 26 * ratio; // behind the robot
    this.scale = Math.min((canvas.height - room) / ahead, canvas.width / 2 / aside); // px per m
    this.foot = [canvas.width / 2, canvas.height - room];
    this.drawGrid();
    this.drawRings(Math.max(ahead, aside));
    this.drawOutline();
    context.fillStyle = this.colours.scan;
    for (const point of this.header.scan ?? []) this.dot(this.at(point), 2 * ratio);
    this.drawRobot();
  }

  // Ahead is up and left is left.
  at([x, y]) {
    return [this.foot[0] - y * this.scale, this.foot[1] - x * this.scale];
  }

  dot([x, y], radius) {
    this.context.beginPath();
    this.context.arc(x, y, radius, 0, 2 * Math.PI);
    this.context.fill();
  }

  drawGrid() {
    const { grid, context } = this;
    if (!grid) return;
    const { resolution, origin: [x, y, yaw] } = this.header.grid;
    const painted = new OffscreenCanvas(grid.width, grid.height);
    const brush = painted.getContext('2d', { willReadFrequently: true });
    brush.drawImage(grid, 0, 0);
    const image = brush.getImageData(0, 0, grid.width, grid.height);
    const [free, taken] = [rgb(this.colours.free), rgb(this.colours.taken)];
    for (let i = 0; i < image.data.length; i += 4) {
      const value = image.data[i];
      if (value === 0) image.data.set([...free, 255], i);
      else image.data.set([...taken, value === UNKNOWN ? 0 : 55 + 2 * value], i);
    }
    brush.putImageData(image, 0, 0);
    context.save();
    context.imageSmoothingEnabled = false;
    // A column of the picture is a step of x, which is up; a row one of y, which is to the left.
    const [a, b] = [Math.cos(yaw), Math.sin(yaw)].map((part) => part * resolution * this.scale);
    context.setTransform(-b, -a, -a, b, ...this.at([x, y]));
    context.drawImage(painted, 0, 0);
    context.restore();
  }

  drawRings(reach) {
    const { context, ratio } = this;
    const step = [0.5, 1, 2, 5, 10, 20, 50].find((length) => reach / length <= 6) ?? reach / 5;
    context.lineWidth = ratio;
    context.font = `${12 * ratio}px system-ui, sans-serif`;
    context.textAlign = 'center';
    for (let radius = step; radius <= reach * 1.5; radius += step) {
      context.strokeStyle = this.colours.line;
      context.beginPath();
      context.arc(...this.foot, radius * this.scale, Math.PI, 2 * Math.PI);
      context.stroke();
      context.fillStyle = this.colours.text;
      const [x, y] = this.at([radius, 0]);
      context.fillText(`${Number(radius.toPrecision(3))} m`, x, y + 13 * ratio);
    }
  }

  drawOutline() {
    const { context } = this;
    const corners = this.header.outline ?? [];
    if (!corners.length) return;
    context.strokeStyle = this.colours.outline;
    context.lineWidth = 2 * this.ratio;
    context.beginPath();
    for (const corner of corners) context.lineTo(...this.at(corner));
    context.closePath();
    context.stroke();
  }

  drawRobot() {
    const { context, ratio, foot: [x, y] } = this;
    context.fillStyle = this.colours.text;
    context.beginPath();
    context.moveTo(x, y - 10 * ratio);
    context.lineTo(x - 7 * ratio, y + 8 * ratio);
    context.lineTo(x + 7 * ratio, y + 8 * ratio);
    context.fill();
  }
}
