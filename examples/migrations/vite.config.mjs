import vue from "@vitejs/plugin-vue";

/** What all of the front ends that are built by Vite have in common. */
export default {
  plugins: [vue()],
  esbuild: { jsx: "automatic" },
  build: { outDir: "../dist", emptyOutDir: true },
};
