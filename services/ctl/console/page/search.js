// Search by meaning, as `freshet search` does.

import { ask } from './api.js'
import { el, said } from './dom.js'
import { count } from './format.js'

const limit = 20

export async function searchView({ query, enter, signal, about }) {
  const collection = query.collection ?? about.collections[0]
  const input = (name, attributes) => el('input', { name, id: `search-${name}`, value: query[name] ?? '', autocomplete: 'off', spellcheck: 'false', ...attributes })
  const labelled = (text, field) => el('label', {}, el('span', {}, text), field)
  const form = el('form', { class: 'search', onsubmit: submit },
    labelled('What it means', input('q', { type: 'search', required: true, placeholder: 'sleep outdoors in the mountains', enterkeyhint: 'search' })),
    labelled('Only where', input('where', { placeholder: 'price<60' })),
    (about.collections.length > 1 || about.tenants) && labelled('Collection', el('select', { name: 'collection' },
      about.collections.map((name) => el('option', { value: name, selected: name === collection }, name)))),
    about.tenants && labelled('Tenant', input('tenant')),
    el('button', {}, 'Search'))
  const found = el('div', { class: 'found', role: 'status' })
  const list = el('div')
  enter(query.q ? `${query.q.slice(0, 60)} · Search` : 'Search', el('h1', { tabindex: -1 }, 'Search'), form, found, list)
  if (!query.q) {
    form.elements.q.focus()
    return
  }
  found.append('searching')
  const began = performance.now()
  const { hits } = await ask('search', { q: query.q, where: query.where ?? '', collection, tenant: query.tenant ?? '', limit }, signal)
  const took = Math.round(performance.now() - began)
  found.replaceChildren(hits.length ? `${count(hits.length, 'item')}, the nearest first, in ${took} ms` : 'Nothing is found.')
  if (hits.length) list.append(table(hits, collection))

  function submit(event) {
    event.preventDefault()
    const asked = [...new FormData(form)].filter(([, value]) => value.trim())
    location.hash = `#/search?${new URLSearchParams(asked)}`
  }
}

function table(hits, collection) {
  const names = [...new Set(hits.flatMap(({ properties }) => properties.map(({ name }) => name)))]
  const [title, ...rest] = names.includes('name') ? ['name', ...names.filter((name) => name !== 'name')] : names
  const numeric = new Set(names.filter((name) => hits.every((hit) => /^-?[\d.]*$/.test(value(hit, name)))))
  const kind = (name) => (numeric.has(name) ? 'number' : null)
  return el('div', { class: 'scroll' }, el('table', { class: 'hits' },
    el('caption', { class: 'hidden' }, 'Found items'),
    el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'distance'), el('th', { scope: 'col' }, title ?? 'item'), el('th', { scope: 'col', class: 'number' }, 'id'),
      rest.map((name) => el('th', { scope: 'col', class: kind(name) }, said(name))))),
    el('tbody', {}, hits.map((hit) => {
      const near = el('span', { class: 'near', 'aria-hidden': 'true' })
      near.style.setProperty('--share', Math.max(0, 1 - hit.distance))
      const to = new URLSearchParams({ of: hit.id, collection, ...(hit.tenant ? { tenant: hit.tenant } : {}) })
      return el('tr', {},
        el('td', { class: 'distance' }, el('span', {}, hit.distance.toFixed(3)), near),
        el('th', { scope: 'row' }, el('a', { href: `#/item?${to}` }, said((title && value(hit, title)) || hit.id))),
        el('td', { class: 'number' }, said(hit.id)),
        rest.map((name) => el('td', { class: kind(name) }, said(value(hit, name)))))
    }))))
}

const value = (hit, name) => hit.properties.find((property) => property.name === name)?.value ?? ''
