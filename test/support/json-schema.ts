// What of JSON Schema (draft 7) lib/cli/config/serve.schema.json uses; another word in it is an error.

type Schema = Record<string, unknown>;

/** What is only said to people. */
const WORDS_FOR_PEOPLE = ['$schema', 'title', 'description', 'definitions'];

const isObject = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

const TYPES: Record<string, (value: unknown) => boolean> = {
  object: isObject,
  array: Array.isArray,
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  null: (value) => value === null,
  integer: Number.isInteger,
};

/** Each word on its own, as draft 7 has it: what it does not speak of is fine. */
const KEYWORDS: Record<string, (value: unknown, word: never, all: Schema, root: Schema) => boolean> = {
  $ref: (value, ref: string, _, root) => {
    const target = (root.definitions as Record<string, Schema>)[ref.replace('#/definitions/', '')];
    if (target === undefined) throw new Error(`there is no ${ref}`);
    return accepts(target, value, root);
  },
  type: (value, type: string) => TYPES[type](value),
  const: (value, only: unknown) => value === only,
  enum: (value, all: unknown[]) => all.includes(value),
  anyOf: (value, all: Schema[], _, root) => all.some((each) => accepts(each, value, root)),
  not: (value, other: Schema, _, root) => !accepts(other, value, root),
  minimum: (value, min: number) => typeof value !== 'number' || value >= min,
  maximum: (value, max: number) => typeof value !== 'number' || value <= max,
  minLength: (value, min: number) => typeof value !== 'string' || [...value].length >= min,
  maxLength: (value, max: number) => typeof value !== 'string' || [...value].length <= max,
  pattern: (value, pattern: string) => typeof value !== 'string' || new RegExp(pattern, 'u').test(value),
  minItems: (value, min: number) => !Array.isArray(value) || value.length >= min,
  maxItems: (value, max: number) => !Array.isArray(value) || value.length <= max,
  items: (value, each: Schema, _, root) => !Array.isArray(value) || value.every((one) => accepts(each, one, root)),
  required: (value, names: string[]) => !isObject(value) || names.every((name) => Object.hasOwn(value, name)),
  properties: (value, each: Record<string, Schema>, _, root) =>
    !isObject(value) ||
    Object.entries(each).every(([name, one]) => !(name in value) || accepts(one, value[name], root)),
  additionalProperties: (value, _: false, all) =>
    !isObject(value) || Object.keys(value).every((name) => Object.hasOwn(all.properties as object, name)),
  dependencies: (value, each: Record<string, string[] | Schema>, _, root) =>
    !isObject(value) ||
    Object.entries(each).every(([name, needs]) => {
      if (!Object.hasOwn(value, name)) return true;
      return Array.isArray(needs) ? needs.every((other) => Object.hasOwn(value, other)) : accepts(needs, value, root);
    }),
};

/** Is the value one that the schema describes? */
export function accepts(schema: Schema, value: unknown, root = schema): boolean {
  for (const [name, word] of Object.entries(schema)) {
    if (WORDS_FOR_PEOPLE.includes(name)) continue;
    const keyword = KEYWORDS[name];
    if (keyword === undefined) throw new Error(`${name} is not known here`);
    if (!keyword(value, word as never, schema, root)) return false;
  }
  return true;
}
