// Numbers that a command was given: a typing error is no run of nothing.

/** Ends the process unless each option that is there is a whole number of at least `least[name]`. */
export function requireWholeNumbers(options, least) {
  for (const [name, min] of Object.entries(least)) {
    const text = options[name];
    if (text === undefined || (/^\d{1,15}$/.test(text) && Number(text) >= min)) continue;
    console.error(`--${name} takes a whole number from ${min} on, not '${text}'`);
    process.exit(1);
  }
}
