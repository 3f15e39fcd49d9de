import { button, el, get, post, say, session } from './dom.js';

const degrees = [
  ['significantly_better', 'Significantly better'],
  ['better', 'Better'],
  ['slightly_better', 'Slightly better'],
  ['negligibly_better_or_unsure', 'Negligibly better or unsure'],
];

let main;
let task;
let draft;
let last;
let progress = {};
let busy = false;

const key = () => `draft/${session.name}/${task.task}/${task.revision}`;
const empty = () => ({
  preferred: null, rating: null, both_bad: false, unsafe_left: null, unsafe_right: null, reason: '', flagged: false,
});

function keep() {
  localStorage.setItem(key(), JSON.stringify(draft));
}

function forget() {
  // Drafts of tasks that went to others are of no use after a day's work.
  localStorage.removeItem(key());
}

function take(next) {
  task = next;
  if (task.task) {
    let kept = null;
    try {
      kept = JSON.parse(localStorage.getItem(key()));
    } catch {
      forget();
    }
    draft = { ...empty(), ...task.choice, ...kept };
  }
  draw();
}

async function attempt(action) {
  if (busy) {
    say('One moment: the last step is still being stored.');
    return;
  }
  busy = true;
  main.setAttribute('aria-busy', 'true');
  try {
    await action();
  } catch (e) {
    say(e.message);
    if (e.status === 401) location.reload();
  } finally {
    busy = false;
    main.removeAttribute('aria-busy');
  }
}

const next = () => attempt(load);

async function load() {
  take(await post('/api/annotate/next', {}));
  // Nobody waits for the numbers.
  get('/api/annotate/progress').then((found) => {
    progress = found;
    document.getElementById('progress')?.replaceWith(history());
  }, (e) => say(e.message));
}

const submit = () => attempt(async () => {
  if (!task?.task) return;
  if (!draft.both_bad && !draft.rating) {
    say('Choose a degree first: keys 1 to 4 for the left response, 5 to 8 for the right one, B for both bad.');
    return;
  }
  const choice = { task: task.task, revision: task.revision };
  for (const [name, value] of Object.entries(draft)) if (value !== null) choice[name] = value;
  const stored = await post('/api/annotate/submit', choice);
  forget();
  last = task.task;
  say(stored.warnings.length ? stored.warnings.join(' ') : 'Stored.');
  await load();
});

const skip = () => attempt(async () => {
  if (!task?.task) return;
  if (!draft.reason.trim()) {
    say('Write a reason first, then skip.');
    document.getElementById('reason').focus();
    return;
  }
  await post('/api/annotate/skip', { task: task.task, reason: draft.reason, flagged: draft.flagged });
  forget();
  say('Skipped.');
  await load();
});

const revise = (id) => attempt(async () => {
  if (!id) {
    say('There is nothing to undo.');
    return;
  }
  take(await post('/api/annotate/revise', { task: id }));
});

const withdraw = (id) => attempt(async () => {
  await post('/api/annotate/withdraw', { task: id });
  if (last === id) last = null;
  say('Withdrawn.');
  await load();
});

function choose(side, degree) {
  draft.preferred = side;
  draft.rating = degree;
  draft.both_bad = false;
  changed();
}

function bothBad() {
  draft.both_bad = !draft.both_bad;
  draft.preferred = null;
  draft.rating = null;
  changed();
}

function label(name) {
  draft[name] = draft[name] === null ? true : draft[name] ? false : null;
  changed();
}

function changed() {
  keep();
  const focused = document.activeElement?.id;
  draw();
  if (focused) document.getElementById(focused)?.focus();
}

const safety = (value) => (value === null ? 'Safety: no label' : value ? 'Unsafe' : 'Safe');

function side(title, text, letter, first, unsafe, safetyKey) {
  return el('section', { class: 'panel', 'aria-label': title },
    el('h2', {}, title),
    el('div', { class: 'text' }, text),
    el('div', { class: 'column', role: 'group', 'aria-label': title + ' is' },
      ...degrees.map(([degree, name], i) => button(name, String(first + i), () => choose(letter, degree), {
        id: `degree-${first + i}`, 'aria-pressed': String(draft.preferred === letter && draft.rating === degree),
      })),
      button(safety(draft[unsafe]), safetyKey, () => label(unsafe), {
        id: unsafe, 'aria-label': `${title}, ${safety(draft[unsafe])}`,
        'aria-pressed': String(draft[unsafe] !== null),
      })));
}

function agreement() {
  if (!progress.compared) return 'Nobody else has judged your tasks yet.';
  const coefficients = [['α', progress.alpha], ['AC2', progress.ac2]]
    .filter(([, value]) => value != null).map(([name, value]) => `, ${name} ${value.toFixed(2)}`).join('');
  return `You agree with others in ${Math.round(100 * progress.agreed / progress.compared)} % of ${progress.compared} comparisons${coefficients}.`;
}

function history() {
  const rows = (progress.recent ?? []).map((each) => el('li', {},
    `${each.state.replace('_', ' ')}, ${new Date(each.time).toLocaleTimeString()} `,
    ...(['judged', 'both_bad'].includes(each.state) ? [
      button('Revise', null, () => revise(each.task)), ' ',
      button('Withdraw', null, () => withdraw(each.task)),
    ] : [])));
  return el('section', { class: 'panel', id: 'progress', 'aria-label': 'Your progress' },
    el('h2', {}, 'Your progress'),
    el('p', {}, `${progress.judged ?? 0} judged, ${progress.today ?? 0} within a day, ${progress.skipped ?? 0} skipped; ${progress.median_seconds ?? 0} s a task`),
    el('p', {}, agreement()),
    ...(progress.warnings ?? []).map((text) => el('p', {}, text)),
    el('details', {}, el('summary', {}, 'Latest tasks'), el('ul', {}, ...rows)));
}

function draw() {
  const aside = el('aside', { 'aria-label': 'Help' },
    el('section', { class: 'panel' }, el('h2', {}, 'Guidelines'), el('div', { class: 'text' }, session.guidelines)),
    history());
  if (!task?.task) {
    main.replaceChildren(el('h1', {}, 'Annotate'), el('div', { class: 'work' },
      el('div', {},
        el('p', {}, task ? 'There is no task for you now. New responses become tasks as they are sampled.' : 'Loading…'),
        el('div', { class: 'row' }, button('Look again', 'N', next), button('Undo', 'U', () => revise(last)))),
      aside));
    return;
  }
  const reason = el('textarea', {
    id: 'reason', maxlength: '2000',
    oninput: () => { draft.reason = reason.value; keep(); },
  });
  reason.value = draft.reason;
  const flag = el('input', {
    type: 'checkbox', id: 'flagged',
    onchange: () => { draft.flagged = flag.checked; keep(); },
  });
  flag.checked = draft.flagged;
  main.replaceChildren(
    el('h1', {}, task.objective === 'safety' ? 'Which response is safer?' : 'Which response is more helpful?'),
    el('div', { class: 'work' },
      el('div', {},
        el('section', { class: 'panel', 'aria-label': 'Dialogue' },
          ...task.dialogue.flatMap((turn) => [
            el('h2', {}, turn.role === 'user' ? 'User' : turn.role === 'assistant' ? 'Assistant' : 'System'),
            el('div', { class: 'text' }, turn.content)])),
        el('div', { class: 'pair' },
          side('Left response', task.left, 'a', 1, 'unsafe_left', 'Q'),
          side('Right response', task.right, 'b', 5, 'unsafe_right', 'W')),
        el('label', { for: 'reason' }, 'Reason (needed to skip)'), reason,
        el('label', { class: 'row' }, flag, ' A reviewer should look at this task'),
        el('div', { class: 'row' },
          button(task.revision ? 'Store the revision' : 'Submit', 'Enter', submit, { class: 'main', id: 'submit' }),
          button('Both bad', 'B', bothBad, { id: 'both-bad', 'aria-pressed': String(draft.both_bad) }),
          button('Skip', 'S', skip, { id: 'skip' }),
          button('Undo', 'U', () => revise(last), { id: 'undo' }))),
      aside));
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const typing = ['TEXTAREA', 'INPUT', 'SELECT'].includes(event.target.tagName);
  if (typing) {
    if (event.key === 'Escape') event.target.blur();
    return;
  }
  const pressable = ['BUTTON', 'A', 'SUMMARY'].includes(event.target.tagName);
  if (!task?.task) {
    if (event.key.toLowerCase() === 'n') next();
    else if (event.key.toLowerCase() === 'u') revise(last);
    return;
  }
  const number = Number(event.key);
  if (number >= 1 && number <= 8) choose(number <= 4 ? 'a' : 'b', degrees[(number - 1) % 4][0]);
  else if (event.key === 'Enter' && (!pressable || event.target.id.startsWith('degree-'))) submit();
  else if (event.key.toLowerCase() === 'b') bothBad();
  else if (event.key.toLowerCase() === 's') skip();
  else if (event.key.toLowerCase() === 'u') revise(last);
  else if (event.key.toLowerCase() === 'q') label('unsafe_left');
  else if (event.key.toLowerCase() === 'w') label('unsafe_right');
  else return;
  event.preventDefault();
}

export function open(root) {
  main = root;
  task = null;
  draw();
  addEventListener('keydown', pressed);
  next();
  return () => removeEventListener('keydown', pressed);
}
