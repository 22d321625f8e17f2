// Copyright 2026 The hyperseg_ros authors
// SPDX-License-Identifier: Apache-2.0
// Puts the page together: one connection, one camera that is looked at.

import { Birdseye } from './birdseye.js';
import { Facts } from './charts.js';
import { ClassList } from './classes.js';
import { Connection } from './connection.js';
import { Controls } from './controls.js';
import { Picture } from './picture.js';
import { Timeline } from './timeline.js';

const get = (id) => document.getElementById(id);
const select = get('stream');
let state = { segmenters: [], cause: '' };
let copied = '';

const picture = new Picture(get('canvas'), {
  onReading: showReading, onWantsConfidence: look, onCopy: copy,
});
const classes = new ClassList(get('class-list'), get('all'), get('none'), picture);
const facts = new Facts({
  charts: get('charts'), engine: get('engine'), counts: get('counts'), more: get('more'),
});
const birdseye = new Birdseye({
  box: get('ground'), canvas: get('birdseye'), select: get('ground-node'), told: get('ground-told'),
}, () => {
  picture.showGround(null);
  look();
});
const timeline = new Timeline({
  box: get('timeline'), play: get('play'), position: get('position'), place: get('place'),
  problems: get('problems'),
}, (index) => connection.say({ type: 'seek', index }));
const connection = new Connection(location.hash.slice(1), {
  onOpen: () => {
    badge('connected', 'good');
    look();
    controls.node = ''; // its parameters are read anew
  },
  onClose: (reason) => {
    badge(reason || 'no connection; trying again', 'bad');
  },
  onState: (found) => {
    state = found;
    update();
  },
  onFrame: async (header, parts) => {
    if (header.stream !== select.value) return;
    await picture.show(header, parts);
    if (picture.ids) classes.see(picture.ids.data);
    if (parts.truth) get('truth-modes').hidden = false; // others of the frames may have none
    timeline.shown(header);
    const problems = Object.values(header.problems);
    if (problems.length) get('reading').textContent = problems.join(' ');
  },
  onGround: async (header, parts) => {
    if (await birdseye.show(header, parts)) picture.showGround(header);
  },
});
const controls = new Controls({
  badge: get('lifecycle'), transitions: get('transitions'), error: get('transition-error'),
  form: get('parameters'), fixed: get('fixed'), reread: get('reread'),
}, connection);

function badge(text, kind) {
  get('connection').textContent = text;
  get('connection').className = `badge ${kind}`;
}

// Say what is looked at; a page that nobody sees looks at nothing.
function look() {
  const stream = document.hidden ? '' : select.value;
  const confidence = Boolean(picture.wantsConfidence);
  const ground = document.hidden ? '' : birdseye.name;
  connection?.say({ type: 'look', stream, confidence, ground });
}

function update() {
  updateStreams();
  const id = select.value;
  const segmenter = state.segmenters.find(({ streams }) => streams.some((item) => item.id === id))
    ?? state.segmenters.find(({ name }) => name === id);
  const stream = segmenter?.streams.find((item) => item.id === id);
  classes.update(stream?.classes ?? []);
  facts.update(stream, segmenter?.engine);
  controls.update(segmenter);
  birdseye.update(state.grounds ?? [], id);
  get('ground-mode').hidden = !birdseye.name;
  timeline.update(state.timeline);
  document.body.classList.toggle('files', Boolean(state.timeline));
  const cause = state.cause || stream?.cause || segmenter?.cause || '';
  if (get('cause').textContent !== cause) get('cause').textContent = cause;
  get('cause').hidden = !cause;
}

// A segmenter that is not configured has no cameras, but can be chosen, to configure it.
function updateStreams() {
  const wanted = state.segmenters.flatMap(({ name, streams }) => (streams.length
    ? streams.map((item) => [item.id, `${name}: ${item.name} (${item.topic || 'no topic yet'})`])
    : [[name, `${name}: no camera`]]));
  const known = JSON.stringify([...select.options].map(({ value, text }) => [value, text]));
  if (JSON.stringify(wanted) === known) return;
  const before = select.value;
  select.replaceChildren(...wanted.map(([value, text]) => new Option(text, value)));
  if (wanted.some(([value]) => value === before)) select.value = before;
  if (select.value !== before) change();
}

function change() {
  picture.clear();
  facts.clear();
  look();
}

function described({ x, y, id, confidence, stamp, truth, name }) {
  const sure = confidence === null ? '' : `, confidence ${(100 * confidence).toFixed(0)} %`;
  const unknown = get('truth-modes').hidden ? '' : ', no truth';
  const right = truth === null ? unknown : `, truth ${classes.nameOf(truth)}`;
  const when = name === null ? `stamp ${stamp}` : name;
  return `x ${x}, y ${y}: ${classes.nameOf(id)}${sure}${right}, ${when}`;
}

// Said aloud when the keyboard moves, not with every frame.
function showReading(reading, hasMoved = false) {
  if (!reading) copied = '';
  if (reading && hasMoved) get('said').textContent = described(reading);
  const nothing = picture.point ? 'There is no mask to read.'
    : 'Point at the picture, or focus it and use the arrow keys.';
  const text = reading ? described(reading) + (copied ? ` - copied: ${copied}` : '') : nothing;
  if (get('reading').textContent !== text) get('reading').textContent = text;
}

async function copy(reading) {
  const text = described(reading);
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyOld(text); // browsers have no clipboard for pages of another machine without TLS
  }
  copied = `x ${reading.x}, y ${reading.y}`;
  get('said').textContent = `copied: ${text}`;
  showReading(reading);
}

function copyOld(text) {
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
  get('canvas').focus();
}

select.addEventListener('change', () => {
  change();
  update();
});
document.addEventListener('visibilitychange', look);
for (const radio of document.querySelectorAll('input[name=mode]')) {
  radio.addEventListener('change', () => {
    picture.mode = radio.value;
    picture.repaint();
  });
}
get('draw-ground').addEventListener('change', ({ target }) => {
  picture.showsGround = target.checked;
  picture.draw();
});
get('opacity').addEventListener('input', ({ target }) => {
  picture.opacity = Number(target.value);
  picture.draw();
});
