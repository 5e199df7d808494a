package browser

// The JavaScript expressions that the tests evaluate on a page.

// tooWide returns the elements that exceed the right border.
const tooWide = `[...document.querySelectorAll('body *')]
	.filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll'))
	.map(e => e.tagName + '.' + e.getAttribute('class')).slice(0, 3).join(', ')`

// withoutName returns the elements that can be focused but have no accessible name.
const withoutName = `[...document.querySelectorAll('a, summary, [tabindex], [role=region], [role=group]')]
	.filter(e => e.tagName !== 'PRE' && !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.textContent.trim()))
	.map(e => e.outerHTML.slice(0, 80))`

// labelsOutside returns the labels of the graph that are wider than their boxes.
const labelsOutside = `[...document.querySelectorAll('a.box')].flatMap(a => {
	const box = a.querySelector('.front').getBoundingClientRect()
	return [...a.querySelectorAll('text')].filter(t => { const r = t.getBoundingClientRect(); return r.left < box.left || r.right > box.right }).map(t => t.textContent)
})`

// poorContrast returns texts whose contrast with their background is below the 4.5 : 1 of WCAG 2, and bars below its 3 : 1 for graphics.
const poorContrast = `(() => {
	const parse = text => (text.match(/[\d.]+/g) || []).map(Number)
	const light = ([r, g, b]) => { const [x, y, z] = [r, g, b].map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4); return 0.2126 * x + 0.7152 * y + 0.0722 * z }
	const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05) }
	const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length && (c.length < 4 || c[3] > 0)) return c } return [255, 255, 255] }
	const poor = new Set()
	for (const e of document.querySelectorAll('body *')) {
		const style = getComputedStyle(e), isDrawn = e instanceof SVGElement
		const hasText = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())
		if (hasText && e.tagName !== 'title' && contrast(parse(isDrawn ? style.fill : style.color), behind(e)) < 4.5) poor.add(e.tagName + '.' + e.getAttribute('class'))
		if (isDrawn && e.classList.contains('runs') && contrast(parse(style.fill), behind(e)) < 3) poor.add('rect.runs')
	}
	return [...poor]
})()`
