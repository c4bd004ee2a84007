export default defineNitroPlugin((nitro) => {
  nitro.hooks.hook("render:html", (html, { event }) => {
    html.head.push(`<meta name="csrf-token" content="${event.context.csrf}">`);
  });
});
