import "reflect-metadata";
import { fileURLToPath } from "node:url";
import { Verifier } from "@countersign/node";
import { CountersignGuard } from "@countersign/node/nestjs";
import { NestFactory } from "@nestjs/core";
import type { NestExpressApplication } from "@nestjs/platform-express";
import { AppModule } from "./app.module.js";

/** Follows Countersign: it checks tokens in this process, and hears of every logout. */
const verifier = Verifier.connect({
  endpoint: process.env.COUNTERSIGN ?? "http://127.0.0.1:50051",
  issuer: "countersign",
  audiences: ["countersign"],
});

const app = await NestFactory.create<NestExpressApplication>(AppModule, { logger: ["error", "warn"] });
app.useStaticAssets(fileURLToPath(new URL("../dist", import.meta.url)));
app.useGlobalGuards(new CountersignGuard(verifier));
await app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1");
