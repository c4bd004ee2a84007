export default defineNuxtConfig({
  compatibilityDate: "2026-01-01",
  telemetry: false,
  // The tokens are in the browser's storage, which the server cannot see.
  ssr: false,
});
