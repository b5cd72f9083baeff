// What pages do with a script, and do without it as well, only slower: they stay fresh, count seconds, and
// find lines in a log. Nothing here makes HTML from text; what comes is parsed from this site's own pages.
"use strict";
(() => {
  const one = (query, from = document) => from.querySelector(query);
  const all = (query, from = document) => [...from.querySelectorAll(query)];
  const parsed = (html) => new DOMParser().parseFromString(html, "text/html");

  // Makes `old` look like `fresh` by changing only what differs, so that focus, folds, scrolling and what
  // someone is typing stay as they are.
  const kept = new Set(["open", "value", "checked"]);
  // Blanks between elements are nobody's.
  const parts = (node) => [...node.childNodes].filter((child) => child.nodeType !== Node.TEXT_NODE || child.data.trim());
  const alike = (one, other) => one.nodeName === other.nodeName && one.className === other.className;
  const name = (node) =>
    node.nodeType === Node.ELEMENT_NODE
      ? node.id || node.dataset.key || node.getAttribute("aria-labelledby") || node.getAttribute("action") || ""
      : "";
  const morph = (old, fresh) => {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || (old.id || "") !== (fresh.id || "")) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !kept.has(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      const typed = kept.has(name) && old.type !== "hidden";
      if (!typed && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    // What has a name is found again by it, wherever it stands now; the rest between two names by its looks, in order.
    // Nothing is moved that need not be: what is moved loses the focus.
    const will = parts(fresh);
    const names = new Set(will.map(name).filter(Boolean));
    const was = parts(old).filter((node) => !name(node) || names.has(name(node)) || node.remove());
    for (const node of will) {
      const own = name(node);
      const end = was.findIndex(name);
      const near = own || end < 0 ? was : was.slice(0, end);
      let before = near.findIndex((other) => (own ? name(other) === own : alike(other, node)));
      if (before < 0) {
        old.insertBefore(node, was[0] ?? null);
        continue;
      }
      const [match] = was.splice(before, 1);
      for (; before > 0 && !name(was[0]); before -= 1) was.shift().remove();
      if (before > 0) old.insertBefore(match, was[0]);
      morph(match, node);
    }
    was.forEach((node) => node.remove());
  };

  // Says to whoever listens what has changed.
  const tell = (words) => {
    const news = one("#news");
    if (news && words && news.textContent !== words) news.textContent = words;
  };

  // Shows that what is seen may be old, and since when.
  const stale = (words) => {
    const note = one("#stale");
    note.hidden = !words;
    if (words && note.textContent !== words) note.textContent = words;
  };
  const sinceFresh = () => `This page is as it was at ${asOf.toLocaleTimeString()}; it could not be brought up to date since.`;
  let asOf = new Date();
  const wentOn = () => {
    asOf = new Date();
    stale("");
  };
  const failed = (error, failures) => {
    if (error.message === "401") stale("You are signed in no more. Load this page again to sign in.");
    else if (failures > 2) stale(`${sinceFresh()} It is tried again.`);
  };

  // A page that goes on asks for its own main part again; an equal one is not sent.
  const refresh = async (state) => {
    const main = one("main");
    const address = new URL(location.href);
    address.hash = "";
    address.searchParams.set("part", "main");
    const headers = state.etag ? { "if-none-match": state.etag } : {};
    const answer = await fetch(address, { headers, credentials: "same-origin", redirect: "error" });
    if (answer.status === 304) return;
    if (!answer.ok) throw new Error(String(answer.status));
    state.etag = answer.headers.get("etag");
    const fresh = one("main", parsed(await answer.text()));
    if (!fresh) return;
    const [before, after] = [main.dataset.news, fresh.dataset.news];
    morph(main, fresh);
    if (before !== after) tell(after);
    tick();
  };

  const keepFresh = () => {
    const state = { etag: null, failures: 0 };
    const turn = async () => {
      const seconds = Number(one("main")?.dataset.refresh);
      if (!seconds) return;
      if (!document.hidden) {
        try {
          await refresh(state);
          wentOn();
          state.failures = 0;
        } catch (error) {
          state.failures += 1;
          failed(error, state.failures);
        }
      }
      // Slower where it does not work, so that many pages do not hold a sick server down.
      setTimeout(turn, 1000 * Math.min(60, seconds * 2 ** state.failures));
    };
    const seconds = Number(one("main")?.dataset.refresh);
    if (seconds) setTimeout(turn, 1000 * seconds);
  };

  // The same words as the server's.
  const unit = (s) =>
    s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min` : s < 86400 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
  const ago = (s) => (s >= 10 ? `${unit(s)} ago` : s >= -10 ? "just now" : `in ${unit(-s)}`);
  const long = (s) => {
    const two = (a, x, b, y) => (b ? `${a} ${x} ${b} ${y}` : `${a} ${x}`);
    if (s < 1) return "under 1 s";
    if (s < 60) return `${s} s`;
    if (s < 3600) return two(Math.floor(s / 60), "min", s % 60, "s");
    if (s < 86400) return two(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
    return two(Math.floor(s / 86400), "d", Math.floor((s % 86400) / 3600), "h");
  };
  const tick = () => {
    for (const time of all("time[data-ago], time[data-since]")) {
      const seconds = Math.floor((Date.now() - Date.parse(time.dateTime)) / 1000);
      const words = "since" in time.dataset ? long(Math.max(0, seconds)) : ago(seconds);
      if (time.textContent !== words) time.textContent = words;
    }
  };

  // The log: find, follow, and the next lines as they come.
  const log = () => {
    const [box, tools] = [one("#log"), one("[data-log-tools]")];
    if (!box || !tools) return;
    tools.hidden = false;
    const [find, found, follow] = [one("#find"), one("#found"), one("#follow")];
    const filter = () => {
      const wanted = find.value.toLowerCase();
      let hits = 0;
      for (const line of all("li", box)) {
        const fits = !wanted || line.lastElementChild.textContent.toLowerCase().includes(wanted);
        line.hidden = !fits;
        if (wanted && fits) hits += 1;
      }
      if (wanted) all("details", box).forEach((phase) => (phase.open = Boolean(one("li:not([hidden])", phase))));
      found.textContent = wanted ? `${hits} ${hits === 1 ? "line" : "lines"}` : "";
    };
    find.addEventListener("input", filter);
    document.addEventListener("keydown", (event) => {
      const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.nodeName ?? "");
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        find.focus();
      }
    });
    // A line that is linked to is shown, whatever is folded.
    const show = () => {
      const line = /^#L\d+$/.test(location.hash) ? one(location.hash) : null;
      if (!line) return;
      const phase = line.closest("details");
      if (phase) phase.open = true;
      line.scrollIntoView({ block: "center" });
      follow.checked = false;
    };
    addEventListener("hashchange", show);
    show();

    let next = all("[data-next]", box).at(-1)?.dataset.next;
    const more = async () => {
      const address = new URL(next, location.origin);
      address.searchParams.set("part", "lines");
      const answer = await fetch(address, { credentials: "same-origin", redirect: "error" });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = one(".page", parsed(await answer.text()));
      if (!page) return 0;
      const lines = all("li", page).length;
      next = page.dataset.next;
      // What goes on from the lines before belongs to their phase.
      const head = page.firstElementChild;
      const last = all(".phase", box).at(-1);
      if (lines && head && head.nodeName === "DIV" && last) {
        one("ol", last).append(...all("li", head));
        head.remove();
      }
      if (lines) box.append(page);
      one("#newer")?.remove();
      one("main > .empty")?.remove();
      filter();
      if (lines && follow.checked) all("li", box).at(-1)?.scrollIntoView({ block: "end" });
      return lines;
    };
    // Whoever scrolls up wants to read.
    addEventListener("wheel", (event) => event.deltaY < 0 && (follow.checked = false), { passive: true });
    const complete = async () => {
      tell("The log is complete");
      const answer = await fetch(location.pathname, { credentials: "same-origin", redirect: "error" });
      const facts = answer.ok && one("main .facts", parsed(await answer.text()));
      if (facts) morph(one("main .facts"), facts);
    };
    let failures = 0;
    const turn = async () => {
      if (!next) return complete();
      let lines = 0;
      if (!document.hidden) {
        try {
          lines = await more();
          wentOn();
          failures = 0;
        } catch (error) {
          failures += 1;
          failed(error, failures);
        }
      }
      setTimeout(turn, lines > 500 ? 50 : 1000 * Math.min(60, 2 * 2 ** failures));
    };
    if (next) turn();
  };

  // A second click on a button is no second wish.
  const once = () => {
    addEventListener("submit", (event) => {
      if (event.target.method === "post") setTimeout(() => all("button", event.target).forEach((button) => (button.disabled = true)));
    });
    addEventListener("pageshow", () => all("button:disabled").forEach((button) => (button.disabled = false)));
  };

  document.addEventListener("DOMContentLoaded", () => {
    once();
    tick();
    setInterval(tick, 1000);
    keepFresh();
    log();
  });
})();
