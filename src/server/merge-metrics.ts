/**
 * Several Prometheus expositions as one. A family that more than one role has gets a label `role` on each
 * sample, since a scrape must not hold one series twice; what only one role has stays as it is.
 */
export interface Exposition {
  readonly name: string
  readonly text: string
}

interface Family {
  readonly head: string[]
  readonly samples: { readonly role: string; readonly line: string }[]
  readonly roles: Set<string>
}

/** Families in the order in which they first occur. */
export function mergeMetrics(expositions: readonly Exposition[]): string {
  const families = new Map<string, Family>()
  for (const { name: role, text } of expositions) {
    let current: Family | null = null
    for (const line of text.split('\n')) {
      const [, kind, name] = /^# (HELP|TYPE) (\S+)/.exec(line) ?? []
      if (kind !== undefined && name !== undefined) {
        current = families.get(name) ?? { head: [], samples: [], roles: new Set() }
        families.set(name, current)
        if (!current.head.some((one) => one.startsWith(`# ${kind} `))) current.head.push(line)
      } else if (line !== '' && !line.startsWith('#') && current !== null) {
        current.samples.push({ role, line })
        current.roles.add(role)
      }
    }
  }
  const lines = [...families.values()].flatMap(({ head, samples, roles }) => [
    ...head,
    ...samples.map(({ role, line }) => (roles.size > 1 ? labelled(line, role) : line)),
  ])
  return `${lines.join('\n')}\n`
}

/** `name{a="b"} 1` or `name 1` with the label in front of the others. */
function labelled(line: string, role: string): string {
  const [, name = '', rest = ''] = /^([A-Za-z_:][\w:]*)(.*)$/.exec(line) ?? []
  return rest.startsWith('{') ? `${name}{role="${role}",${rest.slice(1)}` : `${name}{role="${role}"}${rest}`
}
