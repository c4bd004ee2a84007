export default {
  name: "express-vue-redis",
  stores: ["redis"],
  build: ["vite"],
  main: "server/main.js",
};
