/**
 * Links as the insert takes them apart: two texts of one line for each link, fields parted by one character.
 * Nothing is escaped, so the characters that part must not occur in what they part. Control characters do well,
 * and make the line the very text that was hashed; where somebody wrote those into an event, others are looked for.
 */
import { canonicalText, hashedSeparator } from '../canonical.ts'
import type { ChainedRow } from './chain.ts'

interface Between {
  readonly fields: string
  readonly rows: string
  /** Stands for null. */
  readonly nulls: string
}

interface LinkLines {
  /** What each hash covers, audit-and-events §5.2. */
  readonly contents: string
  /** Time, hash, previous hash, HMAC, number, signature and key of each link. */
  readonly links: string
  readonly between: Between
}

const usual: Between = { fields: hashedSeparator, rows: '\x1e', nulls: '\x1d' }
const fieldsOfContent = 13
const fieldsOfLink = 7
/** Of a plane for private use. */
const firstPrivateUse = 0xf0000

/** Throws when a text is not Unicode: what is stored would not be what was signed. */
export function linkLines(rows: readonly ChainedRow[]): LinkLines {
  const lines = linesWith(usual, rows)
  if (!isUnicode(lines.contents) || !isUnicode(lines.links))
    throw new TypeError('a text of the event is not Unicode')
  return comeApart(lines, rows) ? lines : linesWith(absentFrom(lines), rows)
}

/** ES2024, in Node since 20. A pattern looks at every character where one of them is not Latin. */
const isUnicode = (text: string): boolean =>
  (text as string & { readonly isWellFormed: () => boolean }).isWellFormed()

function linesWith(between: Between, rows: readonly ChainedRow[]): LinkLines {
  const { fields, nulls } = between
  const contents: string[] = []
  const links: string[] = []
  for (const row of rows) {
    contents.push(fields === hashedSeparator ? row.canonical : canonicalText(row.form, fields))
    links.push(
      row.form.occurredAt.text +
        fields +
        row.contentSha256 +
        fields +
        (row.prevContentSha256 ?? nulls) +
        fields +
        row.chainHmac +
        fields +
        String(row.chainSeq) +
        fields +
        (row.ingestSignature ?? nulls) +
        fields +
        (row.chainKeyId ?? nulls),
    )
  }
  return { contents: contents.join(between.rows), links: links.join(between.rows), between }
}

/** True when what parts occurs nowhere else: inside a field it could only add to their number. */
function comeApart({ contents, links, between }: LinkLines, rows: readonly ChainedRow[]): boolean {
  const { length } = rows
  return (
    occurrences(contents, between.fields) === length * (fieldsOfContent - 1) &&
    occurrences(links, between.fields) === length * (fieldsOfLink - 1) &&
    occurrences(contents, between.rows) === length - 1 &&
    occurrences(links, between.rows) === length - 1 &&
    !rows.some(({ ingestSignature }) => ingestSignature === between.nulls)
  )
}

function occurrences(text: string, character: string): number {
  let count = 0
  for (let at = text.indexOf(character); at >= 0; at = text.indexOf(character, at + 1)) count += 1
  return count
}

/** Of the characters that mean nothing by themselves, three that are not in these lines. */
function absentFrom({ contents, links }: LinkLines): Between {
  const absent: string[] = []
  for (let code = firstPrivateUse; absent.length < 3; code += 1) {
    const character = String.fromCodePoint(code)
    if (!contents.includes(character) && !links.includes(character)) absent.push(character)
  }
  const [fields = '', rows = '', nulls = ''] = absent
  return { fields, rows, nulls }
}
