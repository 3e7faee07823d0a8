/**
 * Positions in a stream of the Postgres driver: (xid, seq), written as the entry
 * id `<xid>-<seq>`. Sorted this way everything below the oldest running
 * transaction is final; sorted by seq alone it is not, because a writer may draw
 * a low number and still commit after a reader passed it.
 */
export interface Position {
  readonly xid: bigint
  readonly seq: bigint
}

export const origin: Position = { xid: 0n, seq: 0n }
/** The column goes no further. */
export const maxSeq = 9223372036854775807n

export function formatId(position: Position): string {
  return `${position.xid}-${position.seq}`
}

/** Throws on anything that is not `<a>-<b>` or a bare `<a>`. */
export function parseId(id: string): Position {
  const match = /^(\d{1,20})(?:-(\d{1,20}))?$/.exec(id)
  if (match === null) throw new TypeError(`not an entry id: ${id}`)
  return { xid: BigInt(match[1] as string), seq: BigInt(match[2] ?? '0') }
}

export function compareIds(left: string, right: string): number {
  const a = parseId(left)
  const b = parseId(right)
  if (a.xid !== b.xid) return a.xid < b.xid ? -1 : 1
  if (a.seq !== b.seq) return a.seq < b.seq ? -1 : 1
  return 0
}
