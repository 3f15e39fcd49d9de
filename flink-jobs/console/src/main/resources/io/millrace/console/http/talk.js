import { button, el, get, post, say } from './dom.js';

export function open(main) {
  let messages = [];
  let pending = null;
  let busy = false;
  const model = el('select', { id: 'model' });
  const compare = el('input', { type: 'checkbox', id: 'compare' });
  const log = el('div', { role: 'log', 'aria-label': 'Dialogue' });
  const input = el('textarea', { id: 'message', maxlength: '20000' });
  const send = el('button', { class: 'main' }, 'Send');
  const form = el('form', { onsubmit: (event) => { event.preventDefault(); ask(); } },
    el('label', { for: 'message' }, 'Message'), input, el('div', { class: 'row' }, send,
      button('New dialogue', null, () => { messages = []; pending = null; log.replaceChildren(); })));
  main.replaceChildren(el('h1', {}, 'Talk'),
    el('div', { class: 'row' }, el('label', { for: 'model' }, 'Model'), model,
      el('label', { class: 'row' }, compare, ' Two responses')),
    log, form);

  const turn = (title, text) => el('section', { class: 'panel' }, el('h2', {}, title), el('div', { class: 'text' }, text));

  async function ask() {
    if (busy || !input.value.trim()) return;
    if (pending) {
      say('Choose one of both responses first.');
      return;
    }
    busy = true;
    send.disabled = true;
    const text = input.value;
    try {
      const reply = await post('/api/talk/chat', {
        model: model.value, messages: [...messages, { role: 'user', content: text }], compare: compare.checked,
      });
      input.value = '';
      messages.push({ role: 'user', content: text });
      log.append(turn('You', text));
      const texts = reply.choices.map((choice) => choice.message.content);
      if (texts.length > 1) choose(reply, texts);
      else {
        messages.push({ role: 'assistant', content: texts[0] });
        log.append(single(reply, texts[0]));
      }
    } catch (e) {
      say(e.message);
    } finally {
      busy = false;
      send.disabled = false;
      input.focus();
    }
  }

  /** Sends an opinion of a response; its id comes from the response, so that a second click stores nothing more. */
  async function tell(response, feedback, box) {
    const buttons = (box.closest('.pair') ?? box).querySelectorAll('button');
    buttons.forEach(each => { each.disabled = true; });
    try {
      await post('/api/talk/feedback', { feedback_id: 'talk-' + response.replaceAll('/', '-'), ...feedback });
      box.replaceChildren('Stored.');
      return true;
    } catch (e) {
      buttons.forEach(each => { each.disabled = false; });
      say(e.message);
      return false;
    }
  }

  function single(reply, text) {
    const row = el('div', { class: 'row' });
    row.append(button('Good', null, () => tell(reply.choices[0].id, { completion: reply.choices[0].id, label: 'up' }, row)),
      button('Bad', null, () => tell(reply.choices[0].id, { completion: reply.choices[0].id, label: 'down' }, row)));
    const box = turn('Model', text);
    box.append(row);
    return box;
  }

  function choose(reply, texts) {
    pending = reply;
    const pair = el('div', { class: 'pair' });
    texts.slice(0, 2).forEach((text, i) => {
      const box = turn(i === 0 ? 'Left' : 'Right', text);
      const row = el('div', { class: 'row' });
      for (const [rating, name] of [['significantly_better', 'Significantly better'], ['better', 'Better'],
        ['slightly_better', 'Slightly better'], ['negligibly_better_or_unsure', 'Unsure']]) {
        row.append(button(name, null, async () => {
          const stored = await tell(reply.choices[0].id, {
            response_a: reply.choices[0].id, response_b: reply.choices[1].id, preferred: i === 0 ? 'a' : 'b', rating,
          }, row);
          if (stored) {
            pending = null;
            messages.push({ role: 'assistant', content: text });
            pair.replaceWith(turn('Model', text));
          }
        }));
      }
      row.append(button('Continue with it', null, () => {
        pending = null;
        messages.push({ role: 'assistant', content: text });
        pair.replaceWith(turn('Model', text));
      }));
      box.append(row);
      pair.append(box);
    });
    log.append(pair);
  }

  get('/api/talk/models').then((found) => {
    model.replaceChildren(...found.data.map((each) => el('option', { value: each.id }, each.id)));
  }).catch((e) => say(e.message));
  input.focus();
}
