/** Lines for a POSIX shell; `.env` readers take them too. */

const plain = /^[\w@%+=:,./-]+$/

const quoted = (value: string): string => (plain.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`)

export const exportLines = (variables: readonly (readonly [string, string])[]): string =>
  variables.map(([name, value]) => `export ${name}=${quoted(value)}`).join('\n')
