// The pipeline as a picture: what each stage does, what waits before it, and what is wrong.

import { el, redraw, said, write } from './dom.js'
import { ago, count, money, rate, span, whole } from './format.js'

const remembered = 90 // rates that a line is drawn of
const late = 5 // seconds that something may wait, by the objective
const history = new Map()

export function pipelineView({ enter, watch, about }) {
  const figures = Object.fromEntries(['p50', 'p95', 'p99', 'rate'].map((name) => [name, el('dd', {}, '–')]))
  const since = el('dt', {}, 'half are searchable after')
  const trouble = el('div', { class: 'trouble', role: 'status' })
  const stations = ['ingest', 'embed', 'write'].map((name) => station(name, about))
  const source = el('div', { class: 'node end' }, el('h3', {}, 'Source'), el('div', { class: 'quiet' }))
  const index = el('div', { class: 'node end' }, el('h3', {}, 'Index'), el('div'))
  const last = pipe()
  const panels = el('div', { class: 'panels' })
  enter('',
    el('h1', { tabindex: -1, class: 'hidden' }, 'Pipeline'),
    el('section', { class: 'hero', 'aria-label': 'Freshness' },
      el('dl', { class: 'figures' },
        el('div', {}, since, figures.p50),
        el('div', {}, el('dt', {}, '95 of 100 after'), figures.p95),
        el('div', {}, el('dt', {}, '99 of 100 after'), figures.p99),
        el('div', {}, el('dt', {}, 'changes a second'), figures.rate)),
      trouble),
    el('section', { 'aria-label': 'Stages' },
      el('ol', { class: 'flow' },
        el('li', { class: 'first' }, source),
        stations.map(({ node }) => node),
        el('li', {}, last.node, index))),
    panels)
  watch((status) => {
    const fresh = headline(status.freshness)
    for (const p of ['p50', 'p95', 'p99']) write(figures[p], fresh ? span(fresh[`${p}_seconds`]) : '–')
    write(since, `half are ${fresh?.to === 'acknowledged' ? 'in the index' : 'searchable'} after${fresh?.window_seconds === 0 ? ', since the start' : ''}`)
    const writer = status.stages.find(({ name }) => name === 'write')
    write(figures.rate, writer ? rate(writer.rate) : '–')
    redraw(trouble, [status.trouble, status.unknown], () => verdict(status))
    const first = status.stages.find(({ name }) => name === 'ingest')
    redraw(source.lastChild, first?.topics, () => topicsIn(first))
    for (const each of stations) each.update(status)
    last.update(writer, '', writer?.rate ?? 0)
    redraw(index.lastChild, status.index, () => status.index.map(collection))
    redraw(panels, [status.freshness, status.provider, status.money, status.dead_letters, status.services], () => panelsOf(status))
  })
}

// topicsIn lists what the source has, as far as there is room.
function topicsIn(ingest) {
  const topics = ingest?.topics ?? []
  return [el('p', {}, count(topics.length, 'topic')), el('p', {}, count(ingest?.partitions ?? 0, 'partition'))]
}

// headline is the freshness that most items have; found by a search counts before acknowledged by the index.
function headline(freshness) {
  const found = freshness.filter(({ to }) => to === 'searchable')
  return (found.length ? found : freshness).toSorted((a, b) => b.items - a.items)[0]
}

function verdict({ trouble, unknown }) {
  const well = el('p', { class: 'well' }, unknown.length ? 'Nothing is known to be wrong, and not all was looked at:' : 'All is well.')
  return [...(trouble.length ? trouble.map(cause) : [well]), ...unknown.map((line) => el('p', { class: 'quiet' }, said(line)))]
}

// cause shows one reason, and what to do.
export function cause({ summary, detail, do: todo }) {
  return el('div', { class: 'cause' }, el('p', {}, el('strong', {}, said(summary))),
    detail && el('p', {}, said(detail)), todo && el('p', { class: 'todo' }, said(todo)))
}

// station is a stage, with the way that leads to it, and what it gives up.
function station(name, about) {
  const way = pipe()
  const number = el('span', { class: 'number' }, '–')
  const line = el('polyline', { points: '' })
  const foot = el('p', { class: 'quiet' })
  const lanes = el('div', { class: 'quiet' })
  const drain = el('a', { class: 'drain', href: '#/letters' })
  const above = el('div', { class: 'above' })
  const node = el('li', {}, name === 'embed' && above, way.node,
    el('div', { class: 'node' }, el('h3', {}, name), el('p', { class: 'rate' }, number, el('span', { class: 'quiet' }, ' /s')),
      el('svg', { class: 'spark', viewBox: '0 0 100 24', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, line), foot, lanes), drain)
  return {
    node,
    update(status) {
      const stage = status.stages.find((each) => each.name === name)
      if (!stage) return
      way.update(stage, topicsOf(stage), stage.rate)
      write(number, rate(stage.rate))
      line.setAttribute('points', spark(name, stage.rate))
      const members = stage.members < 0 ? 'group not reached' : stage.members === 0 ? 'nobody runs it' : count(stage.members, 'process', 'processes')
      write(foot, stage.retries > 0 ? `${members} · ${rate(stage.retries)} retries/s` : members)
      node.classList.toggle('bad', stage.members === 0 || (stage.stuck ?? []).length > 0)
      write(lanes, status.stages.filter((each) => each.name.startsWith(`${name}-`) && (each.rate > 0 || each.lag_records > 0))
        .map((each) => `${each.name.slice(name.length + 1)}: ${rate(each.rate)} /s, ${whole(each.lag_records)} wait`).join('; '))
      const letters = (status.dead_letters?.counts ?? []).filter((each) => each.stage === name).reduce((sum, each) => sum + each.count, 0)
      drain.hidden = letters === 0
      write(drain, count(letters, 'dead letter'))
      if (name === 'embed') redraw(above, [status.provider?.endpoints, Math.round(status.provider?.tokens ?? -1)], () => provider(status.provider, about))
    },
  }
}

// topicsOf names the first topic by its last two parts; the title has all of all.
function topicsOf({ topics }) {
  const first = topics[0]?.split('.').slice(-2).join('.') ?? ''
  return topics.length > 1 ? `${first} +${topics.length - 1}` : first
}

// pipe is what waits before a stage: dots that move as fast as it reads, and how much is behind them.
function pipe() {
  const topic = el('span', { class: 'topic' })
  const dots = el('span', { class: 'dots', 'aria-hidden': 'true' })
  const lag = el('span', { class: 'lag' })
  return {
    node: el('div', { class: 'pipe' }, topic, dots, lag),
    update(stage, name, perSecond) {
      write(topic, name)
      topic.title = stage?.topics?.join('\n') ?? ''
      dots.classList.toggle('still', !(perSecond > 0))
      // Through a square root: 1 and 1,000 changes a second must both look like what they are.
      dots.style.setProperty('--period', `${(1.6 / Math.sqrt(Math.max(perSecond, 0.4))).toFixed(2)}s`)
      if (!name || !stage) return
      const waits = stage.lag_records > 0
      write(lag, stage.lag_records < 0 ? 'not known' : waits ? `${whole(stage.lag_records)} wait, ${span(stage.lag_seconds)}` : 'nothing waits')
      dots.parentNode.classList.toggle('behind', waits && stage.lag_seconds > late)
    },
  }
}

function spark(name, now) {
  const rates = [...(history.get(name) ?? []), Math.max(now, 0)].slice(-remembered)
  history.set(name, rates)
  const top = Math.max(...rates, 1)
  return rates.map((r, i) => `${(100 - (rates.length - 1 - i) * 100 / (remembered - 1)).toFixed(1)},${(22 - 20 * r / top).toFixed(1)}`).join(' ')
}

function collection({ collection: name, class: kind, writable, why }) {
  return el('p', { class: writable === false ? 'failure' : '' }, el('a', { href: `#/search?${new URLSearchParams({ collection: name })}`, 'data-key': `c-${name}`, title: kind ?? '' }, said(name)),
    writable !== false ? el('span', { class: 'quiet' }, ' ', writable ? said(kind ?? '') : 'not known') : el('span', {}, ' takes no writes', why ? [': ', said(why)] : ''))
}

const gates = { open: 'keeps up', limited: 'at its limit', shut: 'told to wait', refused: 'refuses the key' }

function provider(p, { model, inside }) {
  const name = (role) => el('span', { class: 'quiet' }, said(model), role === 'first' ? '' : ` (${role})`, ' ')
  if (inside) return [el('p', {}, name('first'), 'built in')]
  if (!p) return [el('p', {}, name('first'), 'not reached')]
  return p.endpoints.map((each) => el('p', { class: each.gate === 'open' || each.gate === 'limited' ? '' : 'failure' },
    name(each.role), gates[each.gate] ?? each.gate, each.failing_seconds > late ? `, fails since ${span(each.failing_seconds)}` : '', each.breaker === 'open' ? ', circuit open' : ''))
}

function panelsOf(status) {
  return [letters(status), embeddings(status), freshness(status), services(status)]
}

function panel(title, ...content) {
  return el('section', { class: `panel ${title.toLowerCase().replace(' ', '-')}` }, el('h2', {}, title), content)
}

function letters({ dead_letters: all, at }) {
  if (!all) return panel('Dead letters', el('p', { class: 'quiet' }, 'Kafka does not answer.'))
  if (!all.counts?.length) return panel('Dead letters', el('p', { class: 'quiet' }, all.kept ? `None lately; ${whole(all.kept)} are kept.` : 'None.'))
  return panel('Dead letters', reasons(all.counts, at), el('p', { class: 'quiet' }, `within ${span((new Date(at) - new Date(all.since)) / 1000)}; ${whole(all.kept)} are kept`))
}

// reasons lists the counts of dead letters, each with a bar.
export function reasons(counts, at, chosen) {
  const most = Math.max(...counts.map(({ count: n }) => n))
  return el('ul', { class: 'bars' }, counts.map(({ stage, reason, count: n, last }) => {
    const bar = el('span', { class: 'bar', 'aria-hidden': 'true' })
    bar.style.setProperty('--share', n / most)
    return el('li', {}, el('a', { href: `#/letters?${new URLSearchParams({ reason })}`, 'data-key': `r-${stage}-${reason}`, 'aria-current': chosen === reason ? 'true' : null },
      el('span', {}, said(reason), el('span', { class: 'quiet' }, ` ${stage}`)), el('span', { class: 'figure' }, whole(n)), bar,
      el('span', { class: 'hidden' }, `, the last one ${ago(last, at)}`)))
  }))
}

// facts is a list of names and figures; a fact that is null is left out.
export function facts(pairs) {
  return el('dl', { class: 'facts' }, pairs.filter(Boolean).map(([name, value, note]) =>
    el('div', {}, el('dt', {}, name), el('dd', {}, value, note ? el('span', { class: 'quiet' }, ` ${note}`) : null))))
}

function embeddings({ provider: p, money: m }) {
  const priced = m && [m.today, m.saved_today, m.budget, m.per_hour].some((amount) => amount > 0)
  return panel('Embedding', facts([
    p && ['requests', rate(p.requests), '/s'],
    p && ['tokens charged', rate(p.tokens), '/s'],
    p && ['tokens saved', rate(p.saved), '/s'],
    p?.waiting > 0 && ['wait for the rate limit', whole(p.waiting)],
    p?.budget_waiting > 0 && ['wait for the budget', whole(p.budget_waiting)],
    priced && ['spent today', money(m.today, m.currency), m.budget ? `of ${money(m.budget, m.currency)}` : ''],
    priced && m.per_hour >= 0 && ['an hour, at this rate', money(m.per_hour, m.currency)],
    priced && ['saved today', money(m.saved_today, m.currency)],
  ]), !p && el('p', { class: 'quiet' }, 'No process of embed answers.'))
}

function services({ services: all }) {
  if (!all.length) return panel('Processes', el('p', { class: 'quiet' }, 'No admin port is named in FRESHET_ADMIN_ADDRESSES.'))
  return panel('Processes', el('ul', { class: 'plain' }, all.map(({ address, stages, ready, says }) =>
    el('li', {}, el('span', { class: ready ? 'state well' : 'state lost' }, ready ? 'ready' : 'not ready'), ' ', said(stages?.join(', ') || 'unknown'),
      el('span', { class: 'quiet' }, ' ', said(address)), says ? el('p', { class: 'quiet' }, said(says)) : null))))
}

function freshness({ freshness: all }) {
  if (!all.length) return panel('Freshness', el('p', { class: 'quiet' }, 'No process of write answers.'))
  const head = ['', 'items', 'p50', 'p95', 'p99'].map((name) => el('th', { scope: 'col' }, name || el('span', { class: 'hidden' }, 'collection')))
  return panel('Freshness', el('div', { class: 'scroll' }, el('table', {}, el('thead', {}, el('tr', {}, head)), el('tbody', {}, all.map((f) =>
    el('tr', {}, el('th', { scope: 'row' }, said(f.collection), el('span', { class: 'quiet' }, f.to)), el('td', {}, whole(f.items)),
      ['p50', 'p95', 'p99'].map((p) => el('td', {}, span(f[`${p}_seconds`])))))))))
}
