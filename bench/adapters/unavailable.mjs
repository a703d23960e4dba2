/** What a peer has no API for. The harness reports it; it is not a failure of the run. */
export class Unavailable extends Error {}
