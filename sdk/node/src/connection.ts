import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { credentials, Client, Metadata, type ChannelCredentials, type ClientOptions } from "@grpc/grpc-js";
import { refuseUnknown } from "./options.js";
import { FIRST_PAUSE } from "./pause.js";

/**
 * How to speak TLS with a server. The files are read for each connection, so that what replaces them is used from the
 * next one on; the server ends connections after some ten minutes.
 */
export interface Tls {
  /**
   * The file of the authorities in PEM that the server's certificate must come from. No others are trusted. Missing:
   * those of Node.
   */
  readonly caFile?: string | undefined;
  /** The file of the client's own certificate in PEM, for a server that asks for one. */
  readonly certFile?: string | undefined;
  /** The file of its private key in PEM. */
  readonly keyFile?: string | undefined;
  /** The name that the server's certificate must have, where it is not the host of the endpoint. */
  readonly serverName?: string | undefined;
}

/**
 * A service key or an access token, or a function that gives one. Whoever sees the connection reads it, so use https
 * beyond the loopback interface.
 */
export type Credential = string | (() => string | Promise<string>);

/** Throws a `TypeError` where a credential cannot be sent. The error does not show it, as gRPC's own does. */
function checkCredential(credential: Credential | undefined): void {
  if (credential !== undefined && typeof credential !== "function") {
    checkCredentialText(credential);
  }
}

function checkCredentialText(text: unknown): string {
  if (typeof text !== "string" || !/^[\x21-\x7e]+$/.test(text)) {
    throw new TypeError("countersign: the credential is empty, or has a space, a line end or another such character");
  }
  return text;
}

/** The metadata of a call that brings the credential, which must be there within `patience` milliseconds. */
export async function metadataWith(
  credential: Credential | undefined,
  patience: number,
  signal: AbortSignal | undefined,
): Promise<Metadata> {
  const metadata = new Metadata();
  if (credential !== undefined) {
    const text = typeof credential === "string" ? credential : await inTime(credential, patience, signal);
    metadata.set("authorization", `Bearer ${checkCredentialText(text)}`);
  }
  return metadata;
}

async function inTime(
  give: () => string | Promise<string>,
  patience: number,
  signal: AbortSignal | undefined,
): Promise<string> {
  let over: (error: unknown) => void = () => undefined;
  const late = new Promise<never>((_, reject) => {
    over = reject;
  });
  const timer = setTimeout(() => over(new Error("countersign: the credential takes too long")), patience);
  const aborted = (): void => over(signal?.reason);
  signal?.addEventListener("abort", aborted);
  try {
    signal?.throwIfAborted();
    return await Promise.race([give(), late]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", aborted);
  }
}

/** One message of the server's is at most as long. */
export const MAX_MESSAGE_BYTES = 16 * 2 ** 20;

/** How to connect. */
export interface ConnectionOptions {
  readonly endpoint: string;
  readonly tls?: Tls | undefined;
  readonly credential?: Credential | undefined;
  /** How long connecting, or the answer to a probe of the connection, may take, in milliseconds. */
  readonly patience: number;
  /** The longest pause before connecting again, in milliseconds. */
  readonly maxBackoff: number;
}

const TLS_NAMES: Readonly<Record<keyof Tls, true>> = { caFile: true, certFile: true, keyFile: true, serverName: true };

/** Makes connections to `http://host:port` or `https://host[:port]`. */
export class Connector {
  readonly #target: string;
  readonly #tls: Tls | undefined;
  readonly #options: ClientOptions;

  /** Throws an error that says what is wrong with the endpoint, the credential or the files. */
  constructor({ endpoint, tls, credential, patience, maxBackoff }: ConnectionOptions) {
    checkCredential(credential);
    if (tls !== undefined) {
      refuseUnknown(tls, TLS_NAMES);
    }
    const { target, authority, secure } = parseEndpoint(endpoint);
    if (!secure && tls !== undefined) {
      throw new TypeError(`countersign: the endpoint ${JSON.stringify(endpoint)} has TLS options, but is not https://`);
    }
    this.#target = target;
    this.#tls = secure ? (tls ?? {}) : undefined;
    this.#options = {
      // A connection of its own: what is closed here is closed, and a new one is made anew.
      "grpc.use_local_subchannel_pool": 1,
      "grpc.initial_reconnect_backoff_ms": Math.min(FIRST_PAUSE, maxBackoff),
      // gRPC's own longest pause is two minutes.
      "grpc.max_reconnect_backoff_ms": maxBackoff,
      "grpc.dns_min_time_between_resolutions_ms": Math.min(1000, maxBackoff),
      "grpc.keepalive_time_ms": 10_000,
      "grpc.keepalive_timeout_ms": patience,
      "grpc.keepalive_permit_without_calls": 1,
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
      "grpc.enable_retries": 0,
      "grpc.service_config_disable_resolution": 1,
      // The server is a neighbour, and a proxy of the environment is for the world outside.
      "grpc.enable_http_proxy": 0,
      ...(authority === undefined ? {} : { "grpc.default_authority": authority }),
      ...(tls?.serverName === undefined
        ? {}
        : { "grpc.ssl_target_name_override": tls.serverName, "grpc.default_authority": tls.serverName }),
    };
    // So that a wrong path is known at the start.
    this.#credentials();
  }

  /** Makes a connection, with the files as they are now. It connects when it is used. */
  open(): Client {
    return new Client(this.#target, this.#credentials(), this.#options);
  }

  /** What the files say now; the same text for the same files. */
  files(): string {
    const { caFile, certFile, keyFile } = this.#tls ?? {};
    return [caFile, certFile, keyFile]
      .map((path) => (path === undefined ? "" : readPem(path).toString("base64")))
      .join();
  }

  #credentials(): ChannelCredentials {
    if (this.#tls === undefined) {
      return credentials.createInsecure();
    }
    const { caFile, certFile, keyFile } = this.#tls;
    if ((certFile === undefined) !== (keyFile === undefined)) {
      throw new TypeError("countersign: a certificate needs its key, and a key its certificate");
    }
    const ca = caFile === undefined ? null : readPem(caFile);
    if (ca !== null && !ca.includes("-----BEGIN CERTIFICATE-----")) {
      throw new Error(`countersign: ${caFile}: no certificate is in it`);
    }
    try {
      return credentials.createSsl(
        ca,
        keyFile === undefined ? null : readPem(keyFile),
        certFile === undefined ? null : readPem(certFile),
      );
    } catch (cause) {
      throw new Error(`countersign: ${[caFile, certFile, keyFile].filter(Boolean).join(", ")}: ${String(cause)}`, {
        cause,
      });
    }
  }
}

/** Reads a file without the byte order mark that some editors put at its head. */
function readPem(path: string): Buffer {
  let pem;
  try {
    pem = readFileSync(path);
  } catch (cause) {
    throw new Error(`countersign: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  return pem.subarray(pem.subarray(0, 3).equals(Buffer.from("\ufeff")) ? 3 : 0);
}

function parseEndpoint(endpoint: string): { target: string; authority: string | undefined; secure: boolean } {
  const form = /^(https?):\/\/([^/?#@\s]+)\/?$/.exec(typeof endpoint === "string" ? endpoint : "");
  if (form === null || !URL.canParse(endpoint)) {
    throw new TypeError(
      `countersign: the endpoint ${JSON.stringify(endpoint)} is not http://host:port or https://host:port`,
    );
  }
  const { hostname, port, protocol } = new URL(endpoint);
  const secure = protocol === "https:";
  const at = port || (secure ? "443" : "80");
  // Such a name is this machine (RFC 6761 §6.3), and not every resolver knows that.
  const local = hostname.endsWith(".localhost");
  return {
    target: `dns:///${local ? "127.0.0.1" : hostname}:${at}`,
    authority: local ? `${hostname}:${at}` : undefined,
    secure,
  };
}

/** How often it is looked whether the files have changed, in milliseconds. */
const FILES_EVERY = 1000;

/** One connection for many calls, which is made anew when the files have changed. */
export class SharedConnection {
  readonly #connector: Connector;
  readonly #now: () => number;
  #client: Client | undefined;
  #files = "";
  #lookedAt = -Infinity;
  #closed = false;

  constructor(connector: Connector, now: () => number = () => performance.now()) {
    this.#connector = connector;
    this.#now = now;
  }

  /** Throws where a file is not what it must be at first, or after `close`. */
  get(): Client {
    if (this.#closed) {
      throw new Error("countersign: it was closed");
    }
    const now = this.#now();
    if (this.#client === undefined) {
      this.#files = this.#connector.files();
      this.#client = this.#connector.open();
      this.#lookedAt = now;
    } else if (now - this.#lookedAt >= FILES_EVERY) {
      this.#lookedAt = now;
      this.#renew(this.#client);
    }
    return this.#client;
  }

  #renew(before: Client): void {
    try {
      const files = this.#connector.files();
      if (files !== this.#files) {
        this.#client = this.#connector.open();
        this.#files = files;
        // Calls that are under way end on the old one.
        before.close();
      }
    } catch {
      // Somebody is about to replace them: a certificate without its key yet. The connection that there is goes on.
    }
  }

  close(): void {
    this.#closed = true;
    this.#client?.close();
  }
}
