// Everything that people or models wrote goes into text nodes.
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, '');
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

export function button(text, key, action, attributes = {}) {
  const shown = key ? [text + ' ', el('kbd', { 'aria-hidden': 'true' }, key)] : [text];
  return el('button', { type: 'button', 'aria-keyshortcuts': key, ...attributes, onclick: action }, ...shown);
}

let timer;
export function say(text) {
  const status = document.getElementById('status');
  status.textContent = text;
  clearTimeout(timer);
  timer = setTimeout(() => { status.textContent = ''; }, 8000);
}

export const session = { csrf: '', name: null, role: '', talk: false, guidelines: '' };

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, credentials: 'same-origin' });
  } catch {
    throw new Refused(0, 'The console does not answer. Nothing is lost; try again.');
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, body.error?.message ?? 'HTTP ' + response.status);
  return body;
}

export const get = (path) => call(path, {});
export const post = (path, body) => call(path, {
  method: 'POST',
  headers: { 'Content-Type': 'application/json', 'X-Millrace-Csrf': session.csrf },
  body: JSON.stringify(body),
});
