// Dead letters by reason, each with its record and its cause.

import { ask } from './api.js'
import { el, said } from './dom.js'
import { ago, count, moment } from './format.js'
import { cause, reasons } from './pipeline.js'
import { recordOf } from './item.js'

const limit = 200

export async function lettersView({ query, enter, signal }) {
  const chosen = query.reason ?? ''
  const [letters, status] = await Promise.all([ask('letters', { reason: chosen, limit }, signal), ask('status', {}, signal)])
  const counts = status.dead_letters?.counts ?? []
  enter('Dead letters', el('h1', { tabindex: -1 }, 'Dead letters'),
    el('div', { class: 'split' },
      el('nav', { 'aria-label': 'Reasons' }, el('p', {}, el('a', { href: '#/letters', 'aria-current': chosen ? null : 'true' }, 'All reasons')),
        counts.length > 0 && reasons(counts, status.at, chosen)),
      el('div', {},
        el('p', { class: 'quiet' }, letters.length === 0 ? 'There are none.' : `${letters.length < limit ? count(letters.length, 'letter') : `The newest ${limit} letters`}${chosen ? ` with the reason ${chosen}` : ''}, newest first`),
        el('ul', { class: 'letters' }, letters.map((letter) => entry(letter, status.at))))))
}

function entry(letter, now) {
  const inside = el('div', { class: 'inside' })
  const details = el('details', { ontoggle: open },
    el('summary', {}, el('span', { class: 'reason' }, said(letter.reason)), el('span', { class: 'text' }, said(letter.text.replace(`${letter.reason}: `, ''))),
      el('time', { datetime: letter.at, title: moment(letter.at), class: 'quiet' }, ago(letter.at, now))), inside)
  return el('li', {}, details)

  // open asks once what became of the record; a letter that is closed again keeps it.
  async function open() {
    if (!details.open || inside.childNodes.length) return
    inside.append(el('p', { class: 'quiet', role: 'status' }, 'looking at the record'))
    const links = el('p', { class: 'quiet' }, `${letter.stage} gave up `, said(letter.source), ' ', moment(letter.at))
    try {
      const { record, causes, item } = await ask('item', { of: letter.source })
      const name = item && new URLSearchParams({ of: item.id.join('+'), collection: item.collection, ...(item.tenant ? { tenant: item.tenant } : {}) })
      inside.replaceChildren(links, ...[
        causes[0] && cause(causes[0]),
        item && el('p', {}, el('a', { href: `#/item?${name}` }, 'The item ', said(item.id.join('+')))),
        record ? recordOf({ ...record, said: '' }) : el('p', { class: 'quiet' }, 'Kafka has the record no longer.')].filter(Boolean))
    } catch (error) {
      inside.replaceChildren(links, el('p', { class: 'failure' }, said(error.message)))
    }
  }
}
