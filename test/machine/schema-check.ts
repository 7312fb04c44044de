import { readFileSync } from 'node:fs';

interface Schema {
  $defs?: Record<string, Schema>;
  $ref?: string;
  type?: string;
  enum?: unknown[];
  const?: unknown;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  pattern?: string;
  minItems?: number;
  items?: Schema;
  properties?: Record<string, Schema>;
  propertyNames?: Schema;
  additionalProperties?: boolean | Schema;
  required?: string[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  not?: Schema;
}

const KEYWORDS = new Set([
  ...['$schema', '$id', 'title', 'description', '$comment', '$defs', '$ref', 'type', 'enum', 'const', 'minimum', 'maximum', 'maxLength'],
  ...['pattern', 'minItems', 'items', 'properties', 'propertyNames', 'additionalProperties', 'required', 'anyOf', 'oneOf', 'not'],
]);

const root = JSON.parse(readFileSync(new URL('../../docs/changes.schema.json', import.meta.url), 'utf8')) as Schema;

/** Whether the published schema accepts `value`. Knows the keywords that the schema uses, and throws for any other. */
export function schemaAccepts(value: unknown): boolean {
  return accepts(root, value);
}

function accepts(schema: Schema, value: unknown): boolean {
  for (const keyword of Object.keys(schema)) if (!KEYWORDS.has(keyword)) throw new Error(`schema keyword ${keyword} is not known here`);
  return (
    (schema.$ref === undefined || accepts(definition(schema.$ref), value)) &&
    (schema.type === undefined || hasType(value, schema.type)) &&
    (schema.enum === undefined || schema.enum.includes(value)) &&
    (!('const' in schema) || schema.const === value) &&
    (schema.anyOf === undefined || schema.anyOf.some((each) => accepts(each, value))) &&
    (schema.oneOf === undefined || schema.oneOf.filter((each) => accepts(each, value)).length === 1) &&
    (schema.not === undefined || !accepts(schema.not, value)) &&
    (typeof value !== 'number' || (value >= (schema.minimum ?? -Infinity) && value <= (schema.maximum ?? Infinity))) &&
    (typeof value !== 'string' || acceptsString(schema, value)) &&
    (!Array.isArray(value) || acceptsArray(schema, value)) &&
    (!hasType(value, 'object') || acceptsObject(schema, value as Record<string, unknown>))
  );
}

function acceptsString(schema: Schema, value: string): boolean {
  return value.length <= (schema.maxLength ?? Infinity) && (schema.pattern === undefined || new RegExp(schema.pattern, 'u').test(value));
}

function acceptsArray(schema: Schema, value: unknown[]): boolean {
  const { items } = schema;
  return value.length >= (schema.minItems ?? 0) && (items === undefined || value.every((item) => accepts(items, item)));
}

function acceptsObject(schema: Schema, value: Record<string, unknown>): boolean {
  const { properties = {}, propertyNames, additionalProperties = true, required = [] } = schema;
  return (
    required.every((key) => Object.hasOwn(value, key)) &&
    Object.entries(value).every(([key, member]) => {
      const own = Object.hasOwn(properties, key) ? properties[key] : undefined;
      if (propertyNames !== undefined && !accepts(propertyNames, key)) return false;
      if (own !== undefined) return accepts(own, member);
      return typeof additionalProperties === 'boolean' ? additionalProperties : accepts(additionalProperties, member);
    })
  );
}

function hasType(value: unknown, type: string): boolean {
  if (type === 'array') return Array.isArray(value);
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  return typeof value === type;
}

function definition(reference: string): Schema {
  const found = root.$defs?.[reference.replace('#/$defs/', '')];
  if (found === undefined) throw new Error(`schema has no ${reference}`);
  return found;
}
