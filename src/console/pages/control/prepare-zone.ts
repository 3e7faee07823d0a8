/** The control resource of a zone: tokens for Control name it, and it lists what they can hold (control-api §9.2). */
import { api, inZone } from '../../api.ts'
import type { Resource } from '../definitions/shapes.ts'
import { readCatalog } from './endpoint-state.ts'

/** Makes the resource, or adds the scopes that it lacks. */
export async function prepareZone(zoneId: string, audience: string): Promise<void> {
  const { scopes } = await readCatalog()
  const path = inZone(zoneId, '/resources')
  const resource = (await api.list<Resource>(path)).find(({ identifier }) => identifier === audience)
  if (resource === undefined) {
    await api.post(path, { name: 'Control', identifier: audience, scopes })
    return
  }
  const missing = scopes.filter((scope) => !resource.scopes.includes(scope))
  if (missing.length > 0)
    await api.patch(`${path}/${resource.id}`, { scopes: [...resource.scopes, ...missing] })
}
