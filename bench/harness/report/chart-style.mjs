// One colour for each program in every chart.
const colors = {
  ksocket: '#0f766e',
  'node:dgram': '#64748b',
  'node:dgram, newest': '#94a3b8',
  Bun: '#d97706',
  Deno: '#7c3aed',
  'Deno node:dgram': '#a78bfa',
  'udx-native': '#db2777',
  C: '#1e293b',
};

/** Variants of a peer (`ksocket 'batch'`) have its colour, lighter. */
export function colorOf(name) {
  if (colors[name]) return colors[name];
  if (name.startsWith('ksocket')) return '#5eb8a9';
  if (name.startsWith('C')) return '#475569';
  return '#cbd5e1';
}

export const textStyle = { fontFamily: 'system-ui, sans-serif', fontSize: 12, color: '#1e293b' };

export const titleStyle = { ...textStyle, fontSize: 14, fontWeight: 600 };
