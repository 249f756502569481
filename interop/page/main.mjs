// Every page that sip writes or serves, as a browser shows it: `node main.mjs FILE|URL...`, five widths in both colour schemes.
// A violation of axe's rules, a page that is wider than its window, or a chart whose words cannot be read fails.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const WIDTHS = [320, 400, 600, 800, 1280];
/** The least height of a chart's words, in pixels: what is smaller is no text but a texture. */
const LEAST_TEXT_PIXELS = 8;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];
const browser = await puppeteer.launch({ executablePath, args, headless: true });
let failures = 0;
for (const place of process.argv.slice(2)) {
    const url = place.startsWith("http") ? place : pathToFileURL(resolve(place)).href;
    const name = place.startsWith("http") ? place : basename(place);
    for (const scheme of ["light", "dark"]) {
        for (const width of WIDTHS) {
            const page = await browser.newPage();
            await page.setViewport({ width, height: 900 });
            await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
            await page.goto(url);
            await page.evaluate(axe);
            const found = await page.evaluate(async () => {
                const words = [...document.querySelectorAll("svg text")].map((text) => text.getBoundingClientRect().height);
                const { violations } = await axe.run();
                return {
                    wide: document.documentElement.scrollWidth,
                    text: words.length ? Math.min(...words) : null,
                    violations: violations.map((it) => `${it.id} (${it.nodes.length}, ${it.nodes[0].target})`),
                };
            });
            await page.close();
            const wrong = [...found.violations];
            if (found.wide > width) wrong.push(`${found.wide} pixels wide`);
            if (found.text !== null && found.text < LEAST_TEXT_PIXELS) wrong.push(`words of a chart are ${found.text.toFixed(1)} pixels high`);
            failures += wrong.length;
            if (wrong.length) console.log(`${name}, ${scheme}, ${width} pixels: ${wrong.join("; ")}`);
        }
    }
    console.log(`${name}: looked at in ${WIDTHS.length} widths and both schemes`);
}
await browser.close();
if (failures) {
    console.log(`${failures} faults`);
    process.exit(1);
}
