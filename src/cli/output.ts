/** What commands say to people: marks, colours, and never a secret (sdk-cli-console §12.3). */
import type { Environment } from '../config/load.ts'

type Mark = 'ok' | 'fail' | 'warn' | 'info' | 'step'

const marks: Readonly<
  Record<Mark, { readonly wide: string; readonly ascii: string; readonly colour: number }>
> = {
  ok: { wide: '✓', ascii: '+', colour: 32 },
  fail: { wide: '✗', ascii: 'x', colour: 31 },
  warn: { wide: '⚠', ascii: '!', colour: 33 },
  info: { wide: 'ℹ', ascii: 'i', colour: 36 },
  step: { wide: '→', ascii: '>', colour: 36 },
}

export interface OutputStream {
  write(text: string): unknown
  readonly isTTY?: boolean
}

export interface Output {
  /** One line on stdout, as it is apart from secrets. */
  line(text: string): void
  /** On stdout exactly as it is: data that was asked for. */
  raw(text: string): void
  /** One line on stderr. */
  errorLine(text: string): void
  /** A marked line: `fail` and `warn` on stderr, the others on stdout. */
  status(mark: Mark, text: string): void
  /** The mark alone, for lines that carry more; coloured for stdout. */
  mark(mark: Mark): string
  bold(text: string): string
  dim(text: string): string
  scrub(text: string): string
}

export function createOutput(env: Environment, stdout: OutputStream, stderr: OutputStream): Output {
  const wide = /utf-?8/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || '') || Boolean(env.WT_SESSION)
  const scrub = createScrubber(env)
  const paint = (stream: OutputStream, colour: number, text: string): string =>
    wantsColour(env, stream) ? `\u001b[${colour}m${text}\u001b[0m` : text
  const write = (stream: OutputStream, text: string): void => {
    stream.write(`${scrub(text)}\n`)
  }
  const sign = (mark: Mark, stream: OutputStream): string =>
    paint(stream, marks[mark].colour, wide ? marks[mark].wide : marks[mark].ascii)
  return {
    line: (text) => write(stdout, text),
    raw(text) {
      stdout.write(text)
    },
    errorLine: (text) => write(stderr, text),
    status(mark, text) {
      const stream = mark === 'fail' || mark === 'warn' ? stderr : stdout
      write(stream, `${sign(mark, stream)} ${text}`)
    },
    mark: (mark) => sign(mark, stdout),
    bold: (text) => paint(stdout, 1, text),
    dim: (text) => paint(stdout, 2, text),
    scrub,
  }
}

function wantsColour(env: Environment, stream: OutputStream): boolean {
  const set = (name: string): boolean => {
    const value = env[name]
    return value !== undefined && value !== '' && value !== '0' && value.toLowerCase() !== 'false'
  }
  if (set('NO_COLOR') || set('CARACAL_NO_COLOR')) return false
  if (set('FORCE_COLOR') || set('CARACAL_COLOR')) return true
  return stream.isTTY === true
}

const secretShapes: readonly (readonly [RegExp, string])[] = [
  [/\beyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*/g, '***'],
  [/\bcaracal_[ar]t_[A-Za-z0-9_-]+/g, '***'],
  [/\b(?:cat|ws)_[A-Za-z0-9_-]{8,}/g, '***'],
  [/\bBearer\s+[A-Za-z0-9._~+/=-]+/gi, '***'],
  // Up to the last @ before the path: a password may hold one as it is.
  [/\b([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s/]+@/gi, '$1:***@'],
]

const secretNames = /(?:SECRET|TOKEN|PASSWORD|KEK|HMAC_KEY|BEARER)/
/** Where secrets are kept, which is no secret. */
const placeNames = /_(?:FILE|DIR|BACKEND)$/

/** Replaces everything that looks like a secret, and every secret that the environment holds. */
function createScrubber(env: Environment): (text: string) => string {
  const values = Object.entries(env)
    .filter(([name, value]) => secretNames.test(name) && !placeNames.test(name) && (value?.length ?? 0) >= 8)
    .map(([, value]) => value ?? '')
  return (text) => {
    let clean = text
    for (const value of values) clean = clean.replaceAll(value, '***')
    for (const [shape, replacement] of secretShapes) clean = clean.replace(shape, replacement)
    return clean
  }
}
