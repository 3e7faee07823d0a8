/**
 * Whether Control invoke answers (control-api §9.1): it is open while the file of `CONTROL_GATE_FILE` exists,
 * looked at for every call, so that a switch works at once and outlives a restart. Without that setting, or
 * where the route is not mounted, it is closed and stays so.
 */
import { access, open, rm } from 'node:fs/promises'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import type { Control } from '../control.ts'

export interface ControlGate {
  /** `CARACAL_CONTROL_ENABLED`: the route exists. */
  readonly served: boolean
  /** There is something to switch. */
  readonly switchable: boolean
  isOpen(): Promise<boolean>
  /** Throws 503 `service_unconfigured`, `control_gate_stuck`. */
  turn(to: 'open' | 'closed'): Promise<void>
}

export function createControlGate({ settings }: Pick<Control, 'settings'>): ControlGate {
  const { CARACAL_CONTROL_ENABLED: served, CONTROL_GATE_FILE: file } = settings

  const isOpen = async (): Promise<boolean> =>
    served &&
    file !== null &&
    (await access(file).then(
      () => true,
      () => false,
    ))

  return {
    served,
    switchable: served && file !== null,
    isOpen,
    async turn(to) {
      if (!served || file === null) {
        const missing = served ? 'CONTROL_GATE_FILE' : 'CARACAL_CONTROL_ENABLED'
        throw errorOf('service_unconfigured', {
          message: `This server has no Control endpoint to switch: ${missing} is not set`,
        })
      }
      try {
        if (to === 'closed') await rm(file, { force: true })
        // What the file says is nobody's business here: one that is there is left as it is.
        else await (await open(file, 'a', 0o600)).close()
      } catch (cause) {
        throw errorOf('control_gate_stuck', { cause })
      }
      if ((await isOpen()) !== (to === 'open')) throw errorOf('control_gate_stuck')
    },
  }
}
