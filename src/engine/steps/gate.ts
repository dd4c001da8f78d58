// Which step plugins may wait for people. In a file of its own, as the conditions need no more of the plugins than this.

/** What weir's own plugins are called by. */
const OWN_PLUGINS = "weir.dev/";

/** Whether a step of this plugin may wait for people: those of weir's own do. */
export function isGate(name: string): boolean {
  return name.startsWith(OWN_PLUGINS);
}
