import { defineConfig } from 'vite';

// GraphiQL's fonts come as data in the style sheets, for every script there is, italics included.
// Latin and Cyrillic upright stay; the rest falls back to a system font.
const fewerFonts = {
  name: 'fewer-fonts',
  enforce: 'pre',
  transform: {
    filter: { id: /@graphiql\/react\/font\/[\w-]+\.css$/ },
    handler: (css) =>
      css.replace(/@font-face\s*\{[^}]*\}/g, (face) =>
        /font-style:\s*normal/.test(face) && /U\+0000-00FF|U\+0400-045F/.test(face) ? face : '',
      ),
  },
};

export default defineConfig({
  // The page is served at `/`, all it loads under this path.
  base: '/graphiql/',
  plugins: [fewerFonts],
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 4096,
    rolldownOptions: {
      // "use client" means nothing here.
      checks: { moduleLevelDirective: false },
    },
  },
  worker: {
    format: 'es',
  },
});
