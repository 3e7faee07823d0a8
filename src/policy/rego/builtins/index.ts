/** The built-in functions of the subset, and the operators behind their signs. */
import type { Builtin } from './builtin.ts'
import { collectionBuiltins } from './collections.ts'
import { globMatch } from './glob.ts'
import { operators } from './operators.ts'
import { regexMatch } from './regex.ts'
import { sprintf } from './sprintf.ts'
import { stringBuiltins } from './strings.ts'
import { parseRfc3339 } from './time.ts'

export const builtins: ReadonlyMap<string, Builtin> = new Map(
  Object.entries({
    ...operators,
    ...collectionBuiltins,
    ...stringBuiltins,
    sprintf,
    'regex.match': regexMatch,
    'glob.match': globMatch,
    'time.parse_rfc3339_ns': parseRfc3339,
  }),
)
