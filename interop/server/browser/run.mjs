// Runs page.js in headless Chromium; exits with 1 and the reason if anything differs from what a user of LiveKit expects.
import { createServer } from "node:http";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const TIMEOUT_MS = 60_000;
const { ANTIPHON_URL: url, TOKEN_A: a, TOKEN_B: b, CHROMIUM: executablePath = "/usr/bin/chromium" } = process.env;
if (!url || !a || !b) throw new Error("ANTIPHON_URL, TOKEN_A and TOKEN_B are needed");

const entry = new URL("page.js", import.meta.url).pathname;
const { outputFiles } = await build({ entryPoints: [entry], bundle: true, write: false, logLevel: "error" });
const pages = createServer((request, response) => {
  const script = request.url === "/page.js";
  response.setHeader("content-type", script ? "text/javascript" : "text/html");
  response.end(script ? outputFiles[0].contents : "<!doctype html><script src=/page.js></script>");
});
await new Promise((resolve) => pages.listen(0, "127.0.0.1", resolve));
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"] });
try {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${pages.address().port}/`);
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error("timeout")), TIMEOUT_MS).unref());
  console.log(await Promise.race([page.evaluate((args) => window.run(...args), [url, a, b]), late]));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await browser.close();
  pages.close();
}
