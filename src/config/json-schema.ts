import * as z from 'zod';
import { mappingSchema } from './mapping.ts';
import { configSchema } from './schema.ts';

/**
 * JSON Schema (draft 2020-12) of carrick.yaml or of mapping files, for editor completion.
 * `connectors` gives each connector's schema of its options, by type.
 */
export function jsonSchema(
  of: 'config' | 'mapping',
  connectors: ReadonlyMap<string, object>,
): object {
  if (of === 'mapping') return z.toJSONSchema(mappingSchema, { io: 'input' });
  const schema = z.toJSONSchema(configSchema, { io: 'input' });
  const systems = schema.properties?.systems;
  if (typeof systems !== 'object') return schema;
  const system = systems.additionalProperties as object;
  const options = [...connectors].map(([type, own]) => ({
    if: { properties: { connector: { const: type } } },
    // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
    then: optionsBeside(own),
  }));
  const connector = { type: 'string', enum: [...connectors.keys()] };
  const additionalProperties = { ...system, properties: { connector }, allOf: options };
  return {
    ...schema,
    properties: { ...schema.properties, systems: { ...systems, additionalProperties } },
  };
}

/** A connector's own schema knows nothing of the key `connector` that stands beside its options. */
function optionsBeside(schema: object): object {
  const { $schema: _, properties, ...rest } = schema as { $schema?: string; properties?: object };
  return { ...rest, properties: { ...properties, connector: true } };
}
