/**
 * Several Prometheus expositions as one, those of roles or of workers. A family that more than one of them
 * has gets a label on each sample, since a scrape must not hold one series twice.
 */
export interface Exposition {
  readonly name: string
  readonly text: string
}

interface Family {
  readonly head: string[]
  readonly samples: { readonly from: string; readonly line: string }[]
  readonly sources: Set<string>
}

/** Families in the order in which they first occur. What only one of them has gets no label, unless `always`. */
export function mergeMetrics(
  expositions: readonly Exposition[],
  label: 'role' | 'worker',
  always = false,
): string {
  const families = new Map<string, Family>()
  for (const { name: from, text } of expositions) {
    let current: Family | null = null
    for (const line of text.split('\n')) {
      const [, kind, name] = /^# (HELP|TYPE) (\S+)/.exec(line) ?? []
      if (kind !== undefined && name !== undefined) {
        current = families.get(name) ?? { head: [], samples: [], sources: new Set() }
        families.set(name, current)
        if (!current.head.some((one) => one.startsWith(`# ${kind} `))) current.head.push(line)
      } else if (line !== '' && !line.startsWith('#') && current !== null) {
        current.samples.push({ from, line })
        current.sources.add(from)
      }
    }
  }
  const lines = [...families.values()].flatMap(({ head, samples, sources }) => [
    ...head,
    ...samples.map(({ from, line }) => (always || sources.size > 1 ? labelled(line, label, from) : line)),
  ])
  return `${lines.join('\n')}\n`
}

/** `name{a="b"} 1` or `name 1` with the label in front of the others. */
function labelled(line: string, label: string, value: string): string {
  const [, name = '', rest = ''] = /^([A-Za-z_:][\w:]*)(.*)$/.exec(line) ?? []
  return rest.startsWith('{')
    ? `${name}{${label}="${value}",${rest.slice(1)}`
    : `${name}{${label}="${value}"}${rest}`
}
