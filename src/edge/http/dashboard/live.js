// Keeps the dashboard up to date: the server says that something has changed, the panels are fetched
// and laid over the old ones, so that scroll position, focus and what is unfolded stay as they are.
"use strict";
(() => {
  const PAUSE_MIN_MS = 500;
  const PAUSE_MAX_MS = 10000;
  // Some things change without an event, and a stream may be dead without an error.
  const LOOK_MS = 15000;
  const FETCH_MAX_MS = 10000;

  const panels = document.getElementById("panels");
  const connection = document.getElementById("connection");
  let source = null;
  let pause = PAUSE_MIN_MS;
  let isFetching = false;
  let isWanted = false;
  let retry = 0;
  let shown = "";

  function tell(state, words) {
    if (connection.dataset.state === state) return;
    connection.dataset.state = state;
    connection.querySelector("span").textContent = words;
  }

  // Makes `old` look like `fresh`, touching no more than differs.
  function lay(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || (old.id || "") !== (fresh.id || "")) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) {
      // What the reader has unfolded stays so.
      if (!fresh.hasAttribute(name) && !(old.nodeName === "DETAILS" && name === "open")) old.removeAttribute(name);
    }
    for (const { name, value } of [...fresh.attributes]) {
      if (old.nodeName === "DETAILS" && name === "open") continue;
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    layChildren(old, fresh);
  }

  function layChildren(old, fresh) {
    const wanted = [...fresh.childNodes];
    wanted.forEach((child, at) => {
      let there = old.childNodes[at];
      if (child.id) {
        const same = [...old.children].find((it) => it.id === child.id);
        if (same && same !== there) {
          old.insertBefore(same, there || null);
          there = same;
        }
      }
      if (there) lay(there, child);
      else old.appendChild(child);
    });
    while (old.childNodes.length > wanted.length) old.lastChild.remove();
  }

  async function fetchPanels() {
    isWanted = true;
    if (isFetching) return;
    isFetching = true;
    try {
      while (isWanted) {
        isWanted = false;
        const signal = AbortSignal.timeout(FETCH_MAX_MS);
        const answer = await fetch("/panels", { cache: "no-cache", signal });
        if (!answer.ok) throw new Error(String(answer.status));
        const text = await answer.text();
        if (text === shown) continue;
        const fresh = new DOMParser().parseFromString("<main>" + text + "</main>", "text/html");
        layChildren(panels, fresh.querySelector("main"));
        shown = text;
        tick();
      }
    } catch {
      lost();
    } finally {
      isFetching = false;
    }
  }

  function connect() {
    clearTimeout(retry);
    retry = 0;
    if (source) source.close();
    source = new EventSource("/events");
    // The first event comes at once, so that nothing is missed that happened in between.
    source.addEventListener("changed", () => {
      pause = PAUSE_MIN_MS;
      tell("live", "live");
      fetchPanels();
    });
    source.addEventListener("error", lost);
  }

  function lost() {
    if (retry) return;
    source.close();
    tell("reconnecting", "reconnecting");
    retry = setTimeout(connect, pause * (0.75 + Math.random() / 2));
    pause = Math.min(pause * 2, PAUSE_MAX_MS);
  }

  function stretch(seconds) {
    if (seconds < 60) return seconds + " s";
    if (seconds < 7200) return Math.floor(seconds / 60) + " min";
    if (seconds < 172800) return Math.floor(seconds / 3600) + " h";
    return Math.floor(seconds / 86400) + " days";
  }

  // Ages and waits go on between two changes.
  function tick() {
    const now = Date.now();
    for (const age of document.querySelectorAll(".age")) {
      const { at, until } = age.dataset;
      const seconds = Math.max(0, Math.floor((at ? now - Number(at) : Number(until) - now) / 1000));
      const text = at ? stretch(seconds) + " ago" : "in " + stretch(seconds);
      if (age.textContent !== text) age.textContent = text;
      const title = new Date(Number(at || until)).toLocaleString();
      if (age.title !== title) age.title = title;
    }
  }

  setInterval(tick, 1000);
  setInterval(() => {
    if (!retry && !document.hidden) fetchPanels();
  }, LOOK_MS);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && retry) connect();
  });
  tick();
  connect();
})();
