/** `caracal api`: the API for scripts. The body on stdout, everything else on stderr. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { UsageError } from '../arguments.ts'
import type { Invocation } from '../command.ts'
import { findAccess } from './login-file.ts'
import { type ApiAnswer, parseApiLine, sendApiLine, statusLine, Unreachable } from './request.ts'

/** 0 for 2xx, 1 for any other answer or a wrong line, 2 when there is no answer. */
export async function api({ words, env, cwd, out }: Invocation): Promise<number> {
  const line = parseApiLine(words.map((word, at) => (at === 0 ? word : bodyWord(word, cwd))))
  const access = findAccess(env, cwd)
  if (access === null) throw new Error('not logged in: run caracal auth login, or set CARACAL_ADMIN_TOKEN')
  let answer: ApiAnswer
  try {
    answer = await sendApiLine(access, line)
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error
    out.status('fail', error.message)
    return 2
  }
  out.errorLine(statusLine(answer))
  // What the server answers is what was asked for: a created secret must reach its script.
  if (answer.body !== '') out.raw(answer.body.endsWith('\n') ? answer.body : `${answer.body}\n`)
  return answer.status >= 200 && answer.status < 300 ? 0 : 1
}

/** `-` is stdin, `@file` a file. */
function bodyWord(word: string, cwd: string): string {
  if (word === '-') return readFileSync(0, 'utf8')
  if (!word.startsWith('@')) return word
  try {
    return readFileSync(resolve(cwd, word.slice(1)), 'utf8')
  } catch (error) {
    throw new UsageError(`${word.slice(1)} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}
