/**
 * The narrator of the demo: numbered scenes with their times, facts, and expectations
 * that either hold or make the whole run fail.
 */
import type { Output } from '../output.ts'

export interface Story {
  /** Runs one scene and prints its title, what it says, and how long it took. */
  scene<T>(title: string, play: () => Promise<T>): Promise<T>
  say(text: string): void
  /** A labelled value, aligned with its neighbours. */
  fact(label: string, value: string): void
  /** Prints whether `holds`; the story remembers every expectation that did not. */
  expect(sentence: string, holds: boolean, observed?: string): void
  readonly failures: readonly string[]
}

export function createStory(out: Output): Story {
  const failures: string[] = []
  let number = 0
  let lines: string[] | null = null
  const print = (line: string) => (lines === null ? out.line(line) : lines.push(line))

  return {
    failures,
    async scene(title, play) {
      number += 1
      lines = []
      const started = performance.now()
      try {
        return await play()
      } finally {
        const took = duration(performance.now() - started)
        const told = lines
        lines = null
        out.line('')
        out.line(`${out.bold(`${number}. ${title}`)}  ${out.dim(took)}`)
        for (const line of told) out.line(line)
      }
    },
    say: (text) => print(`   ${text}`),
    fact: (label, value) => print(`   ${out.dim(label.padEnd(22))} ${value}`),
    expect(sentence, holds, observed) {
      if (holds) {
        print(`   ${out.mark('ok')} ${sentence}`)
        return
      }
      failures.push(sentence)
      print(
        `   ${out.mark('fail')} ${sentence}${observed === undefined ? '' : out.dim(`  (saw: ${observed})`)}`,
      )
    },
  }
}

/** `8.4 ms`, `1.2 s`. */
export function duration(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(1)} s`
}
