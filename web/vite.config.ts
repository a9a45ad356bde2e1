import { defineConfig } from 'vitest/config';

// `npm run dev` serves the page with hot reload and passes everything else to a running `antiphon dev`.
const backend = 'http://localhost:7880';

export default defineConfig({
  base: './',
  build: { target: 'es2022', sourcemap: false, chunkSizeWarningLimit: 800 },
  server: {
    proxy: {
      '/api': backend,
      '/rtc': { target: backend, ws: true },
    },
  },
  test: { include: ['test/**/*.test.ts'] },
});
