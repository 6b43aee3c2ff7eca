// The server's answers. The token says that a request comes from this page: no other page can read it.

const token = document.querySelector('meta[name=token]').content

export async function ask(path, parameters = {}, signal) {
  return answer(await fetch(`/api/${path}?${new URLSearchParams(parameters)}`, { headers: { 'Freshet-Token': token }, signal }))
}

export async function tell(path, body) {
  return answer(await fetch(`/api/${path}`, { method: 'POST', headers: { 'Freshet-Token': token, 'Content-Type': 'application/json' }, body: JSON.stringify(body) }))
}

async function answer(response) {
  if (response.ok) return JSON.parse(await response.text(), lists)
  throw new Error((await response.text()).trim() || response.statusText)
}

// A list of nothing is null where Go made none.
const several = new Set(['waiting', 'dead_letters', 'causes', 'unknown', 'stages', 'freshness', 'index', 'services', 'trouble', 'counts', 'hops', 'topics', 'endpoints'])
function lists(name, value) {
  return value === null && several.has(name) ? [] : value
}
