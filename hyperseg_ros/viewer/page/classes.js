// Copyright 2026 The hyperseg_ros authors
// SPDX-License-Identifier: Apache-2.0
// The list of classes, each switched on and off; nothing of it reaches the robot.

export class ClassList {
  constructor(list, all, none, picture) {
    this.list = list;
    this.picture = picture;
    this.known = '';
    this.names = new Map();
    this.listed = new Set();
    all.addEventListener('click', () => this.setAll(true));
    none.addEventListener('click', () => this.setAll(false));
  }

  update(classes) {
    const text = JSON.stringify(classes);
    if (text === this.known) return;
    this.known = text;
    this.names = new Map(classes.map(({ id, name }) => [id, name]));
    this.listed = new Set(this.names.keys());
    this.picture.colours = new Map(
      classes.filter(({ colour }) => colour).map(({ id, colour }) => [id, colour]),
    );
    this.picture.hidden.clear();
    this.list.replaceChildren(...classes.map((item) => this.row(item)));
    this.picture.repaint();
  }

  // List ids that nobody named when they appear.
  see(ids) {
    for (const id of ids) {
      if (id !== 255 && !this.listed.has(id)) {
        this.listed.add(id);
        this.list.append(this.row({ id, name: this.nameOf(id) }));
      }
    }
  }

  row({ id, name }) {
    const label = document.createElement('label');
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.checked = true;
    box.dataset.id = id;
    box.addEventListener('change', () => this.set(id, box.checked));
    const swatch = document.createElement('span');
    swatch.className = 'swatch';
    swatch.style.background = `rgb(${this.picture.colourOf(id).join(' ')})`;
    label.append(box, swatch, name);
    return label;
  }

  set(id, isShown) {
    if (isShown) this.picture.hidden.delete(id);
    else this.picture.hidden.add(id);
    this.picture.repaint();
  }

  setAll(isShown) {
    for (const box of this.list.querySelectorAll('input')) {
      box.checked = isShown;
      this.set(Number(box.dataset.id), isShown);
    }
  }

  nameOf(id) {
    return id === 255 ? 'unlabelled' : this.names.get(id) ?? `class ${id}`;
  }
}
