// For `npm run docs`: interfaces that take their properties over from a type that nobody else can name (`Counted` of
// lib/thread/counters.ts) have them as their own.
import { Converter, ReflectionKind } from 'typedoc';

const UNNAMED = 'Counted';
/** Behind typedoc's own handlers, one of which says where each property comes from. */
const LAST = -1_000_000;

export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const reflection of project.getReflectionsByKind(ReflectionKind.Interface)) {
      const named = reflection.extendedTypes?.filter(({ name }) => name !== UNNAMED);
      reflection.extendedTypes = named?.length ? named : undefined;
    }
  });
  const forgetOrigins = ({ project }) => {
    for (const property of project.getReflectionsByKind(ReflectionKind.Property)) {
      if (property.inheritedFrom?.name.startsWith(`${UNNAMED}.`)) property.inheritedFrom = undefined;
    }
  };
  app.converter.on(Converter.EVENT_RESOLVE_END, forgetOrigins, LAST);
}
