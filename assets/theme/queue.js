/* The queue from every tab: one stream of updates while someone looks at the page, and a panel with what can be done about it. */
(() => {
  "use strict";
  const { send, go, tab, tell } = window.atelier;
  const find = (id) => document.getElementById(id);
  const AGAIN_MS = 2000; // between two tries to reach a studio that does not answer
  let stream = null, engine = "", models = null, latest = null;

  const show = () => {
    if (!latest) return;
    document.querySelectorAll("[data-status]").forEach((chip) => {
      if (chip.dataset.status !== latest.state) chip.dataset.status = latest.state;
      const words = chip.querySelector("span");
      if (words.textContent !== latest.text) words.textContent = latest.text;
      chip.title = latest.detail;
    });
    const panel = find("queue");
    if (!panel || latest.html === undefined || panel.dataset.drawn === latest.html) return;
    const held = panel.contains(document.activeElement) ? document.activeElement.dataset : null;
    panel.innerHTML = latest.html; // escaped where it is made, in templates/queue.html
    panel.dataset.drawn = latest.html;
    if (held) refocus(panel, held);
  };
  /* what had the focus keeps it when its row is drawn anew */
  const refocus = (panel, held) => {
    const same = [...panel.querySelectorAll("button")].find((one) => one.dataset.job === held.job && one.dataset.do === held.do);
    (same || panel.querySelector("button") || panel).focus();
  };
  const hear = (event) => {
    latest = JSON.parse(event.data);
    if (engine && engine !== "ready" && latest.state === "ready") send(tab(), "refresh", {});
    else if (models !== null && latest.models !== models && tab() === "models") send("models", "look", {});
    models = latest.models;
    engine = latest.state;
    show();
  };
  const lost = () => {
    latest = { ...(latest || {}), state: "away", text: "Studio is not answering", detail: "" };
    show();
    if (stream?.readyState === EventSource.CLOSED) { close(); setTimeout(open, AGAIN_MS); }
  };
  const open = () => {
    if (stream || document.hidden) return;
    stream = new EventSource("page/events");
    stream.onmessage = hear;
    stream.onerror = lost;
  };
  const close = () => { stream?.close(); stream = null; };
  // a page nobody looks at holds no connection: a browser has six for one address, and tabs share them
  document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else open(); });
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);

  const button = () => document.querySelector("[data-queue]");
  const toggle = (wanted) => {
    const panel = find("queue");
    if (!panel) return;
    panel.hidden = !(wanted ?? panel.hidden);
    button()?.setAttribute("aria-expanded", String(!panel.hidden));
    if (panel.hidden) button()?.focus(); else { show(); panel.focus(); }
  };
  const ask = async (data) => {
    const answer = await fetch(`api/jobs/${encodeURIComponent(data.job)}/${data.do}`, { method: "POST" });
    if (!answer.ok) {
      const told = await answer.json().catch(() => ({}));
      tell(told.error?.message || "The studio did not do it.");
    } else if (data.do === "put-back") send(data.to, "watch", { job: data.job });
    else if (data.do === "let-be") { close(); open(); }
  };
  const watch = (data) => { toggle(false); go(data.to); send(data.to, "watch", { job: data.job }); };
  Object.assign(window.atelier.acts, { job: ask, watch });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-queue]")) toggle();
    else if (!find("queue")?.hidden && !event.target.closest("#queue") && document.contains(event.target)) toggle(false);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !find("queue") || find("queue").hidden) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    toggle(false);
  }, true);

  // Gradio draws the masthead after this script has run
  const drawn = new MutationObserver(() => { if (find("queue")) { drawn.disconnect(); show(); } });
  const begin = () => { open(); drawn.observe(document.body, { childList: true, subtree: true }); };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
