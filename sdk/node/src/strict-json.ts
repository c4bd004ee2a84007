/** How deep arrays and objects may be nested. The server's parser has the same bound. */
const MAX_DEPTH = 127;

/** A number as it is spelled, so that no digit of it is lost. */
export class JsonNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What a text in JSON says. Objects have no prototype, so that no member name means anything. */
export type JsonValue = string | JsonNumber | boolean | null | readonly JsonValue[] | JsonObject;

export interface JsonObject {
  [name: string]: JsonValue;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads one JSON object (RFC 8259) in which no two readers could see different values: valid UTF-8, every member name
 * once at every depth, no lone surrogates, and nothing around the object but white space. `JSON.parse` takes the last
 * of two members with one name and loses digits of large numbers, so it cannot be used for a text that is signed.
 *
 * Undefined for everything else.
 */
export function parseObject(bytes: Uint8Array): JsonObject | undefined {
  let text;
  try {
    text = utf8.decode(bytes);
  } catch {
    return undefined;
  }
  try {
    return new Parser(text).whole();
  } catch (error) {
    if (error === NOT_JSON) {
      return undefined;
    }
    throw error;
  }
}

/** Thrown inside of the parser alone. It has no stack, which would cost more than the parsing. */
const NOT_JSON = Symbol("not JSON");

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): JsonObject {
    this.#skipSpace();
    if (this.#text[this.#at] !== "{") {
      throw NOT_JSON;
    }
    const object = this.#object(1);
    this.#skipSpace();
    if (this.#at !== this.#text.length) {
      throw NOT_JSON;
    }
    return object;
  }

  #skipSpace(): void {
    for (;;) {
      const c = this.#text.charCodeAt(this.#at);
      if (c !== 0x20 && c !== 0x09 && c !== 0x0a && c !== 0x0d) {
        return;
      }
      this.#at++;
    }
  }

  /** Consumes `c` if it is next, after white space. */
  #take(c: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== c) {
      return false;
    }
    this.#at++;
    return true;
  }

  /** Reads a value inside of `depth` arrays and objects. */
  #value(depth: number): JsonValue {
    this.#skipSpace();
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object(depth + 1);
      case "[":
        return this.#array(depth + 1);
      case '"':
        return this.#string();
      case "t":
        return this.#literal("true", true);
      case "f":
        return this.#literal("false", false);
      case "n":
        return this.#literal("null", null);
      default:
        return this.#number();
    }
  }

  #literal<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) {
      throw NOT_JSON;
    }
    this.#at += word.length;
    return value;
  }

  #object(depth: number): JsonObject {
    if (depth > MAX_DEPTH) {
      throw NOT_JSON;
    }
    this.#at++;
    const object = Object.create(null) as JsonObject;
    if (this.#take("}")) {
      return object;
    }
    do {
      this.#skipSpace();
      if (this.#text[this.#at] !== '"') {
        throw NOT_JSON;
      }
      const name = this.#string();
      if (!this.#take(":")) {
        throw NOT_JSON;
      }
      const value = this.#value(depth);
      if (name in object) {
        throw NOT_JSON;
      }
      object[name] = value;
    } while (this.#take(","));
    if (!this.#take("}")) {
      throw NOT_JSON;
    }
    return object;
  }

  #array(depth: number): readonly JsonValue[] {
    if (depth > MAX_DEPTH) {
      throw NOT_JSON;
    }
    this.#at++;
    const array: JsonValue[] = [];
    if (this.#take("]")) {
      return array;
    }
    do {
      array.push(this.#value(depth));
    } while (this.#take(","));
    if (!this.#take("]")) {
      throw NOT_JSON;
    }
    return array;
  }

  /** One that no float64 can hold is refused, as the server does. */
  #number(): JsonNumber {
    NUMBER.lastIndex = this.#at;
    const found = NUMBER.exec(this.#text);
    if (found === null || !Number.isFinite(Number(found[0]))) {
      throw NOT_JSON;
    }
    this.#at += found[0].length;
    return new JsonNumber(found[0]);
  }

  #string(): string {
    this.#at++;
    let text = "";
    let start = this.#at;
    for (;;) {
      const c = this.#text.charCodeAt(this.#at);
      if (c === QUOTE) {
        text += this.#text.slice(start, this.#at);
        this.#at++;
        return text;
      }
      if (c === BACKSLASH) {
        text += this.#text.slice(start, this.#at);
        this.#at++;
        text += this.#escape();
        start = this.#at;
      } else if (c >= 0x20) {
        this.#at++;
      } else {
        // A control character, or (NaN) the end.
        throw NOT_JSON;
      }
    }
  }

  /** Reads what follows a backslash. */
  #escape(): string {
    const c = this.#text[this.#at];
    this.#at++;
    if (c === "u") {
      const first = this.#hex4();
      if (first < 0xd800 || first > 0xdfff) {
        return String.fromCharCode(first);
      }
      // Half a pair stands for no character.
      this.#literal("\\u", null);
      const second = this.#hex4();
      if (first > 0xdbff || second < 0xdc00 || second > 0xdfff) {
        throw NOT_JSON;
      }
      return String.fromCharCode(first, second);
    }
    const escaped = c === undefined ? undefined : ESCAPES.get(c);
    if (escaped === undefined) {
      throw NOT_JSON;
    }
    return escaped;
  }

  #hex4(): number {
    const digits = this.#text.slice(this.#at, this.#at + 4);
    if (!HEX4.test(digits)) {
      throw NOT_JSON;
    }
    this.#at += 4;
    return Number.parseInt(digits, 16);
  }
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const HEX4 = /^[0-9a-fA-F]{4}$/;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);
