import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import { execFileSync } from "node:child_process";
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import express from "express";
import fastify from "fastify";
import "reflect-metadata";
import { Controller, Get, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { countersign, requireRole as fastifyRole } from "../src/fastify.js";
import { authenticate, refuse, requireRole, tokenOf } from "../src/http.js";
import { bearerToken, setToken } from "../src/index.js";
import { CountersignGuard, CurrentToken, Open, RequireRole } from "../src/nestjs.js";
import type { Token } from "../src/token.js";
import { Answers, someToken } from "../testing/answers.js";
import { get, holdToTheRules } from "../testing/requests.js";

const AUDIENCES = { audiences: ["orders"] };

function greeting(token: Token | undefined): string {
  return `${token?.username} ${token?.audiences.join()}`;
}

async function serve(t: TestContext, listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  t.after(() => server.close());
  return (server.address() as { port: number }).port;
}

test("node:http", async (t) => {
  const isAuthentic = authenticate(new Answers(), AUDIENCES);
  const roles = { "/root": requireRole("root"), "/admin": requireRole("admin") };
  const port = await serve(t, (request, response) => {
    isAuthentic(request, response, (error) => {
      if (error !== undefined) {
        response.writeHead(500).end();
        return;
      }
      const role = roles[request.url as keyof typeof roles];
      const greet = (): void => void response.end(greeting(tokenOf(request)));
      if (role === undefined) {
        greet();
      } else {
        role(request, response, greet);
      }
    });
  });
  await holdToTheRules(port);
});

test("Express", async (t) => {
  const app = express();
  app.set("env", "test");
  app.use(authenticate(new Answers(), AUDIENCES));
  app.get("/", (request, response) => void response.send(greeting(tokenOf(request))));
  app.get("/root", requireRole("root"), (_, response) => void response.send("never"));
  app.get("/admin", requireRole("admin"), (_, response) => void response.send("hello"));
  await holdToTheRules(await serve(t, app));
});

test("Fastify", async (t) => {
  const app = fastify();
  t.after(() => app.close());
  await app.register(countersign, {
    verifier: new Answers(),
    open: (request: { url: string }) => request.url === "/livez",
    ...AUDIENCES,
  });
  app.get("/", async (request) => greeting(tokenOf(request)));
  app.get("/livez", async (request) => String(tokenOf(request)));
  app.get("/root", { onRequest: fastifyRole("root") }, async () => "never");
  app.get("/admin", { preHandler: fastifyRole("admin") }, async () => "hello");
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as { port: number };
  await holdToTheRules(port);
  assert.equal((await get(port, "/livez")).body, "undefined");
});

class Greetings {
  hello(token: Token): string {
    return greeting(token);
  }

  root(): string {
    return "never";
  }

  admin(): string {
    return "hello";
  }

  livez(): string {
    return "ok";
  }
}
class App {}

/** What decorators would do. */
function decorate(): void {
  const on = (name: keyof Greetings, ...decorators: MethodDecorator[]): void => {
    for (const decorator of decorators) {
      decorator(Greetings.prototype, name, Object.getOwnPropertyDescriptor(Greetings.prototype, name)!);
    }
  };
  Controller()(Greetings);
  CurrentToken()(Greetings.prototype, "hello", 0);
  on("hello", Get("/"));
  on("root", Get("/root"), RequireRole("root"));
  on("admin", Get("/admin"), RequireRole("admin"));
  on("livez", Get("/livez"), Open());
  Module({ controllers: [Greetings] })(App);
}

test("NestJS", async (t) => {
  decorate();
  const app = await NestFactory.create(App, { logger: false });
  t.after(() => app.close());
  app.useGlobalGuards(new CountersignGuard(new Answers(), AUDIENCES));
  await app.listen(0, "127.0.0.1");
  const { port } = (app.getHttpServer() as ReturnType<typeof createServer>).address() as { port: number };
  await holdToTheRules(port);
  assert.equal((await get(port, "/livez")).body, "ok");
});

test("NestJS: a context of another kind is refused", async () => {
  const guard = new CountersignGuard(new Answers());
  const context = { getType: () => "ws", getHandler: () => App, getClass: () => App };
  await assert.rejects(guard.canActivate(context as never), /does not know/);
});

test("a request that is not let in is answered as one likes", async (t) => {
  const middleware = authenticate(new Answers(), {
    refuse: (refusal, request, response) => {
      if (request.url === "/usual") {
        refuse(refusal, response);
      } else {
        response.writeHead(418).end(refusal.outcome);
      }
    },
  });
  const port = await serve(t, (request, response) => middleware(request, response, () => response.end("hello")));
  assert.deepEqual([(await get(port, "/")).status, (await get(port, "/")).body], [418, "missing"]);
  assert.equal((await get(port, "/usual")).status, 401);
  assert.equal((await get(port, "/", "Bearer good")).body, "hello");
});

test("what a handler throws does not call it again", () => {
  // In a process of its own, which the error ends.
  const program = `
    import { authenticate } from "./build/src/http.js";
    const verifier = { verify: async () => ({ outcome: "verified", token: {} }) };
    process.on("uncaughtException", ({ message }) => console.log(message));
    authenticate(verifier)({ headers: { authorization: "Bearer good" } }, {}, (error) => {
      console.log("called", error);
      throw new Error("a defect of the handler");
    });`;
  const said = execFileSync(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: new URL("../../", import.meta.url),
    encoding: "utf8",
  });
  assert.equal(said, "called undefined\na defect of the handler\n");
});

test("a request that is refused goes on to nothing, though its answer has begun", async () => {
  const ask = async (response: object, options = {}): Promise<unknown> => {
    const request = { headers: { authorization: "Bearer expired" } } as IncomingMessage;
    return new Promise((resolve) => {
      authenticate(new Answers(), options)(request, response as never, resolve);
      setImmediate(resolve, "not called");
    });
  };
  let isCut = false;
  const begun = { headersSent: true, writableEnded: false, destroy: () => (isCut = true), writeHead: assert.fail };
  assert.deepEqual([await ask(begun), isCut], ["not called", true]);
  isCut = false;
  assert.deepEqual([await ask({ ...begun, writableEnded: true }), isCut], ["not called", false]);
  const broken = async (): Promise<void> => {
    throw new Error("a defect of refuse");
  };
  assert.match(String(await ask({}, { refuse: broken })), /a defect of refuse/);
});

test("NestJS: a handler goes before its controller", async () => {
  const guard = new CountersignGuard(new Answers());
  const place = (...decorators: ReturnType<typeof Open>[]): object => {
    class Place {}
    decorators.forEach((decorator) => decorator(Place));
    return Place;
  };
  const enter = (handler: object, controller: object, authorization?: string): Promise<boolean> => {
    const http = {
      getRequest: () => ({ headers: authorization === undefined ? {} : { authorization } }),
      getResponse: () => ({ setHeader: () => undefined }),
    };
    return guard.canActivate({
      getType: () => "http",
      getHandler: () => handler,
      getClass: () => controller,
      switchToHttp: () => http,
    } as never);
  };
  assert.equal(await enter(place(), place(Open())), true);
  assert.equal(await enter(place(Open()), place(RequireRole("root"))), true);
  await assert.rejects(enter(place(RequireRole("admin")), place(Open())), { status: 401 });
  await assert.rejects(enter(place(RequireRole("root")), place(Open()), "Bearer good"), { status: 403 });
  assert.equal(await enter(place(RequireRole("admin")), place(Open()), "Bearer good"), true);
  await assert.rejects(enter(place(Open(), RequireRole("admin")), place()), { status: 401 });
  await assert.rejects(enter(place(), place(RequireRole("root")), "Bearer good"), { status: 403 });
});

test("a request that an adapter has made up needs no raw headers", async () => {
  const verifier = new Answers();
  const request = { headers: { authorization: "Bearer good" } } as IncomingMessage;
  await new Promise((resolve) => {
    authenticate(verifier)(request, {} as never, resolve);
  });
  assert.equal(tokenOf(request)?.username, "ada");
});

test("a test of a handler can say who is calling", () => {
  const request = {} as IncomingMessage;
  assert.equal(tokenOf(request), undefined);
  const token = someToken();
  setToken(request, token);
  assert.equal(tokenOf(request), token);
  assert.deepEqual(Object.keys(request), []);
});

test("bearer tokens", () => {
  for (const good of ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "]) {
    assert.equal(bearerToken([good]), "a.b.c", good);
  }
  for (const bad of [
    [],
    ["Bearer"],
    ["Bearer "],
    ["Basic a.b.c"],
    ["a.b.c"],
    ["Bearer a", "Bearer a"],
    ["Bearer a b"],
    ["Bearer a,b c"],
  ]) {
    assert.equal(bearerToken(bad), undefined, String(bad));
  }
});
