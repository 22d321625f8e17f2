// Copyright 2026 The hyperseg_ros authors
// SPDX-License-Identifier: Apache-2.0
// The WebSocket: messages in and out, acknowledged when worked on; comes back when it is lost.

const RETRY_MS = [300, 700, 1500, 3000];

function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const parts = {};
  let begin = 4 + length;
  for (const [name, size] of Object.entries(header.lengths)) {
    const end = begin + size;
    const type = name === 'picture' ? 'image/jpeg' : 'image/png';
    if (end > begin) parts[name] = new Blob([new Uint8Array(buffer, begin, end - begin)], { type });
    begin = end;
  }
  return { header, parts };
}

export class Connection {
  // handlers: onOpen(), onClose(reason), onState(state), onFrame(header, parts),
  // onGround(header, parts)
  constructor(token, handlers) {
    this.token = token;
    this.handlers = handlers;
    this.waiting = new Map();
    this.lastRequest = 0;
    this.numFailures = 0;
    this.open();
  }

  open() {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const socket = new WebSocket(`${scheme}://${location.host}/ws`);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      this.socket = socket;
      this.say({ type: 'hello', token: this.token });
      this.handlers.onOpen();
    };
    // One after the other: frames are decoded asynchronously.
    let last = Promise.resolve();
    socket.onmessage = ({ data }) => {
      last = last.then(() => this.take(socket, data)).catch((error) => console.error(error));
    };
    socket.onclose = ({ reason }) => {
      this.socket = null;
      for (const { reject } of this.waiting.values()) reject(new Error('The connection is lost.'));
      this.waiting.clear();
      this.handlers.onClose(reason);
      const pause = RETRY_MS[Math.min(this.numFailures, RETRY_MS.length - 1)];
      this.numFailures += 1;
      setTimeout(() => this.open(), pause);
    };
  }

  async take(socket, data) {
    const { header, parts } = typeof data === 'string'
      ? { header: JSON.parse(data), parts: {} } : unpack(data);
    this.numFailures = 0;
    try {
      if (header.type === 'frame') await this.handlers.onFrame(header, parts);
      else if (header.type === 'ground') await this.handlers.onGround(header, parts);
      else if (header.type === 'state') this.handlers.onState(header);
      else this.settle(header);
    } finally {
      if (socket.readyState === WebSocket.OPEN) {
        socket.send(JSON.stringify({ type: 'acknowledge', number: header.number }));
      }
    }
  }

  settle(answer) {
    const asked = this.waiting.get(answer.request);
    this.waiting.delete(answer.request);
    if (!asked) return;
    if (answer.error) asked.reject(new Error(answer.error));
    else asked.resolve(answer);
  }

  say(message) {
    if (this.socket) this.socket.send(JSON.stringify(message));
  }

  ask(message) {
    if (!this.socket) return Promise.reject(new Error('There is no connection.'));
    this.lastRequest += 1;
    const request = this.lastRequest;
    return new Promise((resolve, reject) => {
      this.waiting.set(request, { resolve, reject });
      this.say({ ...message, request });
    });
  }
}
