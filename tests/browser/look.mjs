// Drives the dashboard's pages in Chromium, as somebody would who works with them. One order per run: its name is the
// first argument, all that it needs is JSON in the environment variable LOOK; what it found goes to standard output as
// JSON. Anything that a page must not do (an error in its console, a dialog, a blocked or foreign request) is a failure.
import AxeBuilder from "@axe-core/playwright";
import { chromium } from "playwright-core";

const look = JSON.parse(process.env.LOOK);
const fail = (words) => {
  throw new Error(words);
};

const desktop = { viewport: { width: 1280, height: 900 } };
const phone = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };

// What a page must not do.
const strange = [];

// A browser in which nothing strange may happen.
const open = async (browser, options = {}) => {
  const context = await browser.newContext({ ...desktop, ...options });
  context.on("dialog", (dialog) => {
    strange.push(`a dialog says ${dialog.message()}`);
    dialog.dismiss();
  });
  context.on("weberror", (broken) => strange.push(`the script broke: ${broken.error().message}`));
  context.on("console", (message) => {
    // A browser logs answers of 401 to 404 as errors; whoever expects them asks for them.
    if (message.type() === "error" && !/status of 40[134]/.test(message.text())) strange.push(message.text());
  });
  context.on("request", (request) => {
    const known = [look.base, look.issuer].some((place) => place && request.url().startsWith(place));
    if (!known) strange.push(`it asks ${request.url()}`);
  });
  return { context, page: await context.newPage() };
};

const signIn = async (page, next = "/") => {
  await page.goto(`${look.base}/sign-in?next=${encodeURIComponent(next)}`);
  await page.getByLabel("API token").fill(look.token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${look.base}${next}`);
};

const orders = {
  // Every page in light, dark and phone width: pictures, accessibility, no sideways scrolling, and once without script.
  async pages(browser) {
    const found = [];
    for (const [name, options] of [
      ["light", { colorScheme: "light" }],
      ["dark", { colorScheme: "dark" }],
      ["phone", { ...phone, colorScheme: "light" }],
      ["plain", { javaScriptEnabled: false }],
    ]) {
      const { context, page } = await open(browser, options);
      await signIn(page);
      for (const [title, path] of look.pages) {
        const answer = await page.goto(look.base + path, { waitUntil: "load" });
        if (answer.status() !== 200) fail(`${path} is answered with ${answer.status()}`);
        if (!(await page.locator("main h1").first().textContent())) fail(`${path} has no heading`);
        if (name !== "plain") {
          await page.screenshot({ path: `${look.shots}/${title}-${name}.png`, fullPage: true });
          const { violations } = await new AxeBuilder({ page }).analyze();
          const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
          if (serious.length) fail(`${path} (${name}): ${JSON.stringify(serious, null, 1)}`);
          const wide = await page.evaluate(() => document.scrollingElement.scrollWidth - innerWidth);
          if (wide > 0) fail(`${path} (${name}) is ${wide} pixels too wide`);
        }
        found.push([name, path]);
      }
      await context.close();
    }
    return found;
  },

  // What the first page weighs, and how many requests come before its content is there.
  async weight(browser) {
    const { context, page: before } = await open(browser);
    await signIn(before);
    const page = await context.newPage();
    const seen = [];
    page.on("response", (answer) => seen.push(answer));
    await page.goto(`${look.base}/`, { waitUntil: "networkidle" });
    let bytes = 0;
    for (const answer of seen) bytes += (await answer.body()).length;
    const blocking = await page.evaluate(
      () =>
        document.querySelectorAll('head link[rel="stylesheet"], head script:not([defer]):not([async])').length,
    );
    return { requests: seen.map((answer) => new URL(answer.url()).pathname), bytes, blocking };
  },

  // Text of others is shown as it is, and does nothing.
  async inert(browser) {
    const { page } = await open(browser);
    await signIn(page);
    for (const path of look.paths) {
      await page.goto(look.base + path, { waitUntil: "networkidle" });
      if (await page.evaluate(() => "pwned" in window)) fail(`${path} runs what others wrote`);
      const scripts = await page.evaluate(() => [...document.scripts].map((script) => script.src));
      if (scripts.some((src) => !src.includes("/assets/"))) fail(`${path} has the scripts ${scripts}`);
      const links = await page.evaluate(() => [...document.links].map((link) => link.protocol));
      if (links.some((protocol) => !["http:", "https:"].includes(protocol))) fail(`${path} links to ${links}`);
    }
    return look.paths;
  },

  // Somebody types while the page changes around them, and hears when it can't be brought up to date.
  async typing(browser) {
    const { page } = await open(browser);
    await signIn(page);
    await page.getByLabel("Branch").pressSequentially("rele");
    const field = await page.getByLabel("Branch").elementHandle();
    const before = await page.getByRole("heading", { name: "Running now" }).count();
    const headers = { authorization: `Bearer ${look.token}`, "content-type": "application/json" };
    const started = await fetch(`${look.base}/v1/runs`, { method: "POST", headers, body: JSON.stringify(look.start) });
    if (started.status !== 202) fail(`no run was started: ${started.status}`);
    await page.getByRole("heading", { name: "Running now" }).waitFor({ timeout: look.patience });
    await page.keyboard.type("as");
    // Meanwhile the run goes on, and ends.
    await page.getByRole("heading", { name: "Running now" }).waitFor({ state: "detached", timeout: look.patience });
    await page.keyboard.type("e");
    const typed = await page.getByLabel("Branch").inputValue();
    const same = await field.evaluate((field) => field === document.activeElement);
    await page.context().clearCookies();
    await page.locator("#stale").waitFor({ timeout: look.patience });
    await page.screenshot({ path: `${look.shots}/stale.png` });
    const told = await page.locator("#stale").textContent();
    return { before, typed, same, told };
  },

  // In with the issuer, and out again.
  async issuer(browser) {
    const { page } = await open(browser);
    await page.goto(`${look.base}/sign-in?next=%2Fapprovals`);
    await page.screenshot({ path: `${look.shots}/sign-in.png` });
    await page.getByRole("link", { name: "Sign in with" }).click();
    await page.getByRole("link", { name: "Go on as Ada" }).click();
    await page.waitForURL(`${look.base}/approvals`);
    const who = await page.locator("header").textContent();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.waitForURL(`${look.base}/sign-in`);
    const answer = await page.goto(`${look.base}/approvals`);
    return { who: who.includes("person:ada@example.com"), afterwards: new URL(answer.url()).pathname };
  },

  // A run is watched until it is green, on a page that is loaded once.
  async watch(browser) {
    const { page } = await open(browser);
    await signIn(page, `/runs/${look.run}`);
    const first = await page.locator("main").getAttribute("data-news");
    await page.evaluate(() => (window.loadedOnce = true));
    await page.locator('main[data-news="succeeded" i]').waitFor({ timeout: look.patience });
    if (!(await page.evaluate(() => window.loadedOnce))) fail("the page was loaded again");
    await page.screenshot({ path: `${look.shots}/watched.png`, fullPage: true });
    return { first };
  },

  // From a failed run to the line that says why.
  async log(browser) {
    const { page } = await open(browser);
    await signIn(page, `/runs/${look.run}`);
    await page.getByRole("region", { name: "Table of jobs" }).getByRole("link", { name: look.job }).click();
    await page.locator("#log").waitFor();
    await page.locator("#find").fill(look.line);
    const line = page.locator("#log li:not([hidden])", { hasText: look.line }).first();
    await line.waitFor();
    await page.screenshot({ path: `${look.shots}/failing-log.png` });
    return { line: await line.textContent() };
  },

  // Consent, from the list of what waits.
  async approve(browser) {
    const { page } = await open(browser);
    await signIn(page, "/approvals");
    await page.screenshot({ path: `${look.shots}/approvals.png`, fullPage: true });
    await page.locator(`main a[href^="/runs/${look.run}"]`).first().click();
    if (!page.url().endsWith("/approve")) await page.getByRole("link", { name: "See what it changes" }).click();
    await page.screenshot({ path: `${look.shots}/approval.png`, fullPage: true });
    await page.getByLabel("Comment").fill("seen <b>on</b> staging");
    await page.getByRole("button", { name: "Approve" }).click();
    await page.waitForURL(`${look.base}/runs/${look.run}`);
    return {};
  },

  // Back to an earlier version.
  async rollback(browser) {
    const { page } = await open(browser);
    await signIn(page, look.environment);
    await page.screenshot({ path: `${look.shots}/environment.png`, fullPage: true });
    await page.locator(`main a[href*="/rollback?to=${look.to}"]`).first().click();
    await page.getByLabel("Reason").fill("the checkout is broken");
    await page.screenshot({ path: `${look.shots}/rollback.png`, fullPage: true });
    await page.locator("main form button").click();
    await page.waitForURL(`${look.base}/runs/*`);
    return { run: page.url().split("/").pop() };
  },

  // Whoever may only look is offered nothing, and gets nothing by asking all the same.
  async refuse(browser) {
    const { page } = await open(browser);
    await signIn(page, look.environment);
    const acts = await page.locator("main form[method=post]").count();
    const csrf = await page.locator("input[name=csrf]").first().inputValue();
    const status = await page.evaluate(
      async ([path, csrf]) => {
        const body = new URLSearchParams({ csrf, once: "1", reason: "because I can" });
        return (await fetch(path, { method: "POST", body })).status;
      },
      [`${look.environment}/freeze`, csrf],
    );
    return { acts, status };
  },
};

const browser = await chromium.launch({
  executablePath: look.chromium,
  // The tests run as root in containers, where Chromium's own sandbox can't be set up.
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
});
try {
  const order = orders[process.argv[2]] ?? fail(`there is no order ${process.argv[2]}`);
  const found = await order(browser);
  if (strange.length) fail(strange.join("\n"));
  console.log(JSON.stringify(found));
} catch (error) {
  console.error(String(error?.stack ?? error));
  process.exitCode = 1;
} finally {
  await browser.close();
}
