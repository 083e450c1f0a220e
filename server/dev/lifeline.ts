/**
 * How a node notices that the supervisor that started it is gone, even by kill -9: the IPC channel
 * between them closes. A node started by anything else has no such channel.
 */
export function whenSupervisorIsGone(run: () => void): void {
  // Gone before this node had even loaded: the event is over, only the flag is left.
  if (process.connected === false) {
    run();
    return;
  }
  const channel = process.channel;
  if (channel === undefined || channel === null) return;
  process.once("disconnect", run);
  // The channel alone is no reason to go on living.
  channel.unref();
}
