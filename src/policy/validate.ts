/** Authoring checks of one document, in the order of sts §16.3 (control-api §7.10). */
import { linkDocuments } from './bundle.ts'
import { CONTRACT_PACKAGE, MAX_DOCUMENT_CHARS } from './contract.ts'
import type { DocumentPreview, ValidationCode, ValidationResult } from './document.ts'
import { isDataDocumentName, type MergedDocuments } from './merge.ts'
import { constantOf } from './rego/constant.ts'
import { RegoSyntaxError } from './rego/failure.ts'
import { parseModule } from './rego/parser.ts'
import { referencedPaths } from './rego/references.ts'
import type { Module } from './rego/syntax.ts'
import { toJson, type Value } from './rego/value.ts'
import { forbiddenCall, isPackageName, packageName, ruleHeads, scanText } from './scan.ts'
import { documentWarnings } from './warnings.ts'

/** Checks one document for authoring: the ordered codes of sts §16.3, and its preview. Never throws. */
export function validateDocument(content: string): ValidationResult {
  if (content.trim() === '') return refusal('empty_policy', 'the document is empty')
  if (content.length > MAX_DOCUMENT_CHARS) {
    return refusal('content_too_large', `a document may have at most ${MAX_DOCUMENT_CHARS} characters`)
  }
  const { problem, code, lineComments } = scanText(content)
  if (problem !== null) return refusal(problem, textProblems[problem])

  const name = packageName(code)
  if (name === null) return refusal('missing_package_declaration', 'the document declares no package')
  if (!isPackageName(name)) return refusal('invalid_package_name', 'the package name is not a dotted name')
  const forbidden = forbiddenCall(code)
  if (forbidden !== null) {
    return refusal(`forbidden_builtin:${forbidden}`, `${forbidden} cannot be used in a policy`)
  }
  if (name !== CONTRACT_PACKAGE) {
    return refusal('must_use_package_caracal_authz', `the package must be ${CONTRACT_PACKAGE}`)
  }
  if (!lineComments.includes('caracal:data-document')) {
    return refusal('must_be_data_document', 'a line must be the comment # caracal:data-document')
  }

  const parsed = parse(content)
  const heads = parsed instanceof RegoSyntaxError ? ruleHeads(code) : parsed.rules.map((rule) => rule.name)
  const misplaced = headProblem(heads)
  if (misplaced !== null) return misplaced
  if (parsed instanceof RegoSyntaxError) return unsupported(parsed, parsed.message)
  const linked = link(parsed)
  if (linked instanceof RegoSyntaxError) return unsupported(linked, linked.message)
  if ('message' in linked) return unsupported(linked.at, linked.message)

  return { ok: true, preview: previewOf(parsed), warnings: documentWarnings(standingValues(parsed, linked)) }
}

/** What the document says without a condition: its literal values, and the defaults of what is computed. */
function standingValues(module: Module, { values, computed }: MergedDocuments): ReadonlyMap<string, unknown> {
  const standing = new Map<string, Value>(values)
  for (const { name, isDefault, value } of module.rules) {
    const constant =
      isDefault && isDataDocumentName(name) && computed.has(name) ? constantOf(value) : undefined
    if (constant !== undefined) standing.set(name, constant)
  }
  return new Map([...standing].map(([name, value]) => [name, toJson(value)]))
}

const textProblems = {
  unterminated_string: 'a string is not closed',
  unbalanced_delimiters: 'brackets do not pair up',
} as const

function parse(content: string): Module | RegoSyntaxError {
  try {
    return parseModule('document', content)
  } catch (error) {
    if (error instanceof RegoSyntaxError) return error
    throw error
  }
}

function link(module: Module): ReturnType<typeof linkDocuments> | RegoSyntaxError {
  try {
    return linkDocuments([module])
  } catch (error) {
    if (error instanceof RegoSyntaxError) return error
    throw error
  }
}

function headProblem(heads: readonly string[]): ValidationResult | null {
  if (heads.includes('result')) {
    return refusal('data_document_must_not_define_result', 'result belongs to the platform')
  }
  if (heads.length === 0) return refusal('data_document_must_define_data', 'the document defines no data')
  const foreign = heads.find((head) => !isDataDocumentName(head))
  if (foreign === undefined) return null
  return refusal(`data_document_rule_not_allowed:${foreign}`, `${foreign} is not a data document`)
}

function previewOf(module: Module): DocumentPreview {
  const { inputs, data } = referencedPaths(module)
  return {
    package: module.package.join('.'),
    rules: [...new Set(module.rules.map((rule) => rule.name))].sort(),
    default_result: false,
    decisions: [],
    inputs_referenced: inputs,
    data_referenced: data,
  }
}

function unsupported(
  at: { readonly line: number; readonly column: number },
  message: string,
): ValidationResult {
  return refusal(
    `data_document_unsupported_syntax:${at.line}:${at.column}`,
    `line ${at.line}, column ${at.column}: ${message}`,
  )
}

function refusal(code: ValidationCode, detail: string): ValidationResult {
  return { ok: false, code, detail }
}
