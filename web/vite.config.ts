import { defineConfig } from 'vitest/config';

// `npm run dev` serves the page with hot reload and passes everything else to a running `antiphon dev`.
const backend = 'http://localhost:7880';

export default defineConfig({
  base: './',
  build: { target: 'es2022', sourcemap: false, chunkSizeWarningLimit: 800 },
  server: {
    proxy: {
      // The page's own host is kept: tokens are given to pages of the same origin only.
      '/api': { target: backend, changeOrigin: false },
      '/rtc': { target: backend, ws: true },
    },
  },
  test: { include: ['test/**/*.test.ts'] },
});
