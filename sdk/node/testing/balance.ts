import { connect, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { finished } from "node:stream";

/** Passes each connection on to one of the addresses that are ready, in turn, as a Service of Kubernetes does. */
export async function balance(t: TestContext, ready: ReadonlySet<string>): Promise<string> {
  const open = new Set<Socket>();
  let turn = 0;
  const server = createServer((client) => {
    const addresses = [...ready];
    const address = addresses[turn++ % addresses.length];
    if (address === undefined) {
      client.destroy();
      return;
    }
    const [host, port] = address.split(":") as [string, string];
    const upstream = connect(Number(port), host);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(from);
      from.on("error", () => undefined);
      from.pipe(to);
      finished(from, () => {
        open.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  t.after(() => {
    server.close();
    open.forEach((socket) => socket.destroy());
  });
  return `127.0.0.1:${(server.address() as { port: number }).port}`;
}
