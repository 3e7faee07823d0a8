/**
 * Forgets revocation groups of hosts that are gone for a day (gateway §8.4): names of
 * containers change, and a group nobody reads piles up a backlog for ever. Each gateway
 * says every few minutes that its group is alive. Forgetting one too many is harmless:
 * its reader finds the group lost, makes it anew and reloads the snapshot.
 */
import type { Bus } from '../../../platform/bus/port.ts'
import type { Ephemera } from '../../../platform/ephemera/port.ts'
import type { Job } from '../../../platform/jobs/job.ts'
import { groupPrefix, revocationStream } from './entries.ts'

export interface GroupJanitorDeps {
  readonly bus: Bus
  readonly ephemera: Ephemera
  /** The group of this process. */
  readonly group: string
  /** Unix milliseconds; the system's by default. */
  readonly now?: () => number
}

const intervalMs = 10 * 60 * 1000
const aliveMs = 60 * 60 * 1000
const goneMs = 24 * 60 * 60 * 1000

const aliveKey = (group: string): string => `gateway-group-alive:${group}`
const goneKey = (group: string): string => `gateway-group-gone:${group}`

export function groupJanitor(deps: GroupJanitorDeps): Job {
  const { bus, ephemera } = deps
  const now = deps.now ?? Date.now
  return {
    name: 'gateway_group_janitor',
    intervalMs,
    immediate: true,
    async run({ signal, log }) {
      await ephemera.set(aliveKey(deps.group), '1', aliveMs)
      for (const group of await bus.groups(revocationStream)) {
        if (signal.aborted) return
        if (!group.startsWith(groupPrefix) || group === deps.group) continue
        if ((await ephemera.get(aliveKey(group))) !== null) {
          await ephemera.delete(goneKey(group))
          continue
        }
        // The memory of these marks may be lost; then the day begins again.
        await ephemera.setIfAbsent(goneKey(group), String(now()), 2 * goneMs)
        const since = Number(await ephemera.get(goneKey(group)))
        if (!(now() - since >= goneMs)) continue
        await bus.group(revocationStream, group).destroy()
        await ephemera.delete(goneKey(group))
        log.info({ group, stream: revocationStream }, 'revocation_group_forgotten')
      }
    },
  }
}
