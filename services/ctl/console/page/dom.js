// Elements are made from text alone: nothing that an item says is ever read as markup.

const SVG = 'http://www.w3.org/2000/svg'
const shapes = new Set(['svg', 'polyline', 'path'])
const longest = 2000 // characters of a text that are shown

// el makes an element. An attribute that begins with "on" is a listener; a child that is null or false is left out.
export function el(tag, attributes = {}, ...children) {
  const node = shapes.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value)
    else if (value === true) node.setAttribute(name, '')
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value)
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false))
  return node
}

// said shows somebody else's text: its direction stays its own, what it hides is made visible, and it has an end.
export function said(text) {
  const whole = String(text ?? '')
  const shown = visible(whole.length > longest ? whole.slice(0, longest) : whole)
  const bdi = el('bdi', {}, shown)
  if (whole.length <= longest) return bdi
  return el('span', {}, bdi, el('span', { class: 'quiet' }, ` … ${whole.length.toLocaleString('en')} characters`))
}

// visible replaces what controls a display: ASCII and Latin controls by their pictures, marks of direction by their codes.
export function visible(text) {
  return text
    .replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, (c) => `⟨U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`)
}

// redraw fills a node where what it shows has changed, and gives the focus back to the element with the same data-key.
export function redraw(node, shows, draw) {
  const state = JSON.stringify(shows)
  if (shown.get(node) === state) return
  shown.set(node, state)
  const key = node.contains(document.activeElement) ? document.activeElement.dataset.key : undefined
  node.replaceChildren(...[draw()].flat().filter(Boolean))
  if (key) [...node.querySelectorAll('[data-key]')].find((each) => each.dataset.key === key)?.focus()
}
const shown = new WeakMap()

// write sets a text where it differs: a screen reader and a selection are not disturbed by the same text.
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text
}
