// Starts a system with everything that it needs: node run.mjs express-vue-redis before|after
import { missing, Stage } from "./stage/stage.mjs";

const [name, phase] = process.argv.slice(2);
if (name === undefined || !["before", "after"].includes(phase)) {
  console.error("node run.mjs SYSTEM before|after");
  process.exit(2);
}
const { default: system } = await import(`./${name}/system.mjs`);
const absent = missing(system);
if (absent !== undefined) {
  console.error(`${absent} is not here`);
  process.exit(1);
}
const stage = await Stage.open(system);
process.once("SIGINT", () => void stage.close().then(() => process.exit()));
process.once("SIGTERM", () => void stage.close().then(() => process.exit()));
if (phase === "before") {
  await stage.startBefore();
} else {
  // The old users are made by the old application.
  await stage.startBefore();
  await stage.stopApplication();
  await stage.prepareCountersign();
  process.stdout.write(stage.moveUsers());
  await stage.startAfter();
}
console.log(`${name}, ${phase} the move: ${stage.origin} (users ada and grace; Ctrl-C ends it)`);
