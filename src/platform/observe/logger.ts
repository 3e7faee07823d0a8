/**
 * The process's logger: one JSON object per line, ISO time, redacted before it is
 * written (storage-and-operations §14.1). Writing never blocks a request; lines that cannot be
 * buffered are dropped and counted.
 */
import { hostname } from 'node:os'
import {
  type Bindings,
  type ChildLoggerOptions,
  type DestinationStream,
  type Logger,
  pino,
  stdTimeFunctions,
} from 'pino'
import { redactFields, redactText, redactValue } from './redact.ts'
import { stdoutLines } from './stdout-lines.ts'

export interface LoggerOptions {
  /** `LOG_LEVEL`; an unknown name means `info`. */
  readonly level: string
  /** `CARACAL_ENV` */
  readonly env: string
  readonly version: string
  /** Of lines that belong to no role; `caracal` unless told otherwise. */
  readonly service?: string
  /** `CARACAL_LOG_MAX_FIELD_BYTES`; 0 or less disables truncation. */
  readonly maxFieldBytes: number
  /** `CARACAL_LOG_SAMPLE_DEBUG`: keep one of this many debug lines. */
  readonly sampleDebug: number
  /** Where lines go; stdout unless told otherwise. */
  readonly destination?: DestinationStream
}

export interface LogCounters {
  readonly emitted: number
  readonly dropped: number
  readonly sampled: number
}

export interface ProcessLogger {
  /** For lines of the process; each role logs through `log.child({ service: role })`. */
  readonly log: Logger
  counters(): LogCounters
  /** Passes on a finished line, of a thread of this process. */
  writeLine(line: string): void
  /** Waits, not for long, until what is buffered is written; call it last. */
  close(): Promise<void>
}

const levels: ReadonlySet<string> = new Set(['trace', 'debug', 'info', 'warn', 'error', 'fatal'])
const debugLevel = 20

/**
 * What a log call passes to pino beyond the fields, which `formatters.log` cleans. An error without a
 * message of its own gets one here, because pino would copy the error's text past every formatter.
 */
function safeArguments(args: readonly unknown[], maxBytes: number): unknown[] {
  const [first, ...rest] = args
  const texts = rest.map((arg) => redactValue(arg, maxBytes))
  if (typeof first === 'string') return [redactText(first, maxBytes), ...texts]
  const error = first instanceof Error ? first : (first as { readonly err?: unknown } | null)?.err
  const fields = first instanceof Error ? { err: first } : first
  if (texts.length === 0 && error instanceof Error) return [fields, redactText(error.message, maxBytes)]
  return [fields, ...texts]
}

/** Makes the root logger. The only place that constructs pino. */
export function createLogger(options: LoggerOptions): ProcessLogger {
  const counts = { emitted: 0, sampled: 0 }
  const maxBytes = options.maxFieldBytes
  const keepEvery = Math.max(1, Math.trunc(options.sampleDebug))
  let debugSeen = 0

  const stdout = options.destination ? null : stdoutLines()
  const destination = options.destination ?? (stdout as DestinationStream)

  const base = { hostname: hostname(), pid: process.pid, version: options.version, env: options.env }
  const bare = pino(
    {
      level: levels.has(options.level) ? options.level : 'info',
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      messageKey: 'msg',
      errorKey: 'err',
      serializers: { err: (value: unknown) => value },
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => redactFields(fields, maxBytes),
      },
      hooks: {
        logMethod(args, method, level) {
          if (level <= debugLevel && keepEvery > 1 && debugSeen++ % keepEvery !== 0) {
            counts.sampled += 1
            return
          }
          counts.emitted += 1
          const clean = safeArguments(args as readonly unknown[], maxBytes)
          method.apply(this, clean as Parameters<typeof method>)
        },
      },
    },
    destination,
  )

  // pino serialises a child's bindings once, past the formatters; children inherit this method.
  const bindChild = bare.child
  Object.defineProperty(bare, 'child', {
    value(this: Logger, bindings: Bindings, childOptions?: ChildLoggerOptions) {
      const clean = redactFields(bindings, maxBytes)
      // It would write what it inherits beside its own: a line names its service once.
      return clean.service === undefined
        ? (Reflect.apply(bindChild, this, [clean, childOptions]) as Logger)
        : (Reflect.apply(bindChild, bare, [
            { ...base, ...this.bindings(), ...clean },
            childOptions,
          ]) as Logger)
    },
  })

  return {
    log: bare.child({ service: options.service ?? 'caracal' }),
    counters: () => ({ ...counts, dropped: stdout?.dropped() ?? 0 }),
    writeLine(line) {
      counts.emitted += 1
      destination.write(line)
    },
    close: async () => stdout?.close(),
  }
}
