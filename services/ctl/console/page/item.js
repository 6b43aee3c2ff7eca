// An item: how it stands, where its last change has spent its time, what it cost; in `freshet dev` it can be changed.

import { ask, tell } from './api.js'
import { el, redraw, said, write } from './dom.js'
import { moment, money, span, whole } from './format.js'
import { cause, facts } from './pipeline.js'

const again = 2000 // milliseconds between two looks at an item that is under way

export async function itemView({ query, enter, signal, about, pause }) {
  const asked = { of: query.of ?? '', collection: query.collection ?? '', tenant: query.tenant ?? '' }
  const heading = el('h1', { tabindex: -1 }, said(asked.of))
  const [top, form, rest] = [el('div'), el('div'), el('div', { class: 'item' })]
  enter(asked.of, heading, top, form, rest)
  await follow()

  // follow draws the item again and again while a change of it is under way.
  async function follow() {
    while (!signal.aborted && (await draw()).waiting.length) await pause(again)
  }

  async function draw() {
    const item = await ask('item', asked, signal)
    const title = property(item.index, 'name') ?? item.item?.id.join('+') ?? item.subject
    document.title = `${title.slice(0, 60)} · Freshet`
    redraw(heading, title, () => said(title))
    redraw(top, [item.index?.standing, item.causes], () => verdict(item))
    // It stays as it is while somebody types.
    if (!form.firstChild && about.changes && item.item?.collection === about.changes && property(item.index, 'price') !== undefined) form.append(changing(item, follow))
    redraw(rest, { ...item, at: null, causes: null }, () => [...parts(item), ...item.unknown.map((line) => el('p', { class: 'quiet' }, said(line)))])
    return item
  }
}

function verdict({ index, item, causes }) {
  const mark = { searchable: 'well', unfound: 'lost', absent: 'lost' }
  return [
    el('p', { class: 'of' }, index && el('span', { class: `state ${mark[index.standing] ?? ''}` }, standings[index.standing] ?? index.standing),
      item && el('span', { class: 'quiet' }, said(item.collection), ' ', said(item.id.join('+')), item.tenant ? [' of ', said(item.tenant)] : null)),
    el('section', { 'aria-label': 'Verdict', class: 'verdict' }, cause(causes[0]),
      causes.length > 1 && el('details', {}, el('summary', { 'data-key': 'else' }, 'What else is known'), causes.slice(1).map(cause))),
  ]
}

function parts(item) {
  const { index, timeline, cost, waiting, dead_letters: letters, record } = item
  return [
    timeline && waterfall(timeline, item),
    waiting.length > 0 && el('section', { class: 'panel' }, el('h2', {}, 'Where it waits'), el('ul', { class: 'plain' }, waiting.map(place))),
    index && el('div', { class: 'sides' }, contents(index) ?? '', el('div', {}, state(index, item), cost && costs(cost, index))),
    letters.length > 0 && el('section', { class: 'panel' }, el('h2', {}, 'Its dead letters'), el('ul', { class: 'plain' }, letters.map(({ reason, stage, at, text }) =>
      el('li', {}, el('a', { href: `#/letters?${new URLSearchParams({ reason })}`, 'data-key': at }, said(reason)), ` in ${stage} `, el('span', { class: 'quiet' }, moment(at)), el('p', {}, said(text)))))),
    record && recordOf(record),
  ]
}

const standings = {
  searchable: 'searchable', absent: 'not in the index', unfound: 'not found by a search', hidden: 'hidden by `when`',
  deleted: 'deleted', stub: 'waits for its vector or columns', mark: 'only its dead letter is known',
}

const property = (index, name) => index?.properties?.find((each) => each.name === name)?.value

// waterfall draws the hops one below the other, each where it was in time: filled where a stage had it, outlined where it waited.
function waterfall({ hops, start, end, done, unsplit }, { trace_id: trace, trace_link: link }) {
  const from = Date.parse(start)
  const all = hops.reduce((sum, hop) => sum + hop.seconds, 0)
  let before = 0
  const rows = hops.map((hop) => {
    const bar = el('span', { class: `bar ${hop.stage ? 'work' : 'wait'}${hop.open ? ' open' : ''}`, 'aria-hidden': 'true' })
    bar.style.setProperty('--from', all ? before / all : 0)
    bar.style.setProperty('--share', all ? hop.seconds / all : 0)
    before += hop.seconds
    return el('tr', {}, el('th', { scope: 'row' }, said(hop.name), hop.stage && !hop.name.includes(hop.stage) ? el('span', { class: 'quiet' }, ' ', said(hop.stage)) : null),
      el('td', { class: 'lane' }, bar), el('td', { class: 'number' }, span(hop.seconds), hop.open ? ' so far' : ''),
      el('td', { class: 'number quiet' }, `${Math.round(hop.share * 100)} %`))
  })
  const safe = /^https?:\/\//.test(link ?? '') ? link : null
  return el('section', { class: 'panel waterfall', 'aria-label': 'Time line' },
    el('h2', {}, done ? 'In the index ' : 'On its way for ', el('strong', {}, span(all)), done ? ' after its last change' : ''),
    el('p', { class: 'quiet' }, `committed ${moment(from)}${done ? `, written ${moment(Date.parse(end))}` : ''}`,
      safe && [' · ', el('a', { href: safe, rel: 'noopener noreferrer', target: '_blank' }, 'its trace')], !safe && trace && [' · trace ', el('code', {}, said(trace))]),
    el('table', { class: 'hops' }, el('caption', { class: 'hidden' }, 'Where the time went'),
      el('colgroup', {}, ['name', 'lane', 'took', 'share'].map((name) => el('col', { class: name }))),
      el('thead', { class: 'hidden' }, el('tr', {}, ['hop', 'when', 'took', 'share'].map((name) => el('th', { scope: 'col' }, name)))), el('tbody', {}, rows)),
    unsplit && el('p', { class: 'quiet' }, said(unsplit)))
}

function place({ topic, partition, offset, stage, since, ahead, owed }) {
  return el('li', {}, el('strong', {}, `before ${stage}`), owed ? ' let pass; its vector follows' : ahead ? `, ${whole(ahead)} before it` : ', next in line',
    el('span', { class: 'quiet' }, ' ', said(`${topic}/${partition}/${offset}`), ` since ${moment(since)}`))
}

function costs({ tokens, counted, paid, money: amount, currency, why }, index) {
  return el('section', { class: 'panel' }, el('h2', {}, 'Cost'), facts([
    ['tokens', whole(tokens), counted ? '' : 'estimated'],
    ['paid', paid === null || paid === undefined ? 'not known' : paid ? 'yes' : 'no, the vector was known'],
    amount > 0 && ['money', money(amount, currency)],
    index?.truncated && ['text', 'cut to what the model takes'],
  ]), why && el('p', { class: 'quiet' }, said(why)))
}

function state(index, { item }) {
  return el('section', { class: 'panel' }, el('h2', {}, 'In the index'), facts([
    index.class && ['class', said(index.class)],
    index.version && ['version', whole(index.version)],
    index.committed_at && ['committed', moment(index.committed_at)],
    index.updated_at && ['stored', moment(index.updated_at)],
    index.fingerprint && ['text', el('code', { title: index.fingerprint }, index.fingerprint.slice(0, 12))],
    index.vector_of && index.vector_of !== index.fingerprint && ['vector', 'of its older text; the new one follows'],
    index.origin && ['came from', said(`${index.origin.topic}/${index.origin.partition}/${index.origin.offset}`)],
    index.failed && ['failed', said(index.failed.reason), index.failed.text ? 'its text' : `version ${index.failed.version}`],
    item && ['object', el('code', { title: item.uuid }, item.uuid.slice(0, 8))],
  ]))
}

function contents({ properties, text }) {
  if (!properties?.length && !text) return null
  return el('section', { class: 'panel contents' }, el('h2', {}, 'What the index has of it'),
    facts((properties ?? []).map(({ name, value }) => [said(name), said(value)])),
    text && el('blockquote', {}, said(text)))
}

// recordOf shows a record of Kafka as it is.
export function recordOf({ topic, partition, offset, timestamp, key, value, headers, said: words }) {
  return el('section', { class: 'panel record' }, el('h2', {}, 'Record ', said(`${topic}/${partition}/${offset}`)),
    words && el('p', {}, said(words)),
    el('p', { class: 'quiet' }, moment(timestamp)),
    facts([key && ['key', el('code', {}, said(key))], ...Object.entries(headers ?? {}).map(([name, each]) => [said(name), el('code', {}, said(each))])]),
    el('pre', { tabindex: 0, 'aria-label': 'Value' }, said(value)))
}

// changing lets one change the product and counts until a search finds it so.
function changing({ item, index }, follow) {
  const field = (name, attributes) => el('label', {}, el('span', {}, name), el('input', { name, value: property(index, name) ?? '', required: true, autocomplete: 'off', ...attributes }))
  const outcome = el('p', { class: 'outcome', role: 'status' })
  const button = el('button', {}, 'Change it')
  const form = el('form', { class: 'panel change', 'aria-label': 'Change this product', onsubmit: submit }, el('h2', {}, 'Change it, and watch it become searchable'), field('name', { maxlength: 200 }),
    field('price', { inputmode: 'decimal', pattern: '\\d{1,7}(\\.\\d{1,2})?', title: 'a number with at most two digits after the point' }), button, outcome)
  return form

  async function submit(event) {
    event.preventDefault()
    if (button.disabled) return
    button.disabled = true
    const began = performance.now()
    const counter = el('strong', { 'aria-hidden': 'true' }, '0 ms')
    outcome.replaceChildren(counter, ' and not found yet')
    let frame = requestAnimationFrame(function tick() {
      write(counter, span((performance.now() - began) / 1000))
      frame = requestAnimationFrame(tick)
    })
    try {
      const seen = await tell('changes', { id: item.id.join('+'), name: form.elements.name.value.trim(), price: form.elements.price.value })
      follow().catch(() => {}) // the page has been left, or the header says that the console is not reached
      outcome.replaceChildren('Searchable after ', el('strong', {}, span(seen.seconds)), ': ', said(seen.by))
    } catch (error) {
      outcome.replaceChildren(el('span', { class: 'failure' }, said(error.message)))
    }
    cancelAnimationFrame(frame)
    button.disabled = false
  }
}
