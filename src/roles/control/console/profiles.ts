/** Names for the ids in attribution columns: accounts by id or `console:<id>`, tokens as `admin:<id>`. */
import { errorOf } from '../../../platform/http/errors/registry.ts'
import * as v from '../../../platform/schema.ts'
import type { Control } from '../control.ts'
import { text } from '../routes/inputs.ts'
import { type NamedOperator, operatorNames } from '../store/console-names.ts'

const MOST = 100
const asked = text(1, 128)

const after = (prefix: string, ids: readonly string[]): string[] =>
  ids.flatMap((id) => (id.startsWith(prefix) ? [id.slice(prefix.length)] : []))

/** The profiles of the ids that are known, each under the id it was asked by. Throws 400 `invalid_query`. */
export async function profilesOf(control: Pick<Control, 'db'>, list: string): Promise<NamedOperator[]> {
  const ids = [...new Set(list.split(',').map((id) => id.trim()))].filter((id) => id !== '')
  if (ids.length > MOST || !ids.every((id) => v.is(asked, id))) throw errorOf('invalid_query')
  const plain = ids.filter((id) => !id.includes(':'))
  const { tokens, accounts } = await operatorNames(control.db, {
    tokens: after('admin:', ids),
    accounts: [...plain, ...after('console:', ids)],
  })
  const names = new Map([
    ...tokens.map(({ id, name }) => [`admin:${id}`, name] as const),
    ...accounts.flatMap(({ id, name }) => [[id, name] as const, [`console:${id}`, name] as const]),
  ])
  return ids.flatMap((id) => {
    const name = names.get(id)
    return name === undefined ? [] : [{ id, name }]
  })
}
