import { el, get, post, say, session } from './dom.js';

const main = document.getElementById('main');
const pages = [
  { id: 'annotate', title: 'Annotate', roles: ['annotator', 'reviewer', 'operator'] },
  { id: 'watch', title: 'Watch', roles: ['reviewer', 'operator'] },
  { id: 'talk', title: 'Talk', roles: ['annotator', 'reviewer', 'operator'] },
];
let leave = () => {};
let shown = 0;

function login() {
  const token = el('input', { type: 'password', id: 'token', autocomplete: 'current-password', required: true });
  const form = el('form', {
    class: 'panel',
    onsubmit: async (event) => {
      event.preventDefault();
      try {
        Object.assign(session, await post('/api/login', { token: token.value }));
        start();
      } catch (e) {
        say(e.message);
      }
    },
  }, el('label', { for: 'token' }, 'Your token'), el('div', { class: 'row' }, token, el('button', { class: 'main' }, 'Sign in')));
  main.replaceChildren(el('h1', {}, 'Sign in'), form);
  document.getElementById('nav').replaceChildren();
  document.getElementById('who').replaceChildren();
  token.focus();
}

export async function show() {
  if (!session.name) return login();
  const open = pages.filter((page) => page.roles.includes(session.role) && (page.id !== 'talk' || session.talk));
  const page = open.find((each) => '#' + each.id === location.hash) ?? open[0];
  document.getElementById('nav').replaceChildren(...open.map((each) => el('a', {
    href: '#' + each.id, 'aria-current': each === page ? 'page' : null,
  }, each.title)));
  document.title = page.title + ' – Millrace';
  leave();
  leave = () => {};
  const turn = ++shown;
  const { open: enter } = await import(`./${page.id}.js`);
  if (turn === shown) leave = enter(main, login) ?? (() => {});
}

function start() {
  document.getElementById('who').replaceChildren(
    el('span', {}, session.name + ' '),
    el('button', {
      type: 'button',
      onclick: async () => {
        try {
          await post('/api/logout', {});
        } catch (e) {
          say(e.message);
        }
        leave();
        leave = () => {};
        session.name = null;
        load();
      },
    }, 'Sign out'));
  show();
}

async function load() {
  try {
    Object.assign(session, await get('/api/me'));
    if (session.name) start();
    else login();
  } catch (e) {
    main.replaceChildren(el('h1', {}, 'Millrace console'), el('p', { class: 'bad' }, e.message));
  }
}

addEventListener('hashchange', show);
load();
