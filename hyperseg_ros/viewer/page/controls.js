// Copyright 2026 The hyperseg_ros authors
// SPDX-License-Identifier: Apache-2.0
// The node's lifecycle, and its parameters as a form.

function field(parameter) {
  const { kind, value, choices, range } = parameter;
  if (choices.length) {
    const select = document.createElement('select');
    select.append(...choices.map((choice) => new Option(choice, choice, false, choice === value)));
    return select;
  }
  const input = document.createElement('input');
  if (kind === 'bool') {
    input.type = 'checkbox';
    input.checked = value;
  } else if (kind === 'float' || kind === 'int') {
    input.type = 'number';
    input.step = kind === 'int' ? '1' : 'any';
    if (range) [input.min, input.max] = range;
    input.value = value;
  } else {
    input.type = 'text';
    input.value = Array.isArray(value) ? value.join(', ') : value;
    if (Array.isArray(value)) input.placeholder = 'a, b, c';
  }
  return input;
}

// An emptied field is no 0, which may mean something else altogether.
function number(text) {
  const value = Number(text);
  if (!text.trim() || !Number.isFinite(value)) throw new Error('A number is expected.');
  return value;
}

function valueOf(input, kind) {
  if (kind === 'bool') return input.checked;
  if (kind === 'float' || kind === 'int') return number(input.value);
  if (!kind.startsWith('list')) return input.value;
  const words = input.value.split(',').map((word) => word.trim()).filter(Boolean);
  return kind === 'list[int]' ? words.map(number) : words;
}

export class Controls {
  constructor(elements, connection) {
    Object.assign(this, elements);
    this.connection = connection;
    this.node = '';
    this.lastTransitions = '';
    this.form.addEventListener('submit', (event) => event.preventDefault());
    this.reread.addEventListener('click', () => this.readParameters());
  }

  update(segmenter) {
    const node = segmenter?.name ?? '';
    const hasMoved = node !== this.node;
    this.node = node;
    const lifecycle = segmenter?.lifecycle ?? '';
    this.badge.textContent = lifecycle || 'no state';
    this.badge.className = `badge ${lifecycle === 'active' ? 'good' : 'bad'}`;
    const transitions = JSON.stringify([node, segmenter?.transitions ?? []]);
    if (transitions !== this.lastTransitions) {
      this.lastTransitions = transitions;
      this.transitions.replaceChildren(
        ...(segmenter?.transitions ?? []).map((name) => this.button(name)),
      );
    }
    if (hasMoved) this.readParameters();
  }

  button(transition) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = transition;
    button.addEventListener('click', async () => {
      if (transition === 'shutdown' && !confirm(`Shut ${this.node} down? It cannot be undone.`)) {
        return;
      }
      this.error.textContent = '';
      button.disabled = true;
      try {
        await this.connection.ask({ type: 'transition', node: this.node, transition });
      } catch (error) {
        this.error.textContent = error.message;
      } finally {
        button.disabled = false;
      }
    });
    return button;
  }

  async readParameters() {
    const { node } = this;
    this.form.replaceChildren();
    this.fixed.replaceChildren();
    if (!node) return;
    try {
      const { parameters } = await this.connection.ask({ type: 'parameters', node });
      if (node !== this.node) return;
      this.form.replaceChildren(
        ...parameters.filter((item) => item.is_live).map((item) => this.row(item)),
      );
      this.fixed.replaceChildren(
        ...parameters.filter((item) => !item.is_live).flatMap(({ name, value, description }) => {
          const term = document.createElement('dt');
          term.textContent = name;
          term.title = description;
          const text = document.createElement('dd');
          text.textContent = Array.isArray(value) ? value.join(', ') || '(empty)' : String(value);
          return [term, text];
        }),
      );
    } catch (error) {
      const told = document.createElement('p');
      told.className = 'error';
      told.textContent = error.message;
      this.form.replaceChildren(told);
    }
  }

  row(parameter) {
    const { name, kind, description } = parameter;
    const row = document.createElement('div');
    row.className = 'parameter';
    const label = document.createElement('label');
    const input = field(parameter);
    input.name = name;
    label.append(name, input);
    const text = document.createElement('small');
    text.id = `about-${name}`;
    text.textContent = description;
    input.setAttribute('aria-describedby', text.id);
    const told = document.createElement('p');
    told.setAttribute('role', 'status');
    input.addEventListener('change', async () => {
      told.textContent = '';
      try {
        const value = valueOf(input, kind);
        await this.connection.ask({ type: 'set', node: this.node, name, value });
        told.className = 'done';
        told.textContent = 'changed';
      } catch (error) {
        told.className = 'error';
        told.textContent = error.message;
      }
    });
    row.append(label, text, told);
    return row;
  }
}
