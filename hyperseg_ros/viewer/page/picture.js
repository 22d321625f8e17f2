// Copyright 2026 The hyperseg_ros authors
// SPDX-License-Identifier: Apache-2.0
// The canvas: picture and mask, ids coloured here, and what lies under the pointer.

const UNLABELLED = 255;
const GROUND_S = 0.3; // how far the ground's stamp may be from the picture's

async function bitmap(blob) {
  // Values are ids, not colours: nothing may be converted.
  return createImageBitmap(blob, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
}

async function values(blob) {
  const image = await bitmap(blob);
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  image.close();
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const found = new Uint8Array(canvas.width * canvas.height);
  for (let i = 0; i < found.length; i += 1) found[i] = data[4 * i];
  return { data: found, width: canvas.width, height: canvas.height };
}

export class Picture {
  // onReading(reading or null, whether the keyboard moved), onWantsConfidence(flag),
  // onCopy(reading)
  constructor(canvas, handlers) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    this.handlers = handlers;
    this.mode = 'overlay';
    this.opacity = 0.5;
    this.showsGround = true;
    this.colours = new Map();
    this.hidden = new Set();
    this.point = null; // as shares of width and height
    this.clear();
    canvas.addEventListener('pointerenter', () => this.wantConfidence(true));
    canvas.addEventListener('pointerleave', () => {
      if (document.activeElement !== canvas) this.leave();
    });
    canvas.addEventListener('pointermove', (event) => this.move(event));
    canvas.addEventListener('click', (event) => {
      this.move(event);
      this.copy();
    });
    canvas.addEventListener('focus', () => this.wantConfidence(true));
    canvas.addEventListener('blur', () => this.leave());
    canvas.addEventListener('keydown', (event) => this.key(event));
  }

  clear() {
    this.picture = null;
    this.ids = null;
    this.confidence = null;
    this.truth = null;
    this.header = null;
  }

  wantConfidence(flag) {
    if (flag !== this.wantsConfidence) {
      this.wantsConfidence = flag;
      this.handlers.onWantsConfidence(flag);
    }
  }

  leave() {
    this.point = null;
    this.wantConfidence(false);
    this.handlers.onReading(null);
  }

  async show(header, parts) {
    const [picture, ids, confidence, truth] = await Promise.all([
      parts.picture ? bitmap(parts.picture) : null,
      parts.ids ? values(parts.ids) : null,
      parts.confidence ? values(parts.confidence) : null,
      parts.truth ? values(parts.truth) : null,
    ]);
    if (this.picture) this.picture.close();
    Object.assign(this, { picture, ids, confidence, truth, header });
    this.colour();
    this.draw();
    this.read();
  }

  // What is shown: a frame without truth has none to show, nor errors.
  get shownMode() {
    const isOfTruth = this.mode === 'truth' || this.mode === 'errors';
    return isOfTruth && !this.truth ? 'picture' : this.mode;
  }

  // Paint the ids by their classes' colours; those switched off stay transparent.
  colour() {
    if (!this.ids) return;
    const source = this.shownMode === 'truth' ? this.truth : this.ids;
    const { data, width, height } = source;
    const table = new Uint32Array(256);
    const bytes = new Uint8Array(table.buffer);
    for (let id = 0; id < 256; id += 1) {
      const isShown = id !== UNLABELLED && !this.hidden.has(id);
      bytes.set([...this.colourOf(id), isShown ? 255 : 0], 4 * id);
    }
    const pixels = new Uint32Array(data.length);
    if (this.shownMode === 'errors') this.paintErrors(pixels);
    else for (let i = 0; i < data.length; i += 1) pixels[i] = table[data[i]];
    if (!this.painted || this.painted.width !== width || this.painted.height !== height) {
      this.painted = new OffscreenCanvas(width, height);
    }
    const image = new ImageData(new Uint8ClampedArray(pixels.buffer), width, height);
    this.painted.getContext('2d').putImageData(image, 0, 0);
  }

  // Wrong pixels red, right ones clear, those without a label grey.
  paintErrors(pixels) {
    const colours = new Uint32Array(new Uint8Array([220, 40, 40, 255, 90, 90, 90, 200]).buffer);
    const { ids: { data }, truth: { data: truth } } = this;
    for (let i = 0; i < pixels.length; i += 1) {
      if (truth[i] === UNLABELLED) pixels[i] = colours[1];
      else if (truth[i] !== data[i]) pixels[i] = colours[0];
    }
  }

  colourOf(id) {
    const known = this.colours.get(id);
    if (known) return known;
    const angle = id * 2.4; // the golden angle: neighbours differ
    return [0, 2.1, 4.2].map((phase) => Math.round(150 + 90 * Math.cos(angle + phase)));
  }

  draw() {
    const size = this.picture ?? this.ids;
    if (!size) return;
    const { canvas, context } = this;
    if (canvas.width !== size.width || canvas.height !== size.height) {
      canvas.width = size.width;
      canvas.height = size.height;
    }
    context.globalAlpha = 1;
    context.fillStyle = '#000';
    context.fillRect(0, 0, canvas.width, canvas.height);
    const mode = this.shownMode;
    const isWhole = mode === 'mask' || mode === 'truth';
    if (this.picture && !isWhole) context.drawImage(this.picture, 0, 0);
    if (this.ids && mode !== 'picture') {
      context.globalAlpha = isWhole || mode === 'errors' ? 1 : this.opacity;
      context.imageSmoothingEnabled = false;
      context.drawImage(this.painted, 0, 0, canvas.width, canvas.height);
      context.globalAlpha = 1;
    }
    this.drawGround();
    if (this.point && document.activeElement === canvas) this.drawCross();
  }

  drawCross() {
    const { context, canvas } = this;
    const x = Math.floor(this.point.x * canvas.width) + 0.5;
    const y = Math.floor(this.point.y * canvas.height) + 0.5;
    for (const [style, width] of [['#000', 3], ['#fff', 1]]) {
      context.strokeStyle = style;
      context.lineWidth = width;
      context.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + 4 * dx, y + 4 * dy);
        context.lineTo(x + 12 * dx, y + 12 * dy);
      }
      context.stroke();
    }
  }

  // What a planner says of the ground, or null.
  showGround(header) {
    this.ground = header;
    this.draw();
  }

  // Drawn only where it belongs: of this camera, and of a moment that is not another.
  drawGround() {
    const { context, canvas } = this;
    const places = this.ground?.picture;
    if (!this.showsGround || !places || !this.header || places.mask !== this.header.stream) return;
    const [s, ns] = [0, 1].map((i) => this.ground.stamp[i] - this.header.stamp[i]);
    if (Math.abs(s + ns / 1e9) > GROUND_S) return;
    const style = getComputedStyle(document.documentElement);
    const at = ([x, y]) => [x * canvas.width, y * canvas.height];
    const unit = canvas.width / 320;
    context.lineJoin = 'round';
    for (const [colour, width] of [['#fff', 3], [style.getPropertyValue('--outline'), 1.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = width * unit;
      for (const line of places.outline) {
        context.beginPath();
        for (const place of line) context.lineTo(...at(place));
        context.stroke();
      }
    }
    context.fillStyle = style.getPropertyValue('--scan');
    for (const place of places.scan) {
      context.beginPath();
      context.arc(...at(place), 1.5 * unit, 0, 2 * Math.PI);
      context.fill();
    }
  }

  repaint() {
    this.colour();
    this.draw();
  }

  move(event) {
    const box = this.canvas.getBoundingClientRect();
    const share = (value, length) => Math.min(Math.max(value / length, 0), 0.999999);
    this.point = {
      x: share(event.clientX - box.left, box.width), y: share(event.clientY - box.top, box.height),
    };
    this.read();
  }

  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      this.copy();
    }
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const length = event.shiftKey ? 20 : 1;
    const point = this.point ?? { x: 0.5, y: 0.5 };
    const moved = (value, delta, size) =>
      Math.min(Math.max(value + (delta * length) / size, 0), 0.999999);
    this.point = {
      x: moved(point.x, step[0], this.canvas.width), y: moved(point.y, step[1], this.canvas.height),
    };
    this.draw();
    this.read(true);
  }

  // What lies under the pointer: pixel of the mask, id, confidence (0 to 1 or null), stamp.
  reading() {
    if (!this.point || !this.ids) return null;
    const at = ({ width, height, data }) =>
      data[Math.floor(this.point.y * height) * width + Math.floor(this.point.x * width)];
    const [height, width] = this.header.sizes.ids;
    const [seconds, nanoseconds] = this.header.stamp;
    return {
      x: Math.floor(this.point.x * width),
      y: Math.floor(this.point.y * height),
      id: at(this.ids),
      confidence: this.confidence ? at(this.confidence) / 255 : null,
      truth: this.truth ? at(this.truth) : null,
      name: this.header.name ?? null,
      stamp: `${seconds}.${String(nanoseconds).padStart(9, '0')}`,
    };
  }

  read(hasMoved = false) {
    this.handlers.onReading(this.reading(), hasMoved);
  }

  copy() {
    const reading = this.reading();
    if (reading) this.handlers.onCopy(reading);
  }
}
