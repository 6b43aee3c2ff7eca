// The page's frame: which view is shown, the search box, and whether what is shown is live.

import { ask } from './api.js'
import { el, said, write } from './dom.js'
import { time } from './format.js'
import { pipelineView } from './pipeline.js'
import { searchView } from './search.js'
import { itemView } from './item.js'
import { lettersView } from './letters.js'

const views = { '': pipelineView, search: searchView, item: itemView, letters: lettersView }
const every = 2000 // milliseconds between two looks at the pipeline

const main = document.getElementById('main')
const find = document.getElementById('find')
let leave = new AbortController() // ends what the view that is shown has begun
let about
let status // the last one
let update // tells the view that is shown of each status; nothing where it shows none

function place() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?')
  return { path: path in views ? path : '', query: Object.fromEntries(new URLSearchParams(query)) }
}

async function show() {
  if (location.hash === '#main') return // the link that skips the header
  leave.abort()
  leave = new AbortController()
  const { signal } = leave
  const { path, query } = place()
  for (const link of document.querySelectorAll('nav a')) {
    if (link.hash.replace(/^#\/?/, '') === path) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  if (path !== 'search') find.value = ''
  update = undefined
  try {
    about ??= await ask('about')
    await views[path]({ query, signal, about, enter, pause: (ms) => pause(ms, signal), watch })
  } catch (error) {
    if (signal.aborted) return
    trouble(error)
  }
}

// enter begins a view: its heading gets the focus, so that a screen reader says where one is.
function enter(title, ...children) {
  document.title = title ? `${title} · Freshet` : 'Freshet'
  main.replaceChildren(...children.flat().filter(Boolean))
  if (began) main.querySelector('h1')?.focus()
  began = true
}
let began = false // the first view leaves the focus where the browser has it

function trouble(error) {
  enter('Not shown', el('h1', { tabindex: -1 }, 'This cannot be shown'), el('p', { class: 'failure' }, said(error.message)),
    el('p', {}, el('button', { type: 'button', onclick: show }, 'Try again')))
}

// watch has a view told of the status, now where it is known and then as long as the view is shown.
function watch(told) {
  update = told
  if (status) told(status)
}

// look asks for the status again and again while the page is seen.
async function look() {
  for (;;) {
    if (!document.hidden) {
      try {
        status = await ask('status')
        live(true, time(status.at))
        update?.(status)
      } catch (error) {
        live(false, error.message)
      }
    }
    await pause(every)
  }
}

function pause(ms, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', () => { clearTimeout(timer); done() }, { once: true })
  })
}

// live shows whether the page is; when it looked last is for eyes alone, since a screen reader would say it every time.
function live(well, detail) {
  const state = document.getElementById('live')
  state.classList.toggle('well', well)
  state.classList.toggle('lost', !well)
  state.title = well ? '' : detail
  write(document.getElementById('live-text'), well ? 'live' : 'not reached')
  write(document.getElementById('live-at'), well ? detail : '')
}

document.querySelector('form.find').addEventListener('submit', (event) => {
  event.preventDefault()
  const text = find.value.trim()
  if (!text) return
  location.hash = text.startsWith('#') ? `#/item?${new URLSearchParams({ of: text.slice(1).trim() })}` : `#/search?${new URLSearchParams({ q: text })}`
})

document.addEventListener('keydown', (event) => {
  const typing = event.target.matches?.('input, textarea, select')
  if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault()
    find.focus()
    find.select()
  } else if (event.key === 'Escape' && event.target === find) {
    find.blur()
  }
})

window.addEventListener('hashchange', show)
show()
look()
