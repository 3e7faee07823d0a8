/** The rates of one run as bars, in an SVG that needs nothing else: grouped by section, one bar for each number of workers. */
export interface Bar {
  readonly section: string
  readonly workers: number
  readonly perSecond: number
  readonly p50: number
}

const width = 760
const rowHeight = 22
const labelWidth = 250
const valueWidth = 150

export function rateChart(title: string, bars: readonly Bar[]): string {
  const most = Math.max(1, ...bars.map((bar) => bar.perSecond))
  const scale = (width - labelWidth - valueWidth) / most
  const rows = bars.map((bar, n) => {
    const y = 40 + n * rowHeight
    const length = Math.max(1, bar.perSecond * scale)
    const first = bars[n - 1]?.section !== bar.section
    return [
      first ? `<text x="8" y="${y + 13}">${escaped(bar.section)}</text>` : '',
      `<text x="${labelWidth - 10}" y="${y + 13}" text-anchor="end" class="dim">${bar.workers}</text>`,
      `<rect x="${labelWidth}" y="${y + 3}" width="${length.toFixed(1)}" height="${rowHeight - 8}" rx="2"/>`,
      `<text x="${(labelWidth + length + 8).toFixed(1)}" y="${y + 13}">${bar.perSecond.toFixed(0)}/s`,
      `<tspan class="dim"> · p50 ${bar.p50.toFixed(1)} ms</tspan></text>`,
    ].join('')
  })
  const height = 56 + bars.length * rowHeight
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">`,
    '<style>text{font:12px system-ui,sans-serif;fill:#1f2328}.dim{fill:#656d76}rect{fill:#2f6feb}',
    '@media(prefers-color-scheme:dark){text{fill:#e6edf3}.dim{fill:#8d96a0}rect{fill:#539bf5}}</style>',
    `<text x="8" y="20" font-weight="600">${escaped(title)}</text>`,
    `<text x="${labelWidth - 10}" y="34" text-anchor="end" class="dim">workers</text>`,
    ...rows,
    '</svg>',
    '',
  ].join('\n')
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
