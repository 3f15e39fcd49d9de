import { button, el, get, say, session } from './dom.js';

const most = 24;

export function open(main) {
  const series = new Map();
  const charts = new Map();
  let after = 0;
  let running = true;
  let plot = null;
  const filter = el('input', { id: 'filter', placeholder: 'such as kl or reward', oninput: () => draw() });
  const grid = el('div', { class: 'charts' });
  const numbers = el('p', {}, 'Loading…');
  const alerts = el('ul', { class: 'bad' });
  const versions = el('tbody');
  const lag = el('tbody');
  const letters = el('tbody');
  const annotators = el('tbody');
  const reasons = el('p', { class: 'soft' });
  const record = el('pre', { class: 'text panel', hidden: true, tabindex: '0', 'aria-label': 'Record of the dead letter' });
  const search = el('input', { id: 'search', placeholder: 'topic, job, reason or message' });

  function table(title, heads, body) {
    return el('section', { class: 'panel', 'aria-label': title }, el('h2', {}, title),
      el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': title + ', table' },
        el('table', {}, el('thead', {}, el('tr', {}, ...heads.map((head) => el('th', { scope: 'col' }, head)))), body)));
  }

  main.replaceChildren(
    el('h1', {}, 'Watch'),
    el('section', { class: 'panel', 'aria-label': 'Now' }, numbers, alerts),
    el('div', { class: 'row' }, el('label', { for: 'filter' }, 'Metrics with'), filter),
    grid,
    table('Versions', ['version', 'time', 'rollouts', 'verdict', 'by', 'reasons'], versions),
    table('Lag', ['consumer group', 'topic', 'records'], lag),
    table('Annotators', ['name', 'judged', 'median seconds', 'gold tasks right', 'gold tasks both bad or skipped'], annotators),
    el('section', { class: 'panel', 'aria-label': 'Dead letters' }, el('h2', {}, 'Dead letters'),
      el('form', { class: 'row', onsubmit: (event) => { event.preventDefault(); find(); } },
        el('label', { for: 'search' }, 'Search'), search, el('button', {}, 'Search')),
      reasons, el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Dead letters, table' },
        el('table', {}, el('thead', {}, el('tr', {}, ...['time', 'topic', 'job', 'reason', 'message', ''].map(
          (head) => el('th', { scope: 'col' }, head)))), letters)), record));

  const row = (...cells) => el('tr', {}, ...cells.map((cell) => el('td', {}, cell ?? '')));

  async function find() {
    try {
      const found = await get('/api/watch/dead-letters?search=' + encodeURIComponent(search.value));
      const counts = Object.entries(found.reasons).map(([reason, count]) => `${reason} ${count}`);
      reasons.textContent = [`${found.total} in all`, ...counts].join(', ');
      letters.replaceChildren(...found.letters.map((each) => row(
        each.time, `${each.topic}/${each.partition}/${each.offset}`, each.job, each.reason, each.message,
        session.role === 'operator' ? button('Show me the record', null, () => display(each.place)) : '')));
    } catch (e) {
      say(e.message);
    }
  }

  async function display(place) {
    try {
      const found = await get('/api/watch/record?place=' + encodeURIComponent(place));
      record.hidden = false;
      record.textContent = `key: ${found.key}\n${found.size} bytes, ${found.decoded ? 'decoded' : 'as text'}\n\n${found.value}`;
      record.focus();
    } catch (e) {
      say(e.message);
    }
  }

  function draw() {
    if (!plot) return;
    const wanted = [...series.keys()].filter((name) => name.toLowerCase().includes(filter.value.toLowerCase())).sort().slice(0, most);
    for (const [name, chart] of charts) {
      if (!wanted.includes(name)) {
        chart.plot.destroy();
        chart.box.remove();
        charts.delete(name);
      }
    }
    const colour = getComputedStyle(document.documentElement).getPropertyValue('--accent').trim();
    const text = getComputedStyle(document.documentElement).getPropertyValue('--text').trim();
    for (const name of wanted) {
      const points = series.get(name);
      const newest = points[1][points[1].length - 1];
      let chart = charts.get(name);
      if (!chart) {
        const box = el('div', { class: 'chart', role: 'img' });
        grid.append(box);
        const axis = { stroke: text, grid: { stroke: '#8884' } };
        chart = {
          box,
          plot: new plot({
            title: name, width: Math.max(260, box.clientWidth - 16), height: 180, legend: { show: false },
            scales: { x: { time: false } }, axes: [axis, { ...axis, size: 60 }],
            series: [{}, { stroke: colour, width: 2, points: { show: points[0].length < 30 } }],
          }, points, box),
        };
        charts.set(name, chart);
      } else {
        chart.plot.setData(points);
      }
      chart.box.setAttribute('aria-label', `${name}: ${newest} at step ${points[0][points[0].length - 1]}`);
    }
  }

  async function metrics() {
    let found;
    do {
      found = await get('/api/watch/metrics?after=' + after);
      for (const step of found.steps) {
        for (const [metric, value] of Object.entries(step.metrics)) {
          const name = `${step.job}: ${metric}`;
          const points = series.get(name) ?? [[], []];
          const known = points[0].length;
          if (known && points[0][known - 1] >= step.step) {
            // A job that restarted repeats steps.
            const at = points[0].findIndex((each) => each >= step.step);
            points[0].splice(at);
            points[1].splice(at);
          }
          points[0].push(step.step);
          points[1].push(value);
          series.set(name, points);
        }
      }
      after = found.last;
    } while (found.more && running);
    draw();
  }

  async function state() {
    const now = await get('/api/watch/state');
    const people = await get('/api/annotate/overview');
    annotators.replaceChildren(...people.annotators.map((each) => row(
      each.annotator, String(each.judged), String(each.median_seconds), `${each.gold_right} of ${each.gold_compared}`, String(each.gold_other))));
    const coefficients = [['α', people.alpha], ['AC2', people.ac2]]
      .filter(([, value]) => value != null).map(([name, value]) => `, ${name} ${value.toFixed(2)}`).join('');
    const agreement = people.compared ? `; annotators agree on ${Math.round(100 * people.agreed / people.compared)} % of ${people.compared} comparisons${coefficients}` : '';
    numbers.textContent = `Last minute: ${now.last_minute.judgments} judgments, ${now.last_minute.rollouts} rollouts. `
      + `${now.dead_letters} dead letters; ${people.pairs} pairs of responses${agreement}.`;
    alerts.replaceChildren(...now.alerts.map((text) => el('li', {}, text)));
    versions.replaceChildren(...now.versions.map((each) => row(
      String(each.version), each.time, each.rollouts?.toString(), each.verdict, each.by, (each.reasons ?? []).join('; '))));
    lag.replaceChildren(...now.lag.map((each) => row(each.group, each.topic, String(each.records))));
  }

  async function loop() {
    while (running) {
      try {
        await metrics();
        await state();
      } catch (e) {
        say(e.message);
        if (e.status === 401) location.reload();
      }
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }

  const style = el('link', { rel: 'stylesheet', href: '/uplot.css' });
  document.head.append(style);
  import('./uplot.js').then((module) => { plot = module.default; draw(); });
  loop();
  find();
  return () => {
    running = false;
    charts.forEach((chart) => chart.plot.destroy());
    style.remove();
  };
}
