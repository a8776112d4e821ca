// Builds the app into app/dist without anything inline, so that it runs under a strict content security policy.
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [react()],
  // FRONTEND_URL of the server is this port unless it is told otherwise.
  server: { port: 8080, strictPort: true },
  build: { target: 'es2023', modulePreload: { polyfill: false }, assetsInlineLimit: 0, reportCompressedSize: false },
});
