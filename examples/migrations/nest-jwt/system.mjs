export default {
  name: "nest-jwt",
  stores: [],
  build: ["tsc", "vite"],
  main: "build/main.js",
};
