import pino from 'pino'
import { Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'
import { createJobRunner } from '../../../src/platform/jobs/runner.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { heard } from '../../fixtures/heard.ts'

const log = pino({ level: 'silent' })

describe('periodic jobs', () => {
  test('a job never overlaps itself, and begins at once only when it asks to', async () => {
    await using runner = createJobRunner({ log })
    let running = 0
    let most = 0
    let runs = 0
    let later = 0
    runner.start([
      {
        name: 'slow',
        intervalMs: 1,
        immediate: true,
        async run() {
          running += 1
          runs += 1
          most = Math.max(most, running)
          await new Promise((resolve) => setTimeout(resolve, 20))
          running -= 1
        },
      },
      {
        name: 'later',
        intervalMs: 60_000,
        async run() {
          later += 1
        },
      },
    ])
    expect(runs).toBe(1)
    await eventually(() => runs >= 4, { what: 'some runs' })
    expect(most).toBe(1)
    expect(later).toBe(0)
  })

  test('a failure is logged by name under a trace of its iteration, counted, and tried again', async () => {
    const lines: string[] = []
    const metrics = new Registry()
    await using runner = createJobRunner({
      log: pino({ level: 'error' }, { write: (line: string) => void lines.push(line) }),
      metrics,
    })
    let runs = 0
    runner.start([
      {
        name: 'flaky',
        intervalMs: 1,
        immediate: true,
        async run() {
          runs += 1
          if (runs <= 2) throw new Error('not yet')
        },
      },
    ])
    await eventually(() => runs >= 3, { what: 'ran again' })
    const failed = lines.map((line) => JSON.parse(line) as { msg: string; trace_id: string })
    expect(failed.map(({ msg }) => msg)).toEqual(['flaky_failed', 'flaky_failed'])
    for (const { trace_id } of failed) expect(trace_id).toMatch(/^[0-9a-f]{32}$/)
    expect(failed[0]?.trace_id).not.toBe(failed[1]?.trace_id)
    expect(await metrics.metrics()).toContain('caracal_job_failures_total{job="flaky"} 2')
  })

  test('all that one iteration says is under one trace, its failure too; the next has another', async () => {
    const { log: told, lines } = heard()
    await using runner = createJobRunner({ log: told.child({ service: 'audit' }) })
    let runs = 0
    runner.start([
      {
        name: 'talker',
        intervalMs: 1,
        immediate: true,
        async run(context) {
          runs += 1
          if (runs > 2) return
          context.log.info('began')
          await Promise.resolve()
          context.log.child({ zone_id: 'z' }).warn('went on')
          throw new Error('ended badly')
        },
      },
    ])
    await eventually(() => runs >= 3, { what: 'ran again' })
    const [first, second] = [lines.slice(0, 3), lines.slice(3)]
    for (const run of [first, second]) {
      expect(run.map(({ msg }) => msg)).toEqual(['began', 'went on', 'talker_failed'])
      expect(new Set(run.map(({ trace_id }) => trace_id)).size).toBe(1)
    }
    expect(first[0]?.trace_id).toMatch(/^[0-9a-f]{32}$/)
    expect(second[0]?.trace_id).not.toBe(first[0]?.trace_id)
  })

  test('stopping aborts in reverse order and waits for what runs', async () => {
    const runner = createJobRunner({ log })
    const ended: string[] = []
    const job = (name: string) => ({
      name,
      intervalMs: 1000,
      immediate: true,
      run: ({ signal }: { signal: AbortSignal }) =>
        new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => {
            ended.push(name)
            setTimeout(resolve, 20)
          })
        }),
    })
    runner.start([job('first'), job('second')])
    expect(await runner.stop()).toEqual([])
    expect(ended).toEqual(['second', 'first'])
  })

  test('a job that does not end is named, and not waited for beyond the bound', async () => {
    const runner = createJobRunner({ log, stopTimeoutMs: 30 })
    runner.start([
      { name: 'stuck', intervalMs: 1, immediate: true, run: () => new Promise<void>(() => undefined) },
    ])
    expect(await runner.stop()).toEqual(['stuck'])
  })
})
