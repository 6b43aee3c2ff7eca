// Figures as people read them; all of the same kind have the same form, so that they align.

const units = [[86400, 'd', 3600, 'h'], [3600, 'h', 60, 'min'], [60, 'min', 1, 's']]

// span writes seconds in the largest two units that say something: 0.4 ms, 87 ms, 1.24 s, 3 min 12 s.
export function span(seconds) {
  if (!Number.isFinite(seconds)) return '–'
  if (seconds < 0) return `−${span(-seconds)}`
  for (const [size, name, below, part] of units) {
    if (seconds < size) continue
    const rest = Math.floor((seconds % size) / below)
    return `${Math.floor(seconds / size)} ${name}${rest ? ` ${rest} ${part}` : ''}`
  }
  if (seconds >= 1) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`
  const ms = seconds * 1000
  return ms === 0 ? '0 ms' : ms < 1 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`
}

export const whole = (n) => Math.round(n).toLocaleString('en')

// rate writes how many a second.
export function rate(n) {
  if (n < 0 || !Number.isFinite(n)) return '–'
  return n >= 100 ? whole(n) : n.toFixed(n < 10 && n > 0 ? 1 : 0)
}

export const money = (n, currency) => `${n.toFixed(n !== 0 && Math.abs(n) < 0.01 ? 6 : 2)} ${currency}`.trim()

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const day = new Intl.DateTimeFormat('en-CA', { year: 'numeric', month: '2-digit', day: '2-digit' })

export const time = (at) => clock.format(new Date(at))
export const moment = (at) => `${day.format(new Date(at))} ${time(at)}`

// ago writes how long before a moment another one was.
export const ago = (at, now) => `${span(Math.max(0, (new Date(now) - new Date(at)) / 1000))} ago`

export const count = (n, one, many = `${one}s`) => `${whole(n)} ${n === 1 ? one : many}`
