import "reflect-metadata";
import { fileURLToPath } from "node:url";
import { NestFactory } from "@nestjs/core";
import type { NestExpressApplication } from "@nestjs/platform-express";
import { AppModule } from "./app.module.js";

const app = await NestFactory.create<NestExpressApplication>(AppModule, { logger: ["error", "warn"] });
app.useStaticAssets(fileURLToPath(new URL("../dist", import.meta.url)));
await app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1");
